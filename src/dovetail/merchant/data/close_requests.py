"""Requests to close the payjoin session of an invoice: who asked, when, and what came of it."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, select, update

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.schema import close_requests
from dovetail.stores.ports import SessionId
from dovetail.stores.sql.upsert import upsert


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRequest:
    """A request; `result` is what came of it, once it is done."""

    invoice_id: UUID
    session_id: SessionId | None
    asked_by: str
    asked_at: UnixTime
    status_then: str
    done_at: UnixTime | None
    result: str | None


def ask(connection: Connection, row: InvoiceRow, *, by: str, now: UnixTime) -> CloseRequest:
    """Record a request, unless there is one already; return the one that counts."""
    statement = upsert(connection, close_requests).values(
        invoice_id=row.id,
        session_id=row.session_id,
        asked_by=by,
        asked_at=int(now),
        status_then=row.status.value,
        done_at=int(now) if row.session_id is None else None,
        result="no-session" if row.session_id is None else None,
    )
    connection.execute(
        statement.on_conflict_do_nothing(index_elements=[close_requests.c.invoice_id])
    )
    query = select(close_requests).where(close_requests.c.invoice_id == row.id)
    return CloseRequest(**connection.execute(query).mappings().one())


def request_for(connection: Connection, invoice_id: UUID) -> CloseRequest | None:
    """Return the request about an invoice, or None."""
    query = select(close_requests).where(close_requests.c.invoice_id == invoice_id)
    found = connection.execute(query).mappings().first()
    return None if found is None else CloseRequest(**found)


def waiting(connection: Connection) -> tuple[CloseRequest, ...]:
    """Return the requests that are not done, the oldest first."""
    query = (
        select(close_requests)
        .where(close_requests.c.done_at.is_(None))
        .order_by(close_requests.c.asked_at)
    )
    return tuple(CloseRequest(**row) for row in connection.execute(query).mappings())


def finish(connection: Connection, invoice_id: UUID, *, result: str, now: UnixTime) -> None:
    """Record what came of a request."""
    connection.execute(
        update(close_requests)
        .where(close_requests.c.invoice_id == invoice_id, close_requests.c.done_at.is_(None))
        .values(done_at=int(now), result=result)
    )
