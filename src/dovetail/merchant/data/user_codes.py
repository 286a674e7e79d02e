"""The second factor of users: the secret of their codes, which change with time (RFC 6238)."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, select, update

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data import audit
from dovetail.merchant.data.user_tables import user_codes
from dovetail.stores.sql.upsert import upsert


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CodeRow:
    """A user's secret; its repr shows nothing (P4)."""

    user_id: UUID
    secret: bytes
    since: UnixTime | None
    """When the user has shown a first code; None: the secret is not asked for yet."""
    used: int
    """The newest period whose code was used: no code of it or an older one counts again."""

    def __repr__(self) -> str:
        return f"<CodeRow {self.user_id}>"


def codes_of(connection: Connection, user_id: UUID) -> CodeRow | None:
    """Return a user's secret, or None."""
    query = select(user_codes).where(user_codes.c.user_id == user_id)
    found: Any = connection.execute(query).first()
    return None if found is None else CodeRow(**found._asdict())


def propose(connection: Connection, user_id: UUID, secret: bytes) -> bool:
    """Keep a secret that the user has to confirm by a code; whether one is in use already.

    Then it stays, and the new one is not kept.
    """
    values = {"secret": secret, "since": None, "used": 0}
    statement = upsert(connection, user_codes).values(user_id=user_id, **values)
    statement = statement.on_conflict_do_update(
        index_elements=["user_id"], set_=values, where=user_codes.c.since.is_(None)
    )
    return not connection.execute(statement.returning(user_codes.c.user_id)).first()


def use(connection: Connection, row: CodeRow, period: int) -> bool:
    """Count the code of a period as used; False where it, or a newer one, was used already."""
    table = user_codes.c
    statement = (
        update(user_codes)
        .where(table.user_id == row.user_id, table.secret == row.secret, table.used < period)
        .values(used=period)
    )
    return connection.execute(statement).rowcount > 0


def confirm(connection: Connection, user_id: UUID, *, by: str, now: UnixTime) -> None:
    """From now on the user is asked for a code."""
    connection.execute(
        update(user_codes).where(user_codes.c.user_id == user_id).values(since=int(now))
    )
    audit.add(connection, who=by, what="user.codes", subject=str(user_id), now=now)


def remove(connection: Connection, user_id: UUID, *, by: str, now: UnixTime) -> None:
    """Ask the user for no code any more."""
    connection.execute(delete(user_codes).where(user_codes.c.user_id == user_id))
    audit.add(connection, who=by, what="user.no-codes", subject=str(user_id), now=now)
