"""A database of the till's first schema, with rows, is upgraded, and says the same as before."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, TextClause, text
from tests.support.keys import Keys

from dovetail.bitcoin import Address, Network, Sats, Script, UnixTime
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.merchant.data import (
    api_keys,
    audit,
    events,
    invoices,
    migrations,
    record,
    stores,
    wallets,
)
from dovetail.merchant.data.database import Database
from dovetail.merchant.invoices.invoice import InvoiceStatus
from dovetail.merchant.messages import Role
from dovetail.merchant.services.users import Users
from dovetail.stores.sql import PostgresStore, SqliteStore
from dovetail.stores.sql.migrations import run_scripts
from dovetail.stores.sql.store import SqlStore

NOW = 1_795_000_000
WALLET, STORE, INVOICE, WAITING, EVENT, ENDPOINT, DELIVERY, KEY, ACT = (
    UUID(int=0x01A0_0000_0000_7000_8000_0000_0000_0000 + number) for number in range(9)
)
SCRIPT, OTHER = Keys("shop").script(1), Keys("shop").script(2)
PAYMENT = Transaction(
    2, (TxIn(OutPoint(Txid(bytes(31) + b"\1"), 0)),), (TxOut(Sats(50_000), SCRIPT),), 0
)
TERMS = (
    b'{"confirmations":[[0,1]],"accept_unconfirmed":false,"tolerance":0,"broadcasts_fallback":true}'
)


def invoice(id_: UUID, script: Script, status: str, **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "store_id": STORE,
        "wallet_id": WALLET,
        "amount": 50_000,
        "currency": "EUR",
        "price": "30.00",
        "rate": "60000",
        "label": "Brot",
        "order_id": "7",
        "metadata": b'{"till":1}',
        "address": str(Address.from_script(script, Network.REGTEST)),
        "script": bytes(script),
        "terms": TERMS,
        "created_at": NOW,
        "expires_at": NOW + 900,
        "monitored_until": NOW + 87_300,
        "no_payjoin": "no-coin",
        "status": status,
        "exception": "none",
        "cause": "confirmed",
        "paid": 0,
        "gained": 0,
        "looked": 1,
        "events": 1,
    } | more


ROWS: dict[str, list[dict[str, Any]]] = {
    "counters": [{"name": "looks", "value": 5}],
    "wallets": [
        {
            "id": WALLET,
            "name": "wallet 1",
            "network": "regtest",
            "descriptor": "wpkh(public)",
            "next_index": 3,
            "cold_next_index": 0,
            "created_at": NOW,
        }
    ],
    "stores": [
        {
            "id": STORE,
            "wallet_id": WALLET,
            "name": "Bäckerei",
            "policy": b'{"expiry_seconds":900,"currency":"EUR"}',
            "created_at": NOW,
        }
    ],
    "addresses": [
        {
            "script": bytes(script),
            "wallet_id": WALLET,
            "keychain": "hot",
            "index": index,
            "purpose": "invoice",
            "invoice_id": id_,
        }
        for index, (script, id_) in enumerate([(SCRIPT, INVOICE), (OTHER, WAITING)])
    ],
    "wallet_coins": [
        {
            "outpoint": f"{PAYMENT.txid}:0",
            "wallet_id": WALLET,
            "script": bytes(SCRIPT),
            "index": 0,
            "value": 50_000,
            "height": 200,
            "absent": False,
        }
    ],
    "invoices": [
        invoice(INVOICE, SCRIPT, "settled", paid=50_000, gained=50_000, looked=5),
        invoice(WAITING, OTHER, "new", cause="waiting", next_change_at=NOW + 900),
    ],
    "invoice_transactions": [
        {
            "invoice_id": INVOICE,
            "txid": str(PAYMENT.txid),
            "raw": PAYMENT.serialize(),
            "first_seen": NOW + 10,
            "look": 5,
            "depth": 2,
            "deepest": 2,
        }
    ],
    "invoice_events": [
        {
            "id": EVENT,
            "invoice_id": INVOICE,
            "seq": 1,
            "store_id": STORE,
            "kind": "invoice.settled",
            "status": "settled",
            "exception": "none",
            "cause": "confirmed",
            "at": NOW + 20,
            "data": b"{}",
        }
    ],
    "webhook_endpoints": [
        {
            "id": ENDPOINT,
            "store_id": STORE,
            "url": "https://shop.example/hook",
            "secret": "whsec_c2VjcmV0",
            "active": True,
            "created_at": NOW,
        }
    ],
    "webhook_deliveries": [
        {
            "id": DELIVERY,
            "endpoint_id": ENDPOINT,
            "invoice_id": INVOICE,
            "event_id": EVENT,
            "created_at": NOW + 20,
            "status": "pending",
            "next_at": NOW + 21,
            "attempts": 1,
            "last_code": 500,
        }
    ],
    "webhook_attempts": [{"delivery_id": DELIVERY, "number": 1, "at": NOW + 20, "code": 500}],
    "idempotency": [
        {
            "store_id": STORE,
            "key": "order-7",
            "request": b"\1",
            "invoice_id": INVOICE,
            "created_at": NOW,
        }
    ],
    "marks": [{"invoice_id": WAITING, "number": 1, "settled": True, "by": "Ada", "at": NOW + 30}],
    "close_requests": [
        {"invoice_id": WAITING, "asked_by": "Ada", "asked_at": NOW + 30, "status_then": "new"}
    ],
    "api_keys": [
        {
            "id": KEY,
            "name": "Web shop",
            "hash": bytes(32),
            "scopes": b'["invoices:read"]',
            "created_at": NOW,
        }
    ],
    "audit": [
        {
            "id": ACT,
            "store_id": STORE,
            "at": NOW,
            "who": "command line",
            "what": "store.create",
            "subject": str(STORE),
            "detail": b"{}",
        }
    ],
}
"""What the first release has written, column by column."""


@pytest.fixture(params=["sqlite", "postgresql"])
def first(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a database of the first schema is, with these rows."""
    if request.param == "sqlite":
        place = str(tmp_path / "shop.db")
        with SqliteStore.open(Path(place)) as sessions:
            fill(sessions)
        yield place
        return
    with request.getfixturevalue("server").database() as url:
        with PostgresStore.open(url) as sessions:
            fill(sessions)
        yield url


def fill(sessions: SqlStore) -> None:
    def work(connection: Connection) -> None:
        folder = Path(migrations.__file__).parent
        run_scripts(connection, folder, "m001", versions=migrations.VERSIONS)
        is_sqlite = connection.dialect.name == "sqlite"
        for table, rows in ROWS.items():
            for row in rows:
                names = ", ".join(f'"{name}"' for name in row)
                places = ", ".join(f":{name}" for name in row)
                values = {
                    name: value.hex if is_sqlite and isinstance(value, UUID) else value
                    for name, value in row.items()
                }
                statement = text(f"INSERT INTO {table} ({names}) VALUES ({places})")  # noqa: S608
                connection.execute(statement, values)

    sessions.write(work)


def _scalar(connection: Connection, *, query: TextClause) -> Any:
    return connection.execute(query).scalar_one()


def test_an_upgrade_from_the_first_schema_keeps_every_row(first: str):
    with Database.open(first) as database:
        for table, rows in ROWS.items():
            counted = text(f"SELECT count(*) FROM {table}")  # noqa: S608
            assert database.read(partial(_scalar, query=counted)) == len(rows), table
        revision = text(f"SELECT version_num FROM {migrations.VERSIONS}")  # noqa: S608
        assert database.read(lambda c: c.execute(revision).scalar_one()) == migrations.HEAD


def test_what_was_written_under_the_first_schema_is_read(first: str):
    with Database.open(first) as database:
        (store,) = database.read(stores.all_stores)
        assert (store.name, store.policy.currency) == ("Bäckerei", "EUR")
        (wallet,) = database.read(wallets.all_wallets)
        assert (wallet.id, wallet.next_index) == (WALLET, 3)
        settled = database.read(lambda c: invoices.invoice(c, INVOICE))
        assert settled is not None
        assert (settled.status, settled.paid, settled.label) == ("settled", 50_000, "Brot")
        assert [each.kind for each in database.read(lambda c: events.events_of(c, INVOICE))] == [
            "invoice.settled"
        ]
        (key,) = database.read(api_keys.all_keys)
        assert key.name == "Web shop"
        (act,) = database.read(lambda c: audit.page(c, limit=9))
        assert act.what == "store.create"
        found = database.read(lambda c: record.load(c, INVOICE))
        assert found.state(UnixTime(NOW + 30)).status is InvoiceStatus.SETTLED


def test_a_shop_goes_on_after_the_upgrade(first: str):
    with Database.open(first) as database:
        Users(database).add("Ada", "correct horse battery", Role.OWNER, by="command line")
        state = database.write(
            lambda c: events.change(c, WAITING, lambda: None, now=UnixTime(NOW + 40))
        )
        assert state.status is InvoiceStatus.SETTLED, "it was marked by hand"
    with Database.open(first) as database:
        row = database.read(lambda c: invoices.invoice(c, WAITING))
        assert row is not None
        assert row.status == "settled"
