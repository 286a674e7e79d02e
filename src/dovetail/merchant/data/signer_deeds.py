"""What the database knows that the signer has done: a signer that has forgotten must not sign."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, select

from dovetail.merchant.data.refund_payments import name_of
from dovetail.merchant.data.schema import invoices, refund_payments, refunds
from dovetail.merchant.data.wallets import all_wallets


@dataclass(frozen=True, slots=True, kw_only=True)
class Deeds:
    """The newest deeds of one wallet's signer, by the names that it was told."""

    descriptor: str
    sessions: tuple[str, ...]
    """Sessions that were opened there: each invoice has one before its URI is shown."""
    payments: tuple[str, ...]
    """Refunds' payments that it has signed."""


def deeds(connection: Connection, *, limit: int) -> tuple[Deeds, ...]:
    """Return at most `limit` sessions and payments of each wallet, the newest first."""
    return tuple(
        Deeds(
            descriptor=row.descriptor,
            sessions=_sessions(connection, row.id, limit),
            payments=_payments(connection, row.id, limit),
        )
        for row in all_wallets(connection)
    )


def _sessions(connection: Connection, wallet_id: UUID, limit: int) -> tuple[str, ...]:
    query = (
        select(invoices.c.id)
        .where(invoices.c.wallet_id == wallet_id, invoices.c.session_id.is_not(None))
        .order_by(invoices.c.id.desc())
        .limit(limit)
    )
    return tuple(map(str, connection.execute(query).scalars()))


def _payments(connection: Connection, wallet_id: UUID, limit: int) -> tuple[str, ...]:
    table = refund_payments.c
    query = (
        select(table.refund_id, table.number)
        .join(refunds, refunds.c.id == table.refund_id)
        .where(refunds.c.wallet_id == wallet_id, table.raw.is_not(None))
        .order_by(table.refund_id.desc(), table.number.desc())
        .limit(limit)
    )
    return tuple(name_of(*row) for row in connection.execute(query))
