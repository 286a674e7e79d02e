"""Wallets of a shop: public descriptors, and the addresses that were given out."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from dovetail.bitcoin import Network, Script, UnixTime
from dovetail.errors import ConfigurationError
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.data.schema import addresses, wallets
from dovetail.merchant.keychains import Keychain


class Purpose(StrEnum):
    """What an address was given out for."""

    INVOICE = "invoice"
    SETTLEMENT = "settlement"
    """A payjoin pays it in place of the invoice's address."""
    DEPOSIT = "deposit"
    """The owner sends coins there, to be contributed."""
    CHANGE = "change"
    """A refund's transaction returns there what it does not pay."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WalletRow:
    """A wallet: the public descriptors are ranged, for the external keychain (BIP 380)."""

    id: UUID
    name: str
    network: Network
    descriptor: str
    cold_descriptor: str | None
    next_index: int
    cold_next_index: int
    created_at: UnixTime

    def __repr__(self) -> str:
        return f"<WalletRow {self.id}>"

    def descriptor_of(self, keychain: Keychain) -> str:
        """The descriptor of a keychain; raises `ConfigurationError` where there is none."""
        found = self.descriptor if keychain is Keychain.HOT else self.cold_descriptor
        if found is None:
            raise ConfigurationError("The wallet has no cold descriptor: set one to settle there.")
        return found


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AddressRow:
    """An address that was given out."""

    script: Script
    wallet_id: UUID
    keychain: Keychain
    index: int
    purpose: Purpose
    invoice_id: UUID | None

    def __repr__(self) -> str:
        return f"<AddressRow {self.keychain} {self.index}>"


def add_wallet(
    connection: Connection,
    *,
    name: str,
    network: Network,
    descriptor: str,
    cold_descriptor: str | None,
    now: UnixTime,
) -> WalletRow:
    """Insert a wallet; raises `ConfigurationError` where the name is taken."""
    if connection.execute(select(wallets.c.id).where(wallets.c.name == name)).first():
        raise ConfigurationError("A wallet of this name exists already: choose another name.")
    row = WalletRow(
        id=new_id(),
        name=name,
        network=network,
        descriptor=descriptor,
        cold_descriptor=cold_descriptor,
        next_index=0,
        cold_next_index=0,
        created_at=now,
    )
    values = {field: getattr(row, field) for field in WalletRow.__slots__}
    connection.execute(insert(wallets).values(values | {"network": network.value}))
    return row


def known_or_added(
    connection: Connection,
    *,
    network: Network,
    descriptor: str,
    cold_descriptor: str | None,
    now: UnixTime,
) -> WalletRow:
    """Return the wallet of these descriptors, which is taken in where it is new."""
    known = all_wallets(connection)
    for row in known:
        if (row.descriptor, row.cold_descriptor) == (descriptor, cold_descriptor):
            return row
    return add_wallet(
        connection,
        name=f"wallet {len(known) + 1}",
        network=network,
        descriptor=descriptor,
        cold_descriptor=cold_descriptor,
        now=now,
    )


def wallet(connection: Connection, wallet_id: UUID) -> WalletRow | None:
    """Return a wallet, or None."""
    found = connection.execute(select(wallets).where(wallets.c.id == wallet_id)).first()
    return None if found is None else _wallet(found)


def all_wallets(connection: Connection) -> tuple[WalletRow, ...]:
    """Return every wallet, the oldest first."""
    return tuple(map(_wallet, connection.execute(select(wallets).order_by(wallets.c.id))))


def give_address(
    connection: Connection,
    wallet_id: UUID,
    keychain: Keychain,
    purpose: Purpose,
    derive: Callable[[int], Script],
    *,
    invoice_id: UUID | None = None,
) -> AddressRow:
    """Take the next index of a keychain, for good; `derive` gives the script at an index."""
    counter = wallets.c.next_index if keychain is Keychain.HOT else wallets.c.cold_next_index
    taken = connection.execute(
        update(wallets)
        .where(wallets.c.id == wallet_id)
        .values({counter: counter + 1})
        .returning(counter)
    ).scalar_one()
    index = int(taken) - 1
    row = AddressRow(
        script=derive(index),
        wallet_id=wallet_id,
        keychain=keychain,
        index=index,
        purpose=purpose,
        invoice_id=invoice_id,
    )
    connection.execute(
        insert(addresses).values(
            script=bytes(row.script),
            wallet_id=wallet_id,
            keychain=keychain.value,
            index=index,
            purpose=purpose.value,
            invoice_id=invoice_id,
        )
    )
    return row


def addresses_of(
    connection: Connection, wallet_id: UUID, *purposes: Purpose
) -> tuple[AddressRow, ...]:
    """Return the addresses of a wallet that were given out for these purposes."""
    query = select(addresses).where(
        addresses.c.wallet_id == wallet_id,
        addresses.c.purpose.in_([each.value for each in purposes]),
    )
    return tuple(map(_address, connection.execute(query)))


def pass_over(connection: Connection, count: int) -> None:
    """Leave out the next addresses of every wallet, which may have been given out already."""
    table = wallets.c
    connection.execute(
        update(wallets).values(
            next_index=table.next_index + count, cold_next_index=table.cold_next_index + count
        )
    )


def address_at(connection: Connection, script: Script) -> AddressRow | None:
    """Return the address of a script, or None."""
    query = select(addresses).where(addresses.c.script == bytes(script))
    found = connection.execute(query).first()
    return None if found is None else _address(found)


def address_for(
    connection: Connection, invoice_id: UUID, wallet_id: UUID, purpose: Purpose
) -> AddressRow | None:
    """Return the address that was given out for an invoice, or None."""
    query = select(addresses).where(
        addresses.c.wallet_id == wallet_id,
        addresses.c.purpose == purpose.value,
        addresses.c.invoice_id == invoice_id,
    )
    found = connection.execute(query).first()
    return None if found is None else _address(found)


def _wallet(row: Any) -> WalletRow:
    values = row._asdict()
    return WalletRow(**values | {"network": Network(values["network"])})


def _address(row: Any) -> AddressRow:
    return AddressRow(
        script=Script(row.script),
        wallet_id=row.wallet_id,
        keychain=Keychain(row.keychain),
        index=row.index,
        purpose=Purpose(row.purpose),
        invoice_id=row.invoice_id,
    )
