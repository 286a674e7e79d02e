"""The audit trail: who did what, and when; without secrets (P4)."""

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, insert, select

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data.ids import new_id
from dovetail.merchant.data.schema import audit

OWNER = "command line"
"""Who acts by the commands, on the machine of the shop."""


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """One act; `store_id` is None where it concerns no single store."""

    id: UUID
    store_id: UUID | None
    at: int
    who: str
    what: str
    subject: str
    detail: dict[str, Any]


def add(
    connection: Connection,
    *,
    who: str,
    what: str,
    subject: str,
    now: UnixTime,
    store_id: UUID | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Record an act, in the transaction that does it."""
    connection.execute(
        insert(audit).values(
            id=new_id(),
            store_id=store_id,
            at=int(now),
            who=who,
            what=what,
            subject=subject,
            detail=msgspec.json.encode(detail or {}),
        )
    )


def page(
    connection: Connection,
    *,
    limit: int,
    before: UUID | None = None,
    store_ids: tuple[UUID, ...] | None = None,
) -> tuple[AuditRow, ...]:
    """Return acts, the newest first; `store_ids` are those to look at, None: all."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.id < before)
    if store_ids is not None:
        query = query.where(audit.c.store_id.in_(store_ids))
    return tuple(
        AuditRow(
            id=row.id,
            store_id=row.store_id,
            at=row.at,
            who=row.who,
            what=row.what,
            subject=row.subject,
            detail=msgspec.json.decode(row.detail, type=dict[str, Any]),
        )
        for row in connection.execute(query)
    )
