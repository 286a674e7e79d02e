"""Imports a session of another store into a SQL database."""

from sqlalchemy import Connection, select

from dovetail.bitcoin import UnixTime
from dovetail.errors import CoinsTaken
from dovetail.stores.ports import (
    SHARED,
    ImportedSession,
    ImportOutcome,
    ImportResult,
    SessionId,
    new_entries,
)
from dovetail.stores.sql import coins
from dovetail.stores.sql.schema import session_events, sessions
from dovetail.stores.sql.statements import Statements


def adopt(
    statements: Statements, connection: Connection, moved: ImportedSession, at: UnixTime
) -> ImportResult:
    """See `Store.adopt`."""
    statements.take_turns(connection, moved.events[0].data)
    session_id = _known(connection, moved)
    adoption = ImportOutcome.ADDED if session_id is None else ImportOutcome.EXTENDED
    if session_id is None:
        summary = moved.summary if len(moved.events) == 1 else None
        session_id = statements.create(connection, moved.index, moved.events[0], summary)
        known = 1
    else:
        statements.lock(connection, session_id)
        here = _entries(connection, session_id)
        known = len(here)
        if not new_entries(here, [entry.data for entry in moved.events]):
            return ImportResult(session_id, ImportOutcome.UNCHANGED)
    for entry in moved.events[known:]:
        last = entry is moved.events[-1]
        summary = moved.summary if last else None
        closes = moved.closed and last
        statements.append(connection, session_id, entry, closes=closes, summary=summary)
    _share(connection, session_id, moved, at)
    return ImportResult(session_id, adoption)


def _share(
    connection: Connection, session_id: SessionId, moved: ImportedSession, at: UnixTime
) -> None:
    """Claim its seen inputs and hold its coins; for an open session all or nothing (P2, P3)."""
    taken = coins.claim(connection, session_id, moved.seen, at)
    if not moved.closed:
        taken |= coins.reserve(connection, session_id, moved.coins)
        if taken:
            raise CoinsTaken(SHARED)
    if moved.exposed:
        coins.remember(connection, moved.coins, at)


def _known(connection: Connection, moved: ImportedSession) -> SessionId | None:
    """Return the session here with the same first entry, or None."""
    index = moved.index
    found = connection.execute(
        select(sessions.c.session_id)
        .join(session_events, sessions.c.session_id == session_events.c.session_id)
        .where(
            sessions.c.role == index.role.value,
            sessions.c.address == index.address,
            session_events.c.seq == 0,
            session_events.c.data == moved.events[0].data,
        )
    ).scalar()
    return None if found is None else SessionId(found)


def _entries(connection: Connection, session_id: SessionId) -> list[bytes]:
    query = (
        select(session_events.c.data)
        .where(session_events.c.session_id == session_id)
        .order_by(session_events.c.seq)
    )
    return list(connection.execute(query).scalars())
