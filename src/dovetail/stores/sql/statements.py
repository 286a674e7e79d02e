"""The SQL statements that read and write sessions and their logs."""

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any
from typing import cast as cast_type

from sqlalchemy import Connection, Integer, LargeBinary, bindparam, cast, insert, select
from sqlalchemy.exc import IntegrityError

from dovetail.actions import Action
from dovetail.bitcoin import Sats, UnixTime
from dovetail.errors import DuplicateSession, SessionNotFound, StaleSession
from dovetail.sessions.ended import Ending
from dovetail.sessions.outcomes import code_of
from dovetail.sessions.standing import Standing, Summary, decode_summary, encode_summary
from dovetail.stores.ports import (
    SessionId,
    SessionRow,
    StoredLog,
)
from dovetail.stores.search import Wanted
from dovetail.stores.session_index import Role, SenderIndex, SessionIndex, may_have_paid
from dovetail.stores.sql import coins, sightings
from dovetail.stores.sql.schema import session_events, sessions
from dovetail.stores.stored_event import StoredEvent
from dovetail.stores.summary import summary_after

# A damaged column must not prevent reading the others, so text columns are cast to BLOB.
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
ROW = (
    "SELECT s.session_id, s.role, s.created_at, s.expires_at, s.closed_at,"
    " CAST(s.last_tag AS BLOB), s.next_seq, s.outcome, coalesce(s.standing, s.ending), s.amount,"
    " CAST(s.label AS BLOB), seen_at, kind, txid, depth, wanted, gone, receded, rate, came, asked,"
    " beside"
    " FROM sessions AS s LEFT JOIN sightings AS g ON g.session_id = s.session_id"
)
_ROLES = {role.value: role for role in Role}
HIGHEST = (1 << 63) - 1
"""The highest possible session number."""

# Numbers of entries are unique, so this count from 0 to the last means that none is missing.
_SOUND = (
    "SELECT s.session_id FROM sessions AS s JOIN session_events AS e ON e.session_id = s.session_id"
    " WHERE s.session_id IN (SELECT value FROM json_each(?)) GROUP BY s.session_id"
    " HAVING count(*) = s.next_seq AND min(e.seq) = 0 AND max(e.seq) = s.next_seq - 1"
    " AND max(e.seq = s.next_seq - 1 AND e.tag = s.last_tag)"
    " AND min(is_as_written(CAST(e.seq AS INTEGER), coalesce(CAST(e.tag AS BLOB), x''),"
    " coalesce(CAST(e.data AS BLOB), x''), e.checksum))"
)
_SAYS = (
    "(row_says(?, coalesce(CAST(s.label AS BLOB), x''), CAST(s.address AS BLOB),"
    " CAST(coalesce(CAST(coalesce(s.standing, s.ending) AS TEXT), '') || ' '"
    " || coalesce(g.txid, '') || ' ' || coalesce(g.beside, '') AS BLOB))"
    " OR EXISTS (SELECT 1 FROM session_events AS e WHERE e.session_id = s.session_id"
    " AND e.seq = 0 AND request_says(?, coalesce(CAST(e.data AS BLOB), x''))))"
)
# These two run for every event. They bypass SQLAlchemy's rendering, which takes as long as SQLite
# needs to run them.
_ADVANCE = (
    "UPDATE sessions SET next_seq = next_seq + 1, last_tag = ?, closed_at = ?,"
    " outcome = ?, ending = ?, standing = ?, amount = ?"
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
# Each session with its last entry, which has the outcome; none if the log is damaged.
_PAYERS = (
    "SELECT s.session_id, s.closed_at, CAST(e.data AS BLOB) FROM sessions AS s"
    " LEFT JOIN session_events AS e ON e.session_id = s.session_id AND e.seq = s.next_seq - 1"
    " WHERE s.role = 'sender' AND s.address = ? ORDER BY s.session_id DESC"
)


def stored(connection: Connection, session_id: SessionId) -> StoredLog:
    """Return the row and the log; raises `SessionNotFound`."""
    row = row_of(connection, session_id)
    entries = tuple(map(_raw_event, connection.execute(_LOAD, {"session": session_id})))
    return StoredLog(row=row, events=entries)


def doubtful(connection: Connection, session_ids: Collection[SessionId]) -> frozenset[SessionId]:
    """See `Store.doubtful`."""
    numbers = json.dumps([number(each) for each in session_ids])
    sound = connection.exec_driver_sql(_SOUND, (numbers,)).scalars()
    return frozenset(session_ids).difference(map(SessionId, sound))


def row_of(connection: Connection, session_id: SessionId) -> SessionRow:
    """Return one session's row; raises `SessionNotFound`."""
    for row in rows(connection, " WHERE s.session_id = ?", number(session_id)):
        return row
    raise _not_found(session_id)


def history(
    connection: Connection, wanted: Wanted, *, limit: int, before: int
) -> Iterator[SessionRow]:
    """See `Store.history`."""
    conditions: list[str] = ["s.session_id < ?"]
    values: list[int | str] = [before]
    if wanted.open is not None:
        conditions.append(f"s.closed_at IS {'NULL' if wanted.open else 'NOT NULL'}")
    if wanted.role is not None:
        conditions.append("s.role = ?")
        values.append(wanted.role.value)
    if wanted.since is not None:
        conditions.append("s.created_at >= ?")
        values.append(int(wanted.since))
    if wanted.text is not None:
        conditions.append(_SAYS)
        values += [wanted.text.encode(errors="replace").decode()] * 2
    which = f" WHERE {' AND '.join(conditions)} ORDER BY s.session_id DESC LIMIT ?"
    return rows(connection, which, *values, limit)


def rows(connection: Connection, which: str, *values: int | str) -> Iterator[SessionRow]:
    """Yield the sessions selected by the SQL clause `which`."""
    return map(session_row, connection.exec_driver_sql(ROW + which, values).all())


def number(session_id: SessionId) -> int:
    """Return the session's number in SQLite; raises `SessionNotFound` for an invalid id."""
    name = cast_type("object", session_id)
    if not isinstance(name, int) or not 0 < name <= HIGHEST:
        raise _not_found(session_id)
    return name


def _not_found(session_id: SessionId) -> SessionNotFound:
    return SessionNotFound(f"There is no session {session_id}.", actions=(Action.LIST,))


def session_row(row: Sequence[Any]) -> SessionRow:
    """Decode one result of `ROW`."""
    (
        session_id,
        role,
        created_at,
        expires_at,
        closed_at,
        last_tag,
        next_seq,
        outcome,
        summary,
        amount,
        label,
        seen_at,
        *sighting,
    ) = row
    return SessionRow(
        session_id=SessionId(session_id),
        role=_ROLES[role],
        created_at=UnixTime(created_at),
        expires_at=UnixTime(expires_at),
        closed_at=None if closed_at is None else UnixTime(closed_at),
        last_tag=last_tag.decode(errors="replace"),
        next_seq=next_seq,
        sighting=None if seen_at is None else sightings.sighting(sighting),
        seen_at=None if seen_at is None else UnixTime(seen_at),
        label=None if label is None else label.decode(errors="replace"),
        amount=None if amount is None else Sats(amount),
        outcome=outcome,
        summary=None if summary is None else decode_summary(summary, closed=closed_at is not None),
    )


def _raw_event(row: Any) -> StoredEvent:
    seq, tag, data, created_at, checksum = row
    return StoredEvent(
        seq=seq,
        tag=(tag or b"").decode(errors="replace"),
        data=data or b"",
        created_at=UnixTime(created_at),
        checksum=checksum,
    )


def payer_of(connection: Connection, address: str) -> SessionId | None:
    """Return the newest session that pays or paid an address, or None."""
    for session_id, closed_at, data in connection.exec_driver_sql(_PAYERS, (address,)):
        if closed_at is None or may_have_paid(data or b""):
            return SessionId(session_id)
    return None


def create(
    connection: Connection, index: SessionIndex, entry: StoredEvent, summary: Summary | None
) -> SessionId:
    """Add a session with its first entry; raises `DuplicateSession`."""
    row: dict[str, Any] = {
        "role": index.role.value,
        "address": index.address,
        "created_at": entry.created_at,
        "expires_at": index.expires_at,
        "last_tag": entry.tag,
        "next_seq": 1,
        "label": index.label,
        **_shown(summary),
    }
    if isinstance(index, SenderIndex):
        row |= {"pj_uri": index.pj_uri, "receiver_pubkey": index.receiver_pubkey}
    try:
        key = connection.execute(_BEGIN, row).inserted_primary_key
    except IntegrityError as error:
        raise DuplicateSession(
            "A payment to this URI was started before: ask the receiver for a new URI to pay"
            " again.",
            actions=(Action.LIST,),
        ) from error
    session_id = SessionId(key[0] if key else 0)
    _record(connection, session_id, entry)
    return session_id


def append(
    connection: Connection,
    session_id: SessionId,
    entry: StoredEvent,
    *,
    closes: bool,
    summary: Summary | None,
) -> SessionId:
    """Append an entry if `seq` is the next number, or write nothing (M1, M5).

    `summary` is the row's new summary; None means that the log must be replayed.
    """
    closed_at = entry.created_at if closes else None
    shown = _shown(summary)
    values = (entry.tag, closed_at, *(shown.get(each) for each in _SHOWN), session_id, entry.seq)
    if connection.exec_driver_sql(_ADVANCE, values).rowcount != 1:
        raise StaleSession(
            "This session has moved on since it was loaded: load it again before you act on it."
        )
    _record(connection, session_id, entry)
    if closes:
        coins.release(connection, session_id)
    return session_id


def drawn(
    connection: Connection, session_id: SessionId, entry: StoredEvent, *, closes: bool
) -> Summary | None:
    """Return the summary of a log with its next entry, by a replay."""
    found = list(connection.execute(_LOG_OF, {"session": session_id}))
    if len(found) != entry.seq:
        return None  # the fence refuses it
    entries = [*(each.data for each in found), entry.data]
    return summary_after(Role(found[0].role), entries, closes=closes)


_SHOWN = ("outcome", "ending", "standing", "amount")


def _shown(summary: Summary | None) -> dict[str, Any]:
    """Return the columns of a summary."""
    match summary:
        case Ending(outcome=outcome, amount=amount):
            ending = encode_summary(summary)
            return {"outcome": code_of(outcome), "ending": ending, "amount": amount}
        case Standing(amount=amount):
            return {"standing": encode_summary(summary), "amount": amount}
        case _:
            return {}


def _record(connection: Connection, session_id: SessionId, entry: StoredEvent) -> None:
    values = (entry.seq, entry.tag, entry.data, entry.created_at, entry.checksum)
    connection.exec_driver_sql(_RECORD, (session_id, *values))
