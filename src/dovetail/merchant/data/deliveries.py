"""The deliveries of invoices' events to webhook endpoints, and the attempts of each."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    exists,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.data.schema import webhook_attempts, webhook_deliveries

ACCEPTED = "accepted"
"""The status of a delivery that its endpoint has taken."""


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery; `next_at` is when it is tried again."""

    id: UUID
    endpoint_id: UUID
    invoice_id: UUID
    event_id: UUID
    created_at: int
    status: str
    next_at: int | None
    leased_until: int | None
    attempts: int
    last_code: int | None
    last_error: str | None
    name: str | None = None
    """The event's name in the words of the endpoint's form; None: it is the event's kind."""
    subject: str | None = None
    """The transaction that the event is about, where it is about one."""
    original_id: UUID | None = None
    """The delivery that this one repeats."""


def claim_due(
    connection: Connection,
    now: UnixTime,
    *,
    lease: int,
    limit: int,
    each: int,
    busy: Collection[UUID] = (),
) -> tuple[DeliveryRow, ...]:
    """Take deliveries that are due, for `lease` seconds: no other worker takes them meanwhile.

    At most `each` are of one endpoint, and none of an endpoint that is `busy`. A delivery whose
    lease has run out is due again: its worker has died, or its answer came too late. Where the
    endpoint has a form, what it hears of one invoice comes in its turn.
    """
    table = webhook_deliveries.c
    is_due = and_(
        table.status == "pending",
        table.next_at <= int(now),
        or_(table.leased_until.is_(None), table.leased_until <= int(now)),
        _in_turn(),
    )
    place = func.row_number().over(
        partition_by=table.endpoint_id, order_by=(table.next_at, table.id)
    )
    ranked = (
        select(table.id, place.label("place"))
        .where(is_due, table.endpoint_id.not_in(busy))
        .subquery()
    )
    # A CTE is worked out once. PostgreSQL may repeat a subquery, and so take more than `limit`.
    due = (
        select(table.id)
        .where(table.id.in_(select(ranked.c.id).where(ranked.c.place <= each)), is_due)
        .order_by(table.next_at, table.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    statement = (
        update(webhook_deliveries)
        .where(table.id.in_(select(due.c.id)))
        .values(leased_until=int(now) + lease, attempts=table.attempts + 1)
        .returning(webhook_deliveries)
    )
    found = sorted(connection.execute(statement), key=lambda row: row.id)
    return tuple(map(_delivery, found))


def finish(
    connection: Connection,
    delivery: DeliveryRow,
    *,
    status: str,
    next_at: UnixTime | None,
    code: int | None,
    error: str | None,
    now: UnixTime,
) -> None:
    """Record an attempt, and where its delivery stands now: `pending` with a next time, or over.

    An attempt whose lease was lost to another worker changes the delivery only if the endpoint has
    accepted it: else it is for the other to say.
    """
    table = webhook_deliveries.c
    mine = table.attempts == delivery.attempts
    connection.execute(
        update(webhook_deliveries)
        .where(
            table.id == delivery.id,
            table.status == "pending",
            true() if status == ACCEPTED else mine,
        )
        .values(
            status=status,
            next_at=None if next_at is None else int(next_at),
            leased_until=None,
            last_code=code,
            last_error=error,
        )
    )
    connection.execute(
        insert(webhook_attempts).values(
            delivery_id=delivery.id,
            number=delivery.attempts,
            at=int(now),
            code=code,
            error=error,
        )
    )


def resend(connection: Connection, delivery: DeliveryRow, now: UnixTime) -> DeliveryRow:
    """Send the event of a delivery again, whatever came of it, as a delivery of its own.

    So an attempt that is under way changes nothing about it, and it has all tries before it.
    """
    delivery_id = add_delivery(
        connection,
        endpoint_id=delivery.endpoint_id,
        invoice_id=delivery.invoice_id,
        event_id=delivery.event_id,
        now=now,
        name=delivery.name,
        subject=delivery.subject,
        original_id=delivery.original_id or delivery.id,
    )
    query = select(webhook_deliveries).where(webhook_deliveries.c.id == delivery_id)
    return _delivery(connection.execute(query).one())


def add_delivery(
    connection: Connection,
    *,
    endpoint_id: UUID,
    invoice_id: UUID,
    event_id: UUID,
    now: UnixTime,
    name: str | None = None,
    subject: str | None = None,
    original_id: UUID | None = None,
) -> UUID:
    """Have an event delivered to an endpoint; return the delivery's id."""
    delivery_id = new_id()
    connection.execute(
        insert(webhook_deliveries).values(
            id=delivery_id,
            endpoint_id=endpoint_id,
            invoice_id=invoice_id,
            event_id=event_id,
            created_at=int(now),
            status="pending",
            next_at=int(now),
            attempts=0,
            name=name,
            subject=subject,
            original_id=original_id,
        )
    )
    return delivery_id


def delivery(connection: Connection, delivery_id: UUID) -> DeliveryRow | None:
    """Return a delivery, or None."""
    query = select(webhook_deliveries).where(webhook_deliveries.c.id == delivery_id)
    found = connection.execute(query).first()
    return None if found is None else _delivery(found)


def deliveries_of(
    connection: Connection, endpoint_id: UUID, *, limit: int, before: UUID | None = None
) -> tuple[DeliveryRow, ...]:
    """Return the deliveries to an endpoint, the newest first."""
    table = webhook_deliveries.c
    query = select(webhook_deliveries).where(table.endpoint_id == endpoint_id)
    if before is not None:
        query = query.where(table.id < before)
    return tuple(map(_delivery, connection.execute(query.order_by(table.id.desc()).limit(limit))))


def attempts_of(connection: Connection, delivery_id: UUID) -> list[dict[str, Any]]:
    """Return the attempts at a delivery, in order."""
    table = webhook_attempts.c
    query = select(table.number, table.at, table.code, table.error).where(
        table.delivery_id == delivery_id
    )
    return [dict(row) for row in connection.execute(query.order_by(table.number)).mappings()]


def next_due(connection: Connection) -> UnixTime | None:
    """Return when the next delivery is due, or its lease runs out; None where none waits."""
    table = webhook_deliveries.c
    free_at = case((table.leased_until > table.next_at, table.leased_until), else_=table.next_at)
    query = select(func.min(free_at)).where(table.status == "pending", _in_turn())
    found = connection.execute(query).scalar()
    return None if found is None else UnixTime(found)


def _in_turn() -> ColumnElement[bool]:
    """Whether no earlier delivery about the same invoice waits for the same endpoint.

    The bodies of other forms have no number by which a shop knows that news are old. What a person
    sends again does not wait.
    """
    table, earlier = webhook_deliveries.c, webhook_deliveries.alias("earlier")
    waits = exists().where(
        earlier.c.endpoint_id == table.endpoint_id,
        earlier.c.invoice_id == table.invoice_id,
        earlier.c.status == "pending",
        earlier.c.id < table.id,
    )
    return or_(table.name.is_(None), table.original_id.is_not(None), ~waits)


def _delivery(row: Any) -> DeliveryRow:
    return DeliveryRow(**{name: getattr(row, name) for name in DeliveryRow.__struct_fields__})
