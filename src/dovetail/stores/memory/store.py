"""A store in memory, for tests and for programs that run longer than their sessions."""

import threading
import time
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

from msgspec.structs import replace

from dovetail.bitcoin import Address, OutPoint, UnixTime
from dovetail.errors import SessionNotFound, UsageError
from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions.receiver.events import CODEC as RECEIVER_CODEC
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.sender.events import CODEC as SENDER_CODEC
from dovetail.sessions.sender.events import SenderEvent
from dovetail.sessions.sightings import Sighting
from dovetail.stores.memory.log import MemoryLog
from dovetail.stores.memory.tables import MemoryTables, payment_of, undoable
from dovetail.stores.ports import (
    NESTED,
    ImportedSession,
    ImportResult,
    Rows,
    SessionId,
    SessionRow,
    StoredLog,
)
from dovetail.stores.search import EVERY, Wanted
from dovetail.stores.session_index import Role, payment_index

T = TypeVar("T")


class MemoryStore:
    """A `Store` that exists only in its process. Safe to share between threads."""

    def __init__(self, *, clock: Callable[[], float] = time.time, rows: Rows | None = None) -> None:
        """Start empty; `clock` gives the time of new rows.

        `rows` is called for every event that is saved, with the `MemoryTables` (see `Rows`).
        """
        self.rows = rows
        self._clock = clock
        self._lock = threading.RLock()
        self._tables = MemoryTables()
        self._writer: int | None = None

    def close(self) -> None:
        """See `Store.close`; does nothing."""
        self._refuse_nesting()

    def new_receiver(self) -> MemoryLog[ReceiverEvent]:
        """See `Store.new_receiver`."""
        return MemoryLog(self, RECEIVER_CODEC, None)

    def new_sender(
        self, *, reserving: Collection[OutPoint] = (), alone: bool = False
    ) -> MemoryLog[SenderEvent]:
        """See `Store.new_sender`."""
        return MemoryLog(self, SENDER_CODEC, None, reserving=reserving, alone=alone)

    def receiver(self, session_id: SessionId) -> MemoryLog[ReceiverEvent]:
        """See `Store.receiver`."""
        return MemoryLog(self, RECEIVER_CODEC, self._known(session_id, Role.RECEIVER))

    def sender(self, session_id: SessionId) -> MemoryLog[SenderEvent]:
        """See `Store.sender`."""
        return MemoryLog(self, SENDER_CODEC, self._known(session_id, Role.SENDER))

    def row(self, session_id: SessionId) -> SessionRow:
        """See `Store.row`."""
        with self._lock:
            return self._tables.row(session_id)

    def session_paying(self, uri: PayjoinUri) -> SessionId | None:
        """See `Store.session_paying`."""
        with self._lock:
            return self._tables.payments.get(payment_of(payment_index(uri)))

    def session_paying_to(self, address: Address) -> SessionId | None:
        """See `Store.session_paying_to`."""
        with self._lock:
            return self._tables.session_paying_to(address)

    def live(self) -> tuple[SessionRow, ...]:
        """See `Store.live`."""
        with self._lock:
            return tuple(row for row in self._tables.sessions.values() if row.closed_at is None)

    def heads(self) -> dict[SessionId, int]:
        """See `Store.heads`."""
        return {row.session_id: row.next_seq for row in self.live()}

    def refresh_heads(self, heads: dict[SessionId, int]) -> tuple[SessionId, ...]:
        """See `Store.refresh_heads`."""
        now = self.heads()
        changed = tuple(each for each, head in now.items() if heads.get(each) != head)
        heads.clear()
        heads.update(now)
        return changed

    def saw(self, session_id: SessionId, sighting: Sighting) -> None:
        """See `Store.saw`."""
        with self.turn() as tables:
            row = tables.row(session_id)
            tables.sessions[session_id] = replace(row, sighting=sighting, seen_at=self.now())

    def pulse(self) -> int:
        """See `Store.pulse`."""
        with self._lock:
            return sum(map(len, self._tables.entries.values()))

    def history(
        self, *, limit: int = 50, before: SessionId | None = None, wanted: Wanted = EVERY
    ) -> tuple[SessionRow, ...]:
        """See `Store.history`."""
        with self._lock:
            rows = list(self._tables.sessions.values())
            if before is not None:
                rows = rows[: rows.index(self._tables.row(before))]
            found = (row for row in reversed(rows) if self._tables.meets(row, wanted))
            return tuple(islice(found, limit))

    def doubtful(self, session_ids: Collection[SessionId]) -> frozenset[SessionId]:
        """See `Store.doubtful`."""
        with self._lock:
            return frozenset(each for each in session_ids if self._tables.is_doubtful(each))

    def stored(self, session_id: SessionId) -> StoredLog:
        """See `Store.stored`."""
        with self._lock:
            row = self._tables.row(session_id)
            return StoredLog(row=row, events=self._tables.entries[session_id])

    def adopt(self, moved: ImportedSession) -> ImportResult:
        """See `Store.adopt`."""
        with self.turn() as tables:
            return tables.adopt(moved)

    def claim(self, session_id: SessionId, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        """See `Store.claim`."""
        with self.turn() as tables:
            return tables.claim(session_id, outpoints)

    def reserve(
        self, session_id: SessionId, outpoints: Collection[OutPoint]
    ) -> frozenset[OutPoint]:
        """See `Store.reserve`."""
        with self.turn() as tables:
            return tables.reserve(session_id, outpoints)

    def release(self, session_id: SessionId) -> None:
        """See `Store.release`."""
        with self.turn() as tables:
            tables.release(session_id)

    def expose(self, session_id: SessionId) -> None:
        """See `Store.expose`."""
        with self.turn() as tables:
            tables.expose(session_id)

    def reserved(self, *, besides: SessionId | None = None) -> frozenset[OutPoint]:
        """See `Store.reserved`."""
        with self._lock:
            held = self._tables.held.items()
            return frozenset(coin for coin, holder in held if holder != besides)

    def holders(self) -> Mapping[OutPoint, SessionId]:
        """See `Store.holders`."""
        with self._lock:
            return dict(self._tables.held)

    def exposed(self) -> frozenset[OutPoint]:
        """See `Store.exposed`."""
        with self._lock:
            return frozenset(self._tables.exposed)

    def write(self, work: Callable[[MemoryTables], T]) -> T:
        """See `Store.write`; the connection is the `MemoryTables`, for their `rows`."""
        with self.turn() as tables, undoable(tables):
            return work(tables)

    async def write_async(self, work: Callable[[MemoryTables], T]) -> T:
        """See `Store.write_async`."""
        return self.write(work)

    @contextmanager
    def turn(self) -> Generator[MemoryTables]:
        """Be the only writer during the block; raises `UsageError` inside another write."""
        with self._lock:
            self._refuse_nesting()
            self._writer = threading.get_ident()
            try:
                yield self._tables
            finally:
                self._writer = None

    def require_turn(self, tables: MemoryTables) -> None:
        """Raise `UsageError` outside of the `write` that these tables belong to."""
        if tables is not self._tables or self._writer != threading.get_ident():
            raise UsageError("The connection is in no transaction: begin one, then save within it.")

    def now(self) -> UnixTime:
        """Return the time of new entries."""
        return UnixTime(int(self._clock()))

    def _refuse_nesting(self) -> None:
        if self._writer == threading.get_ident():
            raise UsageError(NESTED)

    def _known(self, session_id: SessionId, role: Role) -> SessionId:
        if self.row(session_id).role is not role:
            raise SessionNotFound(f"Session {session_id} is not a {role} session: check its id.")
        return session_id
