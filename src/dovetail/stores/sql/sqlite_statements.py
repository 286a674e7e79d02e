"""The statements of SQLite.

A damaged column must not prevent reading the others, so text columns are cast to BLOB.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any, ClassVar
from typing import cast as cast_type

from sqlalchemy import Connection, Executable, Integer, LargeBinary, bindparam, cast, select

from dovetail.stores.ports import SessionId, SessionRow
from dovetail.stores.search import Wanted
from dovetail.stores.sql.schema import session_events
from dovetail.stores.sql.statements import (
    Statements,
    conditions,
    not_found,
)
from dovetail.stores.stored_event import StoredEvent

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
_ADVANCE = (
    "UPDATE sessions SET next_seq = next_seq + 1, last_tag = ?, closed_at = ?,"
    " outcome = ?, ending = ?, standing = ?, amount = ?"
    " WHERE session_id = ? AND next_seq = ? AND closed_at IS NULL"
)


class SqliteStatements(Statements):
    """Ids are counted, and writers take turns by the lock of the file."""

    TAG = "CAST(s.last_tag AS BLOB)"
    LABEL = "CAST(s.label AS BLOB)"
    DATA = "CAST(e.data AS BLOB)"
    LOAD: ClassVar[Executable] = (
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

    def key(self, session_id: SessionId) -> int:
        """See `Statements.key`."""
        name = cast_type("object", session_id)
        if not isinstance(name, int) or not 0 < name <= HIGHEST:
            raise not_found(session_id)
        return name

    def next_id(self) -> dict[str, Any]:
        """See `Statements.next_id`."""
        return {}

    def driver(self, statement: str) -> str:
        """See `Statements.driver`."""
        return statement

    def lock(self, connection: Connection, session_id: SessionId) -> None:
        """See `Statements.lock`; a transaction that writes has the file to itself."""

    def take_turns(self, connection: Connection, about: bytes) -> None:
        """See `Statements.take_turns`; a transaction that writes has the file to itself."""

    def label(self, label: str | None) -> str | None:
        """See `Statements.label`."""
        return label

    def doubtful(
        self, connection: Connection, session_ids: Collection[SessionId]
    ) -> frozenset[SessionId]:
        """See `Store.doubtful`."""
        numbers = json.dumps([self.key(each) for each in session_ids])
        sound = connection.exec_driver_sql(_SOUND, (numbers,)).scalars()
        return frozenset(session_ids).difference(map(SessionId, sound))

    def history(
        self, connection: Connection, wanted: Wanted, *, limit: int, before: SessionId | None
    ) -> Iterator[SessionRow]:
        """See `Store.history`."""
        found, values = conditions(wanted)
        if wanted.text is not None:
            found.append(_SAYS)
            values += [wanted.text.encode(errors="replace").decode()] * 2
        which = " AND ".join(["s.session_id < ?", *found])
        last = HIGHEST if before is None else self.key(before)
        order = " ORDER BY s.session_id DESC LIMIT ?"
        return self.rows(connection, f" WHERE {which}{order}", last, *values, limit)

    def advance(self, connection: Connection, row: Sequence[Any], entry: StoredEvent) -> bool:
        """See `Statements.advance`."""
        if connection.exec_driver_sql(_ADVANCE, tuple(row)).rowcount != 1:
            return False
        self.record(connection, row[-2], entry)
        return True
