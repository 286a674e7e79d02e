"""A shop with something on each page of its dashboard: a month of invoices, and all else."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from typing import Any
from uuid import UUID

from msgspec import structs
from sqlalchemy import Connection
from tests.merchant import builders
from tests.merchant.counter import add_point
from tests.merchant.pages import gallery

from dovetail.bitcoin import OutPoint, Sats, Transaction, Txid, TxIn, TxOut, UnixTime
from dovetail.merchant.data import api_keys, coins, deliveries, invoices, record, webhooks
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.stores import StoreRow
from dovetail.merchant.invoices.refunds import RefundStatus
from dovetail.merchant.messages import Scope
from dovetail.merchant.pages.view import Stage
from dovetail.merchant.services.readiness import NoPayjoin

DAYS = 30
RATE = 55_000
GOODS = ("Sencha, 100 g", "Assam, 250 g", "Teapot", "Darjeeling, 100 g", "Matcha whisk", "Cups")
WAYS = ("payjoin", "payjoin", "direct", "payjoin", "fallback", "payjoin", NoPayjoin.NO_COIN)
"""How the customers of the month pay, in turn."""
DAY = gallery.DAY


@dataclass
class Rooms:
    """What there is to see, by the last part of its page's path."""

    database: Database
    store: StoreRow
    payjoin: InvoiceRow
    stages: dict[Stage, InvoiceRow]
    overpaid: InvoiceRow
    refunds: dict[RefundStatus, UUID]
    endpoint: UUID
    point: UUID
    """A point of sale."""

    @property
    def pages(self) -> Iterator[str]:
        """The path of each page that has no effects."""
        yield from ("", "/invoices", "/invoices?q=nothing", "/refunds", "/coins", "/webhooks")
        yield from ("/keys", "/users", "/account", f"/webhooks/{self.endpoint}")
        yield from ("/points-of-sale", f"/points-of-sale/{self.point}")
        for row in (self.payjoin, self.overpaid, *self.stages.values()):
            yield f"/invoices/{row.id}"
        for refund in self.refunds.values():
            yield f"/refunds/{refund}"


def furnish(database: Database, store: StoreRow, address: str) -> Rooms:
    """Fill a shop; customers of refunds have this address."""
    now = int(database.now())
    database.write(lambda c: _month(c, store, now))
    endpoint = database.write(lambda c: _endpoint(c, store, now))
    stages = database.write(lambda c: {each: _in(c, store, each, now) for each in Stage})
    overpaid = database.write(lambda c: gallery.overpaid(c, store, now, order_id="T-over"))
    payjoin = database.write(lambda c: payjoin_paid(c, store, now - 4_000, **_goods(4)))
    _deliver(database, endpoint, now)
    refunds = {
        status: gallery.refund(database, overpaid, *gallery.WAYS[status], address=address)[0].id
        for status in _REFUNDS
    }
    database.write(lambda c: _keys(c, now))
    database.write(lambda c: _coins(c, store))
    return Rooms(
        database=database,
        store=store,
        payjoin=payjoin,
        stages=stages,
        overpaid=overpaid,
        refunds=refunds,
        endpoint=endpoint,
        point=database.write(lambda c: add_point(c, store, currency=None)).id,
    )


_REFUNDS = (
    RefundStatus.PAID,
    RefundStatus.DECLINED,
    RefundStatus.CANCELLED,
    RefundStatus.EXPIRED,
    RefundStatus.FAILED,
    RefundStatus.OPEN,
    RefundStatus.CLAIMED,
)
"""Those of one overpaid invoice: it covers each of them in turn."""
_number = count(1)


def coin() -> OutPoint:
    """A coin that nobody else has, with an id as any transaction has it."""
    return OutPoint(Txid(sha256(f"coin {next(_number)}".encode()).digest()), next(_number) % 3)


def payjoin_paid(
    connection: Connection, store: StoreRow, at: int, *, fee: int = 208, **columns: Any
) -> InvoiceRow:
    """An invoice that a payjoin has paid, a minute after it was made; the shop paid a fee."""
    row = gallery.add(connection, store, at, **columns)
    amount, theirs, ours = int(row.amount), coin(), coin()
    fallback = builders.pay(theirs, to=row.script, value=amount)
    paying = builders.pay(theirs, ours, to=row.script, value=amount + builders.OURS - fee)
    handed = builders.negotiated(fallback, at=at + 40 - int(builders.CREATED), script=row.script)
    pinned = handed.pinned(builders.proposal(paying), scripts={row.script})
    record.keep_negotiation(connection, row.id, pinned)
    gallery.look(connection, row, paying, depth=1, at=at + 60)
    return row


def _month(connection: Connection, store: StoreRow, now: int) -> None:
    """Some sales a day, each paid in one of the ways."""
    for number in range(3 * DAYS):
        if number * 5 % 11 <= 6:
            at = now - DAYS * DAY + DAY * (10 * number + number * 7 % 10) // 30
            _sale(connection, store, number, at)


def _sale(connection: Connection, store: StoreRow, number: int, at: int) -> None:
    way, about = WAYS[number % len(WAYS)], _goods(number)
    if way == "payjoin":
        payjoin_paid(connection, store, at, fee=120 + 37 * (number % 11), **about)
        return
    offered = None if way in ("direct", "fallback") else str(way)
    row = gallery.add(connection, store, at, **about)
    invoices.set_uri(connection, row.id, f"bitcoin:{row.address}", no_payjoin=offered)
    paying = builders.pay(coin(), to=row.script, value=int(row.amount))
    if way == "fallback":
        handed = builders.negotiated(paying, at=at + 40 - int(builders.CREATED), script=row.script)
        record.keep_negotiation(connection, row.id, handed)
    gallery.look(connection, row, paying, depth=1, at=at + 60)


def _goods(number: int) -> dict[str, Any]:
    cents = 1_450 + 725 * (number * 5 % 13)
    return {
        "amount": Sats(cents * 1_000_000 // RATE),
        "currency": "EUR",
        "price": f"{cents // 100}.{cents % 100:02}",
        "rate": f"{RATE}.00",
        "label": GOODS[number % len(GOODS)],
        "order_id": f"T-{1_000 + number}",
    }


def _in(connection: Connection, store: StoreRow, stage: Stage, now: int) -> InvoiceRow:
    """An invoice in this stage, with the gallery's amount."""
    if stage in gallery.HOLDS:
        policy = structs.replace(store.policy, broadcasts_fallback=False)
        store = structs.replace(store, policy=policy)
    about = {"label": GOODS[len(stage) % len(GOODS)], "order_id": f"T-{stage}"}
    made: InvoiceRow = gallery.STAGES[stage](connection, store, now, **about)
    return made


def _endpoint(connection: Connection, store: StoreRow, now: int) -> UUID:
    urls = ("https://shop.example/hooks/old", "https://shop.example/hooks/dovetail")
    made = [
        webhooks.add_endpoint(
            connection,
            store_id=store.id,
            url=url,
            secret=webhooks.new_secret(),
            kinds=None,
            now=UnixTime(now),
        )
        for url in urls
    ]
    webhooks.set_endpoint(connection, made[0].id, active=False)
    return made[1].id


def _deliver(database: Database, endpoint: UUID, now: int) -> None:
    """Let the endpoint accept all but one event, which it refuses, and two that wait."""

    def write(connection: Connection) -> None:
        found = deliveries.claim_due(connection, UnixTime(now), lease=60, limit=100, each=100)
        for number, each in enumerate(found[:-2]):
            refused = number == 1
            deliveries.finish(
                connection,
                each,
                status="given-up" if refused else deliveries.ACCEPTED,
                next_at=None,
                code=500 if refused else 204,
                error="The endpoint answered with status 500." if refused else None,
                now=UnixTime(now),
            )

    database.write(write)


def _keys(connection: Connection, now: int) -> None:
    for name, scopes in (
        ("Web shop", (Scope.INVOICES_READ, Scope.INVOICES_WRITE)),
        ("Bookkeeping", (Scope.INVOICES_READ,)),
        ("Old shop", (Scope.INVOICES_READ, Scope.INVOICES_WRITE)),
    ):
        row, _ = api_keys.add_key(
            connection, name=name, scopes=scopes, store_ids=None, now=UnixTime(now - 40 * DAY)
        )
        if name.startswith("Old"):
            api_keys.revoke(connection, row.id, UnixTime(now - DAY))
        elif name.startswith("Web"):
            api_keys.touch(connection, row.id, UnixTime(now - 600))


def _coins(connection: Connection, store: StoreRow) -> None:
    """Coins in each state that does not need a session."""
    row = invoices.page(connection, invoices.InvoiceFilter(), limit=1)[0]
    values = (412_000, 83_500, 71_200, 64_900, 15_000)
    outputs = tuple(TxOut(Sats(value), row.script) for value in values)
    paid = Transaction(2, (TxIn(coin()),), outputs, 0)
    coins.see_outputs(connection, store.wallet_id, paid, 7)
    places = [OutPoint(paid.txid, number) for number in range(len(values))]
    coins.set_place(connection, places[2], height=None, absent=False)
    coins.set_place(connection, places[3], height=7, absent=True)
    coins.set_spend(connection, places[4], by=paid.txid, height=None)
