"""A store with its wallet, and invoices in its database, in few words."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection
from tests.merchant import builders

from dovetail.bitcoin import Address, Network, Sats, Script, UnixTime
from dovetail.merchant.data import events
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.data.invoices import InvoiceRow, add_invoice
from dovetail.merchant.data.stores import StoreRow, add_store, terms_of
from dovetail.merchant.data.wallets import Purpose, add_wallet, give_address
from dovetail.merchant.keychains import Keychain
from dovetail.merchant.messages import StorePolicy

DESCRIPTOR = "wpkh(public)"


def script_at(index: int, *, of: int = 0) -> Script:
    """A script that no other index has."""
    return Script(b"\x00\x14" + (of << 64 | index).to_bytes(20, "big"))


def add_shop(
    connection: Connection, *, now: int = builders.CREATED, name: str = "main", **policy: Any
) -> StoreRow:
    """A store with a wallet of its own."""
    wallet = add_wallet(
        connection,
        name=name,
        network=Network.REGTEST,
        descriptor=DESCRIPTOR,
        cold_descriptor=None,
        now=UnixTime(now),
    )
    return add_store(
        connection,
        wallet_id=wallet.id,
        name=name,
        policy=StorePolicy(**policy),
        now=UnixTime(now),
    )


def add_one(
    connection: Connection, store: StoreRow, *, now: int = builders.CREATED, **columns: Any
) -> InvoiceRow:
    """An invoice of the store at the next address, with its first event."""
    invoice_id, created = new_id(), UnixTime(now)
    script = columns.pop("script", None)
    address = give_address(
        connection,
        store.wallet_id,
        Keychain.HOT,
        Purpose.INVOICE,
        lambda index: script or script_at(index, of=store.id.int & 0xFFFF),
        invoice_id=invoice_id,
    )
    expires = UnixTime(created + store.policy.expiry_seconds)
    usual: dict[str, Any] = {
        "id": invoice_id,
        "store_id": store.id,
        "wallet_id": store.wallet_id,
        "amount": Sats(builders.AMOUNT),
        "address": str(Address.from_script(address.script, Network.REGTEST)),
        "script": address.script,
        "terms": terms_of(store.policy),
        "created_at": created,
        "expires_at": expires,
        "monitored_until": UnixTime(expires + store.policy.monitoring_seconds),
    }
    row = InvoiceRow(**(usual | columns))
    add_invoice(connection, row)
    events.begin(connection, row.id, now=created)
    return row


def opened(database: Database, **columns: Any) -> UUID:
    """An invoice of a store of its own."""
    return database.write(lambda c: add_one(c, add_shop(c), **columns)).id
