"""Retention: what is deleted of an invoice once its store's time is over, and what stays.

The session's log, its secrets, the payment URI, label, order and metadata go together. The sums,
the status, the payments and the events stay. So do the inputs that were seen and the coins that
were exposed, which later sessions must know (P2, P3). Of refunds the addresses, reasons and links
go, and sums and txids stay; an invoice with a refund that goes on is not forgotten.
"""

from uuid import UUID

from sqlalchemy import Connection, delete, not_, or_, select, update

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data import refunds
from dovetail.merchant.data.invoices import invoice
from dovetail.merchant.data.schema import invoices
from dovetail.merchant.data.stores import all_stores
from dovetail.stores.sql.schema import coin_reservations, session_events, sessions, sightings

TOGETHER = 100
"""Invoices of one store that are looked for at once."""


def due(connection: Connection, now: UnixTime) -> tuple[UUID, ...]:
    """Return invoices whose time is over and whose session has ended, some of each store."""
    found: list[UUID] = []
    for store in all_stores(connection):
        query = (
            select(invoices.c.id)
            .outerjoin(sessions, sessions.c.session_id == invoices.c.session_id)
            .where(
                invoices.c.store_id == store.id,
                invoices.c.forgotten_at.is_(None),
                invoices.c.monitored_until < int(now) - store.policy.secrets_seconds,
                or_(invoices.c.session_id.is_(None), sessions.c.closed_at.is_not(None)),
                not_(refunds.under_way()),
            )
            .order_by(invoices.c.monitored_until)
            .limit(TOGETHER)
        )
        found += connection.execute(query).scalars()
    return tuple(found)


def forget(connection: Connection, invoice_id: UUID, now: UnixTime) -> None:
    """Delete what is kept no longer, all or nothing."""
    row = invoice(connection, invoice_id, lock=True)
    if row is None or row.forgotten_at is not None:
        return
    connection.execute(
        update(invoices)
        .where(invoices.c.id == invoice_id)
        .values(
            session_id=None,
            uri=None,
            label=None,
            order_id=None,
            metadata=None,
            redirect_url=None,
            forgotten_at=int(now),
        )
    )
    refunds.forget(connection, invoice_id)
    if row.session_id is None:
        return
    connection.execute(
        update(coin_reservations)
        .where(coin_reservations.c.session_id == row.session_id)
        .values(session_id=None)
    )
    for table in (session_events, sightings, sessions):
        connection.execute(delete(table).where(table.c.session_id == row.session_id))
