"""Inputs that sessions have seen, and coins that they hold; no two may share them (P2, P3).

PostgreSQL has many writers at once. Each statement locks its rows in the order of their outpoints,
so that two of them wait for each other instead of ending in a deadlock.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from dovetail.bitcoin import OutPoint, UnixTime
from dovetail.errors import StaleSession
from dovetail.stores.ports import SessionId
from dovetail.stores.sql.schema import coin_reservations, inputs_seen, sessions
from dovetail.stores.sql.upsert import upsert

_HELD = (
    select(coin_reservations.c.outpoint)
    .where(coin_reservations.c.session_id == bindparam("session"))
    .order_by(coin_reservations.c.outpoint)
    .with_for_update()
)
_RELEASE = (
    update(coin_reservations).where(coin_reservations.c.outpoint.in_(_HELD)).values(session_id=None)
)
_EXPOSE = (
    update(coin_reservations)
    .where(coin_reservations.c.outpoint.in_(_HELD), coin_reservations.c.exposed_at.is_(None))
    .values(exposed_at=bindparam("at"))
)
# The lock keeps another writer from closing the session before its coins are reserved.
_CLOSED_AT = (
    select(sessions.c.closed_at)
    .where(sessions.c.session_id == bindparam("session"))
    .with_for_update(key_share=True)
)


def claim(
    connection: Connection, session_id: SessionId, outpoints: Collection[OutPoint], at: UnixTime
) -> frozenset[OutPoint]:
    """Record outpoints; return those that another session saw first, in one statement (P2)."""
    if not outpoints:
        return frozenset()
    statement = upsert(connection, inputs_seen).values(
        [
            {"outpoint": outpoint, "session_id": session_id, "seen_at": at}
            for outpoint in _in_order(outpoints)
        ]
    )
    owners = connection.execute(
        statement.on_conflict_do_update(
            index_elements=["outpoint"], set_={"session_id": inputs_seen.c.session_id}
        ).returning(inputs_seen.c.outpoint, inputs_seen.c.session_id)
    )
    return _others(owners, session_id)


def reserve(
    connection: Connection, session_id: SessionId, outpoints: Collection[OutPoint]
) -> frozenset[OutPoint]:
    """Reserve coins; return those that another session holds. Released coins are free (P3).

    Raises `StaleSession` for a closed session, because nothing would release its coins.
    """
    if not outpoints:
        return frozenset()
    if connection.execute(_CLOSED_AT, {"session": session_id}).scalar() is not None:
        raise StaleSession(
            "This session was closed since it was loaded: load it again before you act on it."
        )
    statement = upsert(connection, coin_reservations).values(
        [{"outpoint": outpoint, "session_id": session_id} for outpoint in _in_order(outpoints)]
    )
    holder = coin_reservations.c.session_id
    owners = connection.execute(
        statement.on_conflict_do_update(
            index_elements=["outpoint"],
            set_={"session_id": func.coalesce(holder, statement.excluded.session_id)},
        ).returning(coin_reservations.c.outpoint, holder)
    )
    return _others(owners, session_id)


def _in_order(outpoints: Collection[OutPoint]) -> list[str]:
    return sorted(set(map(str, outpoints)))


def _others(owners: Any, session_id: SessionId) -> frozenset[OutPoint]:
    return frozenset(OutPoint.parse(coin) for coin, owner in owners if owner != session_id)


def release(connection: Connection, session_id: SessionId) -> None:
    """Release this session's coins; exposed coins stay recorded as exposed."""
    connection.execute(_RELEASE, {"session": session_id})


def expose(connection: Connection, session_id: SessionId, at: UnixTime) -> None:
    """Record that a counterparty may learn this session's coins from now on (P3)."""
    connection.execute(_EXPOSE, {"session": session_id, "at": at})


def remember(connection: Connection, outpoints: Collection[OutPoint], at: UnixTime) -> None:
    """Record coins as exposed, without a holder."""
    statement = upsert(connection, coin_reservations)
    known = func.coalesce(coin_reservations.c.exposed_at, statement.excluded.exposed_at)
    remembering = statement.on_conflict_do_update(
        index_elements=["outpoint"], set_={"exposed_at": known}
    )
    for outpoint in _in_order(outpoints):
        connection.execute(remembering, {"outpoint": outpoint, "exposed_at": at})
