"""The transactions of refunds, pinned before they are signed, and the coins that they hold."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select, update

from dovetail.bitcoin import OutPoint, Psbt, Sats, Transaction, Txid, UnixTime
from dovetail.errors import CoinsTaken
from dovetail.merchant.data.schema import refund_coins, refund_payments
from dovetail.stores.sql.schema import coin_reservations
from dovetail.stores.sql.upsert import upsert


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PaymentRow:
    """One transaction of a refund; those after the first only raise its fee."""

    refund_id: UUID
    number: int
    txid: Txid
    fee: Sats
    psbt: Psbt
    """As it was pinned, without signatures."""
    raw: Transaction | None
    """With its signatures; None until the signer gave them."""
    at: UnixTime

    def __repr__(self) -> str:
        return f"<PaymentRow {self.refund_id} {self.number}>"

    @property
    def name(self) -> str:
        """How the signer names it: the first one as its refund."""
        return name_of(self.refund_id, self.number)


def name_of(refund_id: UUID, number: int) -> str:
    """Return how the signer names a payment of a refund."""
    return str(refund_id) if number == 1 else f"{refund_id}-{number}"


def pin(
    connection: Connection, refund_id: UUID, number: int, psbt: Psbt, *, fee: Sats, now: UnixTime
) -> None:
    """Keep a transaction for good, before anybody signs it."""
    connection.execute(
        insert(refund_payments).values(
            refund_id=refund_id,
            number=number,
            txid=str(psbt.unsigned_transaction.txid),
            fee=int(fee),
            psbt=psbt.serialize(),
            at=int(now),
        )
    )


def keep_signed(
    connection: Connection, refund_id: UUID, number: int, transaction: Transaction
) -> None:
    """Keep a signed transaction, before it is broadcast."""
    table = refund_payments.c
    connection.execute(
        update(refund_payments)
        .where(table.refund_id == refund_id, table.number == number)
        .values(raw=transaction.serialize())
    )


def payments_of(connection: Connection, refund_id: UUID) -> tuple[PaymentRow, ...]:
    """Return the transactions of a refund, in order; none once they were forgotten."""
    table = refund_payments.c
    query = (
        select(refund_payments)
        .where(table.refund_id == refund_id, table.psbt.is_not(None))
        .order_by(table.number)
    )
    return tuple(map(_row, connection.execute(query)))


def hold_coins(connection: Connection, refund_id: UUID, outpoints: Collection[OutPoint]) -> None:
    """Take coins for a refund; raises `CoinsTaken` where a session or another refund has one.

    The rows of the sessions' reservations are locked for it: a session that takes such a coin
    later finds it here before it asks for a signature (`MerchantWallet.sign`).
    """
    ordered = sorted(map(str, outpoints))
    holder = coin_reservations.c.session_id
    for coin in ordered:
        statement = upsert(connection, coin_reservations).values(outpoint=coin)
        held = connection.execute(
            statement.on_conflict_do_update(
                index_elements=["outpoint"], set_={"session_id": holder}
            ).returning(holder)
        ).scalar()
        if held is not None:
            raise CoinsTaken("A session holds one of the coins: choose others.")
    for coin in ordered:
        mine = upsert(connection, refund_coins).values(outpoint=coin, refund_id=refund_id)
        taken = connection.execute(
            mine.on_conflict_do_update(
                index_elements=["outpoint"], set_={"refund_id": refund_coins.c.refund_id}
            ).returning(refund_coins.c.refund_id)
        ).scalar()
        if taken != refund_id:
            raise CoinsTaken("Another refund holds one of the coins: choose others.")


def held_coins(connection: Connection) -> frozenset[OutPoint]:
    """Return the coins that refunds hold."""
    found = connection.execute(select(refund_coins.c.outpoint)).scalars()
    return frozenset(map(OutPoint.parse, found))


def coins_of_sessions(connection: Connection) -> frozenset[OutPoint]:
    """Return the coins that sessions hold, as this transaction sees them."""
    table = coin_reservations.c
    found = connection.execute(select(table.outpoint).where(table.session_id.is_not(None)))
    return frozenset(map(OutPoint.parse, found.scalars()))


def free_coins(connection: Connection, refund_id: UUID) -> None:
    """Give back the coins of a refund that is over."""
    connection.execute(delete(refund_coins).where(refund_coins.c.refund_id == refund_id))


def forget(connection: Connection, refund_ids: Collection[UUID]) -> None:
    """Delete the transactions of refunds that are over; txids and fees stay."""
    connection.execute(
        update(refund_payments)
        .where(refund_payments.c.refund_id.in_(list(refund_ids)))
        .values(psbt=None, raw=None)
    )


def _row(row: Any) -> PaymentRow:
    return PaymentRow(
        refund_id=row.refund_id,
        number=row.number,
        txid=Txid.from_hex(row.txid),
        fee=Sats(row.fee),
        psbt=Psbt.parse(row.psbt),
        raw=None if row.raw is None else Transaction.parse(row.raw),
        at=UnixTime(row.at),
    )
