"""The statements of PostgreSQL, which hold at READ COMMITTED with many writers at once.

A statement that meets a row of another open transaction waits for its end, and then looks at the
row again. So the fence, the claims and the reservations see what was decided before them. What
spans two statements takes a lock first.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import groupby, islice
from typing import Any, ClassVar
from typing import cast as cast_type
from uuid import UUID

from sqlalchemy import Connection, Executable, bindparam, select

from dovetail.stores.ports import SessionId, SessionRow
from dovetail.stores.search import Wanted, request_says, row_says
from dovetail.stores.sql.schema import session_events, sessions
from dovetail.stores.sql.statements import (
    FROM,
    Statements,
    columns_of,
    conditions,
    not_found,
    session_row,
)
from dovetail.stores.stored_event import StoredEvent, is_as_written

# The fence and the entry are one statement.
_APPEND = (
    "WITH advanced AS (UPDATE sessions SET next_seq = next_seq + 1, last_tag = %s, closed_at = %s,"
    " outcome = %s, ending = %s, standing = %s, amount = %s"
    " WHERE session_id = %s AND next_seq = %s AND closed_at IS NULL RETURNING session_id)"
    " INSERT INTO session_events (session_id, seq, tag, data, created_at, checksum)"
    " SELECT session_id, %s::bigint, %s::text, %s::bytea, %s::bigint, %s::bigint FROM advanced"
)
_TURN = "SELECT pg_advisory_xact_lock(%s)"
_LOCK = (
    select(sessions.c.session_id)
    .where(sessions.c.session_id == bindparam("session"))
    .with_for_update(key_share=True)
)
_LOGS = (
    "SELECT s.session_id, s.next_seq, s.last_tag, e.seq, e.tag, e.data, e.checksum"
    " FROM sessions AS s JOIN session_events AS e ON e.session_id = s.session_id"
    " WHERE s.session_id = ANY(%s) ORDER BY s.session_id, e.seq"
)
# What a search reads beside the row. Most first entries have no message, and stay where they are.
_SEARCHED = (
    ", s.address, (SELECT e.data FROM session_events AS e WHERE e.session_id = s.session_id"
    " AND e.seq = 0 AND position('message'::bytea IN e.data) > 0)"
)
_SUMMARY, _LABEL, _TXID, _BESIDE = 8, 10, 13, 21
_AT_ONCE = 500
"""How many rows a search fetches at once."""


class PostgresStatements(Statements):
    """Ids are UUIDv7, made by the writers."""

    TAG = "s.last_tag"
    LABEL = "s.label"
    DATA = "e.data"
    LOAD: ClassVar[Executable] = (
        select(
            session_events.c.seq,
            session_events.c.tag,
            session_events.c.data,
            session_events.c.created_at,
            session_events.c.checksum,
        )
        .where(session_events.c.session_id == bindparam("session"))
        .order_by(session_events.c.seq)
    )

    def __init__(self, new_id: Callable[[], UUID]) -> None:
        """`new_id` gives the id of each new session."""
        super().__init__()
        self._new_id = new_id

    def key(self, session_id: SessionId) -> UUID:
        """See `Statements.key`."""
        name = cast_type("object", session_id)
        if not isinstance(name, UUID):
            raise not_found(session_id)
        return name

    def next_id(self) -> dict[str, Any]:
        """See `Statements.next_id`."""
        return {"session_id": self._new_id()}

    def driver(self, statement: str) -> str:
        """See `Statements.driver`."""
        return statement.replace("?", "%s")

    def lock(self, connection: Connection, session_id: SessionId) -> None:
        """See `Statements.lock`."""
        connection.execute(_LOCK, {"session": session_id}).close()

    def take_turns(self, connection: Connection, about: bytes) -> None:
        """See `Statements.take_turns`."""
        number = int.from_bytes(sha256(b"dovetail " + about).digest()[:8], signed=True)
        connection.exec_driver_sql(_TURN, (number,)).close()

    def label(self, label: str | None) -> str | None:
        """See `Statements.label`; PostgreSQL's text has no NUL."""
        return None if label is None else label.replace("\0", "\N{REPLACEMENT CHARACTER}")

    def doubtful(
        self, connection: Connection, session_ids: Collection[SessionId]
    ) -> frozenset[SessionId]:
        """See `Store.doubtful`."""
        found = connection.exec_driver_sql(_LOGS, ([*map(self.key, session_ids)],))
        logs = groupby(found, lambda row: (row.session_id, row.next_seq, row.last_tag))
        sound = [
            SessionId(session_id)
            for (session_id, next_seq, last_tag), log in logs
            if _is_sound(next_seq, last_tag, [*log])
        ]
        return frozenset(session_ids).difference(sound)

    def history(
        self, connection: Connection, wanted: Wanted, *, limit: int, before: SessionId | None
    ) -> Iterable[SessionRow]:
        """See `Store.history`; a text is looked for here, row by row, as SQLite does."""
        found, values = conditions(wanted)
        if before is not None:
            found.append("s.session_id < ?")
            values.append(self.key(before))
        which = f" WHERE {' AND '.join(found)}" if found else ""
        which += " ORDER BY s.session_id DESC"
        if wanted.text is None:
            return self.rows(connection, f"{which} LIMIT ?", *values, limit)
        query = self.driver(f"SELECT {self.columns}{_SEARCHED}{FROM}{which}")
        options = {"yield_per": _AT_ONCE}
        rows = connection.exec_driver_sql(query, tuple(values), execution_options=options)
        with rows:
            return list(islice(_matching(rows, wanted.text), limit))

    def advance(self, connection: Connection, row: Sequence[Any], entry: StoredEvent) -> bool:
        """See `Statements.advance`."""
        values = (*row, *columns_of(entry))
        return connection.exec_driver_sql(_APPEND, values).rowcount == 1


def _is_sound(next_seq: int, last_tag: str, log: Sequence[Any]) -> bool:
    return (
        [entry.seq for entry in log] == list(range(next_seq))
        and log[-1].tag == last_tag
        and all(
            is_as_written(entry.seq, entry.tag.encode(), entry.data, entry.checksum)
            for entry in log
        )
    )


def _matching(rows: Iterable[Any], text: str) -> Iterator[SessionRow]:
    for *row, address, entry in rows:
        label, txids = row[_LABEL] or "", (row[_TXID] or "", row[_BESIDE] or "")
        searched = b" ".join([row[_SUMMARY] or b"", *(each.encode() for each in txids)])
        if row_says(text, label.encode(), address.encode(), searched) or (
            entry is not None and request_says(text, entry)
        ):
            yield session_row(row)
