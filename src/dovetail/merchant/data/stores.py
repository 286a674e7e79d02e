"""Stores of a shop: each has a wallet and a policy for its invoices."""

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, insert, select, update

from dovetail.bitcoin import Sats, UnixTime
from dovetail.errors import ConfigurationError
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.data.schema import stores
from dovetail.merchant.invoices.invoice import Confirmations, Permille
from dovetail.merchant.messages import StorePolicy


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The policy of a store as it was when the invoice was made."""

    confirmations: tuple[tuple[int, int], ...]
    accept_unconfirmed: bool
    tolerance: int
    broadcasts_fallback: bool

    @property
    def depths(self) -> Confirmations:
        """The confirmations by amount; raises `ConfigurationError`."""
        return Confirmations(
            tuple((Sats(amount), depth) for amount, depth in self.confirmations),
            accept_unconfirmed=self.accept_unconfirmed,
        )

    @property
    def share(self) -> Permille:
        """The tolerance."""
        return Permille(self.tolerance)


def terms_of(policy: StorePolicy) -> Terms:
    """The part that each invoice keeps as its own; raises `ConfigurationError`."""
    terms = Terms(
        confirmations=tuple((each.from_sats, each.confirmations) for each in policy.confirmations),
        accept_unconfirmed=policy.accept_unconfirmed,
        tolerance=policy.tolerance_permille,
        broadcasts_fallback=policy.broadcasts_fallback,
    )
    _ = terms.depths
    return terms


class StoreRow(msgspec.Struct, frozen=True, kw_only=True):
    """A store."""

    id: UUID
    wallet_id: UUID
    name: str
    policy: StorePolicy
    created_at: int
    archived_at: int | None = None


def add_store(
    connection: Connection, *, wallet_id: UUID, name: str, policy: StorePolicy, now: UnixTime
) -> StoreRow:
    """Insert a store; raises `ConfigurationError` for a policy that contradicts itself."""
    terms_of(policy)
    row = StoreRow(id=new_id(), wallet_id=wallet_id, name=name, policy=policy, created_at=int(now))
    connection.execute(
        insert(stores).values(
            id=row.id,
            wallet_id=wallet_id,
            name=name,
            policy=msgspec.json.encode(policy),
            created_at=int(now),
        )
    )
    return row


def change_policy(connection: Connection, store_id: UUID, policy: StorePolicy) -> None:
    """Change the policy for new invoices; raises `ConfigurationError` for a contradiction."""
    terms_of(policy)
    connection.execute(
        update(stores).where(stores.c.id == store_id).values(policy=msgspec.json.encode(policy))
    )


def rename(connection: Connection, store_id: UUID, name: str) -> None:
    """Give a store another name."""
    connection.execute(update(stores).where(stores.c.id == store_id).values(name=name))


def store(connection: Connection, store_id: UUID) -> StoreRow | None:
    """Return a store, or None."""
    found = connection.execute(select(stores).where(stores.c.id == store_id)).first()
    return None if found is None else _row(found)


def all_stores(connection: Connection) -> tuple[StoreRow, ...]:
    """Return every store, the oldest first."""
    return tuple(map(_row, connection.execute(select(stores).order_by(stores.c.id))))


def _row(row: Any) -> StoreRow:
    try:
        policy = msgspec.json.decode(row.policy, type=StorePolicy)
    except msgspec.DecodeError as error:
        raise ConfigurationError(
            f"The policy of the store {row.id} cannot be read: it was written by a newer Dovetail"
            " or is damaged."
        ) from error
    return StoreRow(
        id=row.id,
        wallet_id=row.wallet_id,
        name=row.name,
        policy=policy,
        created_at=row.created_at,
        archived_at=row.archived_at,
    )
