"""The statements that read and write sessions and their logs, each on a connection it is given."""

from typing import Any
from typing import cast as cast_type

from sqlalchemy import Connection, Integer, LargeBinary, Select, bindparam, cast, insert, select
from sqlalchemy.exc import IntegrityError

from dovetail.bitcoin import UnixTime
from dovetail.errors import DuplicateSession, ReplayError, SessionNotFound, StaleSession
from dovetail.sessions.ending import Ending, decode_ending, encode_ending
from dovetail.sessions.outcomes import code_of
from dovetail.stores import coins, seen
from dovetail.stores.endings import ending_after
from dovetail.stores.entries import RawEvent
from dovetail.stores.index import Role, SenderIndex, SessionIndex, may_have_paid
from dovetail.stores.ports import (
    SessionId,
    SessionRow,
    StoredLog,
)
from dovetail.stores.schema import session_events, sessions, sightings

# Damage in a column must not keep the others from being read: text that is no text is cast.
_LOAD = (
    select(
        session_events.c.seq,
        cast(session_events.c.tag, LargeBinary),
        cast(session_events.c.data, LargeBinary),
        cast(session_events.c.created_at, Integer),
        session_events.c.checksum,
    )
    .where(session_events.c.session_id == bindparam("session"))
    .order_by(session_events.c.seq)
)
ROW: Select[Any] = select(
    sessions.c.session_id,
    sessions.c.role,
    sessions.c.created_at,
    sessions.c.expires_at,
    sessions.c.closed_at,
    cast(sessions.c.last_tag, LargeBinary).label("last_tag"),
    sessions.c.next_seq,
    sessions.c.outcome,
    sessions.c.ending,
    *seen.COLUMNS,
).outerjoin_from(sessions, sightings)
# These two run for every event, and handing SQLAlchemy a statement to render costs as much as
# SQLite takes to run it: so they go to the driver as they are.
_ADVANCE = (
    "UPDATE sessions SET next_seq = next_seq + 1, last_tag = ?, closed_at = ?,"
    " outcome = ?, ending = ?"
    " WHERE session_id = ? AND next_seq = ? AND closed_at IS NULL"
)
_RECORD = (
    "INSERT INTO session_events (session_id, seq, tag, data, created_at, checksum)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_LOG_OF = (
    select(sessions.c.role, session_events.c.data)
    .join_from(sessions, session_events)
    .where(sessions.c.session_id == bindparam("session"))
    .order_by(session_events.c.seq)
)
_BEGIN = insert(sessions)
# With each session its last entry, which says how it ended; none where the log is damaged.
_PAYERS = (
    "SELECT s.session_id, s.closed_at, CAST(e.data AS BLOB) FROM sessions AS s"
    " LEFT JOIN session_events AS e ON e.session_id = s.session_id AND e.seq = s.next_seq - 1"
    " WHERE s.role = 'sender' AND s.address = ? ORDER BY s.session_id DESC"
)


def stored(connection: Connection, session_id: SessionId) -> StoredLog:
    """The row and the log of one moment; raises `SessionNotFound`."""
    row = row_of(connection, session_id)
    entries = tuple(map(_raw_event, connection.execute(_LOAD, {"session": session_id})))
    return StoredLog(row=row, events=entries)


def row_of(connection: Connection, session_id: SessionId) -> SessionRow:
    """One session; raises `SessionNotFound`."""
    row = connection.execute(ROW.where(sessions.c.session_id == number(session_id))).first()
    if row is None:
        raise _not_found(session_id)
    return session_row(row)


def number(session_id: SessionId) -> int:
    """What SQLite counts sessions by; raises `SessionNotFound` for what cannot be one."""
    name = cast_type("object", session_id)
    if not isinstance(name, int) or not 0 < name < 1 << 63:
        raise _not_found(session_id)
    return name


def _not_found(session_id: SessionId) -> SessionNotFound:
    return SessionNotFound(f"There is no session {session_id}: `dovetail history` lists them.")


def session_row(row: Any) -> SessionRow:
    """One line of `ROW`."""
    return SessionRow(
        session_id=SessionId(row.session_id),
        role=Role(row.role),
        created_at=UnixTime(row.created_at),
        expires_at=UnixTime(row.expires_at),
        closed_at=None if row.closed_at is None else UnixTime(row.closed_at),
        last_tag=row.last_tag.decode(errors="replace"),
        next_seq=row.next_seq,
        sighting=seen.sighting(row),
        seen_at=None if row.seen_at is None else UnixTime(row.seen_at),
        outcome=row.outcome,
        ending=_ending(row.ending),
    )


def _ending(data: bytes | None) -> Ending | None:
    if data is None:
        return None
    try:
        return decode_ending(data)
    except ReplayError:
        return None


def _raw_event(row: Any) -> RawEvent:
    seq, tag, data, created_at, checksum = row
    return RawEvent(
        seq=seq,
        tag=(tag or b"").decode(errors="replace"),
        data=data or b"",
        created_at=UnixTime(created_at),
        checksum=checksum,
    )


def payer_of(connection: Connection, address: str) -> SessionId | None:
    """The newest session that pays an address or did."""
    for session_id, closed_at, data in connection.exec_driver_sql(_PAYERS, (address,)):
        if closed_at is None or may_have_paid(data or b""):
            return SessionId(session_id)
    return None


def create(connection: Connection, index: SessionIndex, entry: RawEvent) -> SessionId:
    """Add a session with its first entry; raises `DuplicateSession`."""
    row: dict[str, Any] = {
        "role": index.role.value,
        "address": index.address,
        "created_at": entry.created_at,
        "expires_at": index.expires_at,
        "last_tag": entry.tag,
        "next_seq": 1,
    }
    if isinstance(index, SenderIndex):
        row |= {"pj_uri": index.pj_uri, "receiver_pubkey": index.receiver_pubkey}
    try:
        key = connection.execute(_BEGIN, row).inserted_primary_key
    except IntegrityError as error:
        raise DuplicateSession(
            "A payment to this URI was started before: see it with `dovetail history`,"
            " and ask the receiver for a new URI to pay again."
        ) from error
    session_id = SessionId(key[0] if key else 0)
    _record(connection, session_id, entry)
    return session_id


def append(
    connection: Connection, session_id: SessionId, entry: RawEvent, *, closes: bool
) -> SessionId:
    """M1 and M5: the row moves from `seq` to the next, or nothing is written."""
    closed_at = entry.created_at if closes else None
    ended = _ended(connection, session_id, entry) if closes else (None, None)
    moved = connection.exec_driver_sql(
        _ADVANCE, (entry.tag, closed_at, *ended, session_id, entry.seq)
    )
    if moved.rowcount != 1:
        raise StaleSession(
            "This session has moved on since it was loaded: load it again before you act on it."
        )
    _record(connection, session_id, entry)
    if closes:
        coins.release(connection, session_id)
    return session_id


def _ended(
    connection: Connection, session_id: SessionId, entry: RawEvent
) -> tuple[str | None, bytes | None]:
    """What the log comes to with its last entry, for the row."""
    found = list(connection.execute(_LOG_OF, {"session": session_id}))
    if len(found) != entry.seq:
        return None, None  # the fence refuses it
    ending = ending_after(Role(found[0].role), [*(each.data for each in found), entry.data])
    return (None, None) if ending is None else (code_of(ending.outcome), encode_ending(ending))


def _record(connection: Connection, session_id: SessionId, entry: RawEvent) -> None:
    values = (entry.seq, entry.tag, entry.data, entry.created_at, entry.checksum)
    connection.exec_driver_sql(_RECORD, (session_id, *values))
