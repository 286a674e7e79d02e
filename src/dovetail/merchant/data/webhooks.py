"""Webhook endpoints, and the deliveries of invoices' events to them."""

import secrets
from base64 import b64encode
from collections.abc import Collection
from dataclasses import dataclass
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
from dovetail.merchant.data.schema import webhook_attempts, webhook_deliveries, webhook_endpoints

ACCEPTED = "accepted"
"""The status of a delivery that its endpoint has taken."""

ROTATION = 86_400
"""Seconds for which the previous secret still signs after a rotation."""

GREENFIELD = "greenfield"
"""The form of endpoints that hear of events in the words of BTCPay Server's Greenfield API."""

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class EndpointRow:
    """An endpoint; `kinds` are the events that it wants in the words of its form, None: all."""

    id: UUID
    store_id: UUID
    url: str
    secret: str
    previous_secret: str | None
    previous_until: UnixTime | None
    kinds: tuple[str, ...] | None
    active: bool
    created_at: UnixTime
    form: str | None = None
    """In whose words it hears of events; None: in ours."""

    def __repr__(self) -> str:
        return f"<EndpointRow {self.id}>"

    def wants(self, kind: str) -> bool:
        """Whether it wants events of this kind."""
        return self.kinds is None or kind in self.kinds

    def secrets(self, now: UnixTime) -> tuple[str, ...]:
        """The secrets that sign now, the newest first."""
        if self.previous_secret is not None and now < (self.previous_until or 0):
            return self.secret, self.previous_secret
        return (self.secret,)


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


def new_secret() -> str:
    """A random secret as Standard Webhooks writes it."""
    return "whsec_" + b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def add_endpoint(
    connection: Connection,
    *,
    store_id: UUID,
    url: str,
    secret: str,
    kinds: tuple[str, ...] | None,
    now: UnixTime,
    form: str | None = None,
) -> EndpointRow:
    """Insert an endpoint, which hears of all later events."""
    endpoint_id = new_id()
    connection.execute(
        insert(webhook_endpoints).values(
            id=endpoint_id,
            store_id=store_id,
            url=url,
            secret=secret,
            kinds=_kinds(kinds),
            active=True,
            created_at=int(now),
            form=form,
        )
    )
    found = endpoint(connection, endpoint_id)
    if found is None:
        raise LookupError(endpoint_id)
    return found


def endpoint(connection: Connection, endpoint_id: UUID) -> EndpointRow | None:
    """Return an endpoint that was not removed, or None."""
    query = select(webhook_endpoints).where(
        webhook_endpoints.c.id == endpoint_id, webhook_endpoints.c.removed_at.is_(None)
    )
    found = connection.execute(query).first()
    return None if found is None else _endpoint(found)


def endpoints_of(connection: Connection, store_id: UUID) -> tuple[EndpointRow, ...]:
    """Return the endpoints of a store, the oldest first."""
    query = select(webhook_endpoints).where(
        webhook_endpoints.c.store_id == store_id, webhook_endpoints.c.removed_at.is_(None)
    )
    return tuple(map(_endpoint, connection.execute(query.order_by(webhook_endpoints.c.id))))


def rotate(connection: Connection, endpoint_id: UUID, secret: str, now: UnixTime) -> None:
    """Give an endpoint a new secret; the present one signs beside it for a day."""
    table = webhook_endpoints.c
    connection.execute(
        update(webhook_endpoints)
        .where(table.id == endpoint_id)
        .values(previous_secret=table.secret, previous_until=int(now) + ROTATION, secret=secret)
    )


def set_endpoint(
    connection: Connection, endpoint_id: UUID, *, active: bool, url: str | None = None
) -> None:
    """Switch an endpoint on or off; one that is off hears nothing, also not of what waits."""
    values: dict[str, Any] = {"active": active} | ({} if url is None else {"url": url})
    connection.execute(
        update(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id).values(values)
    )
    if not active:
        connection.execute(
            update(webhook_deliveries)
            .where(
                webhook_deliveries.c.endpoint_id == endpoint_id,
                webhook_deliveries.c.status == "pending",
            )
            .values(status="cancelled", next_at=None)
        )


def set_wanted(
    connection: Connection, endpoint_id: UUID, *, kinds: tuple[str, ...] | None, secret: str | None
) -> None:
    """Let an endpoint hear of other events, and sign with another secret; None: with the present.

    The present secret does not sign beside the new one.
    """
    values: dict[str, Any] = {"kinds": _kinds(kinds)} | (
        {} if secret is None else {"secret": secret}
    )
    connection.execute(
        update(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id).values(values)
    )


def remove(connection: Connection, endpoint_id: UUID, now: UnixTime) -> None:
    """Remove an endpoint, for good: what waits for it is cancelled, and its secrets are deleted."""
    set_endpoint(connection, endpoint_id, active=False)
    connection.execute(
        update(webhook_endpoints)
        .where(webhook_endpoints.c.id == endpoint_id)
        .values(removed_at=int(now), secret="", previous_secret=None)
    )


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


def _endpoint(row: Any) -> EndpointRow:
    kinds = row.kinds
    return EndpointRow(
        id=row.id,
        store_id=row.store_id,
        url=row.url,
        secret=row.secret,
        previous_secret=row.previous_secret,
        previous_until=row.previous_until,
        kinds=None if kinds is None else msgspec.json.decode(kinds, type=tuple[str, ...]),
        active=row.active,
        created_at=row.created_at,
        form=row.form,
    )


def _kinds(kinds: tuple[str, ...] | None) -> bytes | None:
    return None if kinds is None else msgspec.json.encode(kinds)


def _delivery(row: Any) -> DeliveryRow:
    return DeliveryRow(**{name: getattr(row, name) for name in DeliveryRow.__struct_fields__})
