"""Numbers about the whole shop, for metrics."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, func, select

from dovetail.bitcoin import Sats, UnixTime
from dovetail.merchant.data.schema import invoice_events, invoices, webhook_deliveries
from dovetail.stores.sql.schema import sessions

_NOTHING = Sats(0)
_DATA = msgspec.json.Decoder(dict[str, Any])


def invoices_by_status(connection: Connection) -> dict[str, int]:
    """Return how many invoices have each status."""
    query = select(invoices.c.status, func.count()).group_by(invoices.c.status)
    return _counted(connection.execute(query))


def sessions_by_event(connection: Connection) -> dict[str, int]:
    """Return how many sessions are open, by their last event."""
    query = (
        select(sessions.c.last_tag, func.count())
        .where(sessions.c.closed_at.is_(None))
        .group_by(sessions.c.last_tag)
    )
    return _counted(connection.execute(query))


def webhooks_waiting(connection: Connection, now: UnixTime) -> tuple[int, int]:
    """Return how many deliveries wait, and for how many seconds the oldest has been due."""
    query = select(func.count(), func.min(webhook_deliveries.c.next_at)).where(
        webhook_deliveries.c.status == "pending"
    )
    count, due = connection.execute(query).one()
    return int(count), max(0, int(now) - int(due)) if due is not None else 0


def events_since(connection: Connection, seconds: float) -> list[tuple[UUID, str, list[str]]]:
    """Return the events since a time: id, kind, and how what settled an invoice was paid."""
    query = select(invoice_events.c.id, invoice_events.c.kind, invoice_events.c.data).where(
        invoice_events.c.id > UUID(int=int(seconds * 1000) << 80)
    )
    return [
        (row.id, row.kind, _paid_by(row.data) if row.kind == "invoice.settled" else [])
        for row in connection.execute(query)
    ]


@dataclass(frozen=True, slots=True)
class Settlement:
    """How an invoice was paid when it settled last."""

    at: UnixTime
    kinds: frozenset[str]
    """Those of its transactions (`invoices.credit.PaymentKind`)."""
    no_payjoin: str | None
    """Why no payjoin was offered (`services.readiness.NoPayjoin`)."""
    fees: Sats = _NOTHING
    """What the shop paid of the payjoin's fee: that much less than was paid is in its wallet."""


def settlements(connection: Connection, since: UnixTime) -> tuple[Settlement, ...]:
    """Return the invoices that have settled since a time, each once, the earliest first."""
    query = (
        select(
            invoice_events.c.invoice_id,
            invoice_events.c.at,
            invoice_events.c.data,
            invoices.c.no_payjoin,
            (invoices.c.paid - invoices.c.gained).label("fees"),
        )
        .join(invoices, invoices.c.id == invoice_events.c.invoice_id)
        .where(
            invoice_events.c.kind == "invoice.settled",
            invoice_events.c.id > UUID(int=max(0, int(since) * 1000) << 80),
        )
        .order_by(invoice_events.c.id)
    )
    found: dict[UUID, Settlement] = {}
    for row in connection.execute(query):
        kinds = frozenset(_paid_by(row.data))
        fees = Sats(max(0, int(row.fees)))
        found[row.invoice_id] = Settlement(UnixTime(row.at), kinds, row.no_payjoin, fees)
    return tuple(found.values())


def _paid_by(data: bytes) -> list[str]:
    return [str(each["kind"]) for each in _DATA.decode(data).get("transactions", ())]


def _counted(rows: Iterable[Any]) -> dict[str, int]:
    return {str(name): int(count) for name, count in rows}
