"""Browsers in which users have signed in before: by a random token, of which a hash is kept."""

import secrets
from uuid import UUID

from sqlalchemy import Connection, delete, select, update

from dovetail.bitcoin import UnixTime
from dovetail.merchant.data.sign_ins import hash_of
from dovetail.merchant.data.user_tables import known_browsers
from dovetail.stores.sql.upsert import upsert

KEPT = 180 * 86_400
"""Seconds after the last sign-in for which a browser is known."""

_BYTES = 32


def remember(connection: Connection, former: str | None, user_id: UUID, now: UnixTime) -> str:
    """Count a browser as known to this user; return its new token, in the place of the `former`.

    Other users of the browser stay known. The former token is worth nothing from now on.
    """
    token, table = secrets.token_urlsafe(_BYTES), known_browsers
    connection.execute(delete(table).where(table.c.seen_at <= int(now) - KEPT))
    if former is not None:
        moved = update(table).where(table.c.token == hash_of(former))
        connection.execute(moved.values(token=hash_of(token)))
    statement = upsert(connection, table).values(
        token=hash_of(token), user_id=user_id, seen_at=int(now)
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["token", "user_id"], set_={"seen_at": int(now)}
        )
    )
    return token


def users_of(connection: Connection, token: str, now: UnixTime) -> frozenset[UUID]:
    """Return the users who have signed in with this browser."""
    table = known_browsers.c
    query = select(table.user_id).where(
        table.token == hash_of(token), table.seen_at > int(now) - KEPT
    )
    return frozenset(connection.execute(query).scalars())


def forget_others(connection: Connection, user_id: UUID, token: str | None) -> None:
    """Count no browser as known to this user any more, but for the one that has the token."""
    table = known_browsers.c
    statement = delete(known_browsers).where(table.user_id == user_id)
    if token is not None:
        statement = statement.where(table.token != hash_of(token))
    connection.execute(statement)
