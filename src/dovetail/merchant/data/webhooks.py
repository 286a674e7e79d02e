"""Webhook endpoints: where a shop's software hears of events, and the keys that sign for it."""

import secrets
from base64 import b64encode
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    Connection,
    insert,
    select,
    update,
)

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.data.schema import webhook_deliveries, webhook_endpoints

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
