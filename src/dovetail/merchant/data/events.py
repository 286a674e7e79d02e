"""The events of an invoice: each is numbered, and feeds webhooks and event streams."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, insert, or_, select, update

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data import deliveries, webhooks
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.record import load
from dovetail.merchant.data.schema import invoice_events, invoices
from dovetail.merchant.invoices import btcpay
from dovetail.merchant.invoices.changes import change_between
from dovetail.merchant.invoices.invoice import InvoiceStatus
from dovetail.merchant.invoices.life import Cause, InvoiceState

CREATED = "invoice.created"
CHANGED = "invoice.changed"
"""The credit changed, or the cause, and the status did not."""

_AT_ONCE = 200
"""Invoices in one query."""

_KINDS = {status: f"invoice.{status}" for status in InvoiceStatus}
_DATA = msgspec.json.Decoder(dict[str, Any])


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """An event of an invoice; `seq` counts from 1."""

    id: UUID
    invoice_id: UUID
    seq: int
    store_id: UUID
    kind: str
    status: str
    exception: str
    cause: str
    at: int
    data: dict[str, Any]
    """What it has at that time: sums in satoshis, and the transactions that are credited."""


def begin(connection: Connection, invoice_id: UUID, *, now: UnixTime) -> None:
    """Record that an invoice was created; call it once, in the transaction that adds it."""
    record = load(connection, invoice_id, lock=True)
    state = record.state(now)
    _tell(connection, record.row, state, kind=CREATED, cause=state.cause, now=now)
    _keep(connection, record.row, state, now)


def change(
    connection: Connection,
    invoice_id: UUID,
    work: Callable[[], None] = lambda: None,
    *,
    now: UnixTime,
) -> InvoiceState:
    """Let `work` grow the record of an invoice, and record what that changed.

    The event, its webhooks' deliveries and the row of the invoice are written in the caller's
    transaction, and the invoice is locked until that ends. Without `work` only the clock has gone
    on. A clock that is behind does not take back what another one has told: then the time of the
    last event counts. Raises `UsageError` for an unknown invoice.
    """
    record = load(connection, invoice_id, lock=True)
    told_at = _told_at(connection, record.row)
    now = max(now, told_at)
    before = record.state(told_at)
    work()
    grown = load(connection, invoice_id)
    after = grown.state(now)
    told = change_between(before, after)
    if told is not None:
        kind = CHANGED if before.status is after.status else _KINDS[after.status]
        _tell(connection, grown.row, after, kind=kind, cause=told.cause, now=now)
    if told is not None or record.row.next_change_at != _next_change(grown.row, after, now):
        _keep(connection, grown.row, after, now)
    return after


def tell_beside(
    connection: Connection, invoice_id: UUID, kind: str, data: dict[str, Any], *, now: UnixTime
) -> None:
    """Append an event about something beside the invoice's status, such as a refund.

    What the clock has changed is told first, so that every event finds the invoice as it stands.
    """
    state = change(connection, invoice_id, now=now)
    row = load(connection, invoice_id).row
    at = max(now, _told_at(connection, row))
    _append(connection, row, state, kind=kind, cause=state.cause, now=at, data=data)


def events_of(connection: Connection, invoice_id: UUID, *, after: int = 0) -> tuple[EventRow, ...]:
    """Return the events of an invoice that follow the one of this number, in order."""
    query = (
        select(invoice_events)
        .where(invoice_events.c.invoice_id == invoice_id, invoice_events.c.seq > after)
        .order_by(invoice_events.c.seq)
    )
    return tuple(map(_row, connection.execute(query)))


def events_after(
    connection: Connection, told: Mapping[UUID, int], *, most: int
) -> Iterator[EventRow]:
    """Yield the events of several invoices that follow a number of each, in order.

    Of one invoice, those of the next `most` numbers. What it costs grows with the invoices that
    have new events, and not with their events so far.
    """
    ids = sorted(told)
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        query = select(invoices.c.id, invoices.c.events).where(invoices.c.id.in_(some))
        grown = [row.id for row in connection.execute(query) if row.events > told[row.id]]
        if not grown:
            continue
        wanted = [
            (invoice_events.c.invoice_id == each)
            & invoice_events.c.seq.between(told[each] + 1, told[each] + most)
            for each in grown
        ]
        query = (
            select(invoice_events)
            .where(or_(*wanted))
            .order_by(invoice_events.c.invoice_id, invoice_events.c.seq)
        )
        yield from map(_row, connection.execute(query))


def event(connection: Connection, event_id: UUID) -> EventRow | None:
    """Return an event, or None."""
    query = select(invoice_events).where(invoice_events.c.id == event_id)
    found = connection.execute(query).first()
    return None if found is None else _row(found)


def _told_at(connection: Connection, row: InvoiceRow) -> UnixTime:
    """When the last event was recorded: then the record and the clock gave what was told."""
    query = select(invoice_events.c.at).where(
        invoice_events.c.invoice_id == row.id, invoice_events.c.seq == row.events
    )
    return UnixTime(connection.execute(query).scalar() or row.created_at)


def _tell(
    connection: Connection,
    row: InvoiceRow,
    state: InvoiceState,
    *,
    kind: str,
    cause: Cause,
    now: UnixTime,
) -> None:
    """Append an event of the invoice's own."""
    _append(connection, row, state, kind=kind, cause=cause, now=now, data=_facts(state))


def _append(
    connection: Connection,
    row: InvoiceRow,
    state: InvoiceState,
    *,
    kind: str,
    cause: Cause,
    now: UnixTime,
    data: dict[str, Any],
) -> None:
    """Append an event, and a delivery for each endpoint of the store that wants it."""
    event_id, seq = new_id(), row.events + 1
    connection.execute(
        insert(invoice_events).values(
            id=event_id,
            invoice_id=row.id,
            seq=seq,
            store_id=row.store_id,
            kind=kind,
            status=state.status.value,
            exception=state.exception.value,
            cause=cause.value,
            at=int(now),
            data=msgspec.json.encode(data),
        )
    )
    connection.execute(update(invoices).where(invoices.c.id == row.id).values(events=seq))
    deliver = partial(
        deliveries.add_delivery, connection, invoice_id=row.id, event_id=event_id, now=now
    )
    hearing = [each for each in webhooks.endpoints_of(connection, row.store_id) if each.active]
    for each in hearing:
        if each.form is None and each.wants(kind):
            deliver(endpoint_id=each.id)
    others = [each for each in hearing if each.form == webhooks.GREENFIELD]
    if not others:
        return
    told = btcpay.told_as(kind, state, _listed(events_of(connection, row.id), before=seq))
    for each, news in product(others, told):
        if each.wants(news.name):
            deliver(endpoint_id=each.id, name=news.name, subject=news.txid)


def _listed(told: Iterable[EventRow], *, before: int) -> dict[str, int]:
    """The transactions that earlier events named, each with the greatest depth that they told."""
    depths: dict[str, int] = {}
    for each in (
        one for row in told if row.seq < before for one in row.data.get("transactions", ())
    ):
        depths[each["txid"]] = max(each["depth"], depths.get(each["txid"], 0))
    return depths


def _keep(connection: Connection, row: InvoiceRow, state: InvoiceState, now: UnixTime) -> None:
    """Let the invoice's row say where it stands."""
    connection.execute(
        update(invoices)
        .where(invoices.c.id == row.id)
        .values(
            status=state.status.value,
            exception=state.exception.value,
            cause=state.cause.value,
            paid=int(state.credit.total),
            gained=int(state.credit.gained),
            next_change_at=_next_change(row, state, now),
        )
    )


def _next_change(row: InvoiceRow, state: InvoiceState, now: UnixTime) -> UnixTime | None:
    """When the clock alone may change the status next; None: never."""
    if state.mark is not None or state.status is InvoiceStatus.SETTLED:
        return None
    later = [each for each in (row.expires_at, row.monitored_until) if each > now]
    return min(later, default=None)


def _facts(state: InvoiceState) -> dict[str, Any]:
    credit = state.credit
    return {
        "paid": int(credit.paid),
        "confirmed": int(credit.confirmed),
        "late": int(credit.late),
        "gained": int(credit.gained),
        "transactions": [
            {"txid": str(each.txid), "kind": each.kind.value, "depth": each.depth}
            for each in state.counted
        ],
        "marked_by": None if state.mark is None else state.mark.by,
    }


def _row(row: Any) -> EventRow:
    return EventRow(
        id=row.id,
        invoice_id=row.invoice_id,
        seq=row.seq,
        store_id=row.store_id,
        kind=row.kind,
        status=row.status,
        exception=row.exception,
        cause=row.cause,
        at=row.at,
        data=_DATA.decode(row.data),
    )
