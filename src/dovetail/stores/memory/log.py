"""One session's log in memory."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Generic

from dovetail.bitcoin import OutPoint
from dovetail.errors import DovetailError, StaleSession, StoreUnavailable, UsageError
from dovetail.sessions.codec import EventCodec
from dovetail.sessions.standing import AnySession, Summary, summary_of
from dovetail.stores.integrity import read
from dovetail.stores.memory.tables import MemoryTables, undoable
from dovetail.stores.ports import ROWS_FAILED, Appended, E, SessionId
from dovetail.stores.session_index import index_of
from dovetail.stores.stored_event import StoredEvent, raw_event
from dovetail.stores.summary import summary_after

if TYPE_CHECKING:
    from dovetail.stores.memory import MemoryStore


class MemoryLog(Generic[E]):
    """One session's log; see `SessionLog`."""

    def __init__(
        self,
        store: "MemoryStore",
        codec: EventCodec[E],
        session_id: SessionId | None,
        *,
        reserving: Collection[OutPoint] = (),
        alone: bool = False,
        tables: MemoryTables | None = None,
    ) -> None:
        """`session_id` is None for a session whose first event is not saved yet.

        `tables` is the connection of `MemoryStore.write`, for a log within it.
        """
        self._store = store
        self._codec: EventCodec[E] = codec
        self._session_id = session_id
        self._reserving = reserving
        self._alone = alone
        self._tables = tables

    @property
    def session_id(self) -> SessionId:
        """See `SessionLog.session_id`."""
        if self._session_id is None:
            raise UsageError("The session has no id yet: save its first event.")
        return self._session_id

    def load(self) -> tuple[E, ...]:
        """See `SessionLog.load`."""
        return read(self._codec, self._store.stored(self.session_id))

    def append(self, event: E, /, *, seq: int, closes: bool) -> None:
        """See `SessionLog.append`."""
        self.advance(event, None, seq=seq, closes=closes)

    async def append_async(self, event: E, /, *, seq: int, closes: bool) -> None:
        """See `SessionLog.append_async`."""
        self.append(event, seq=seq, closes=closes)

    def advance(self, event: E, state: AnySession | None, /, *, seq: int, closes: bool) -> None:
        """See `SessionLog.advance`."""
        if self._tables is not None:
            self._store.require_turn(self._tables)
            self._session_id = self._write(self._tables, event, state, seq, closes=closes)
            return
        with self._store.turn() as tables:
            self._session_id = self._write(tables, event, state, seq, closes=closes)

    async def advance_async(
        self, event: E, state: AnySession | None, /, *, seq: int, closes: bool
    ) -> None:
        """See `SessionLog.advance_async`."""
        self.advance(event, state, seq=seq, closes=closes)

    def within(self, connection: MemoryTables) -> "MemoryLog[E]":
        """See `SessionLog.within`; raises `UsageError` outside of `MemoryStore.write`."""
        self._store.require_turn(connection)
        return MemoryLog(
            self._store,
            self._codec,
            self._session_id,
            reserving=self._reserving,
            alone=self._alone,
            tables=connection,
        )

    def _write(
        self, tables: MemoryTables, event: E, state: AnySession | None, seq: int, *, closes: bool
    ) -> SessionId:
        """Append the event together with the application's rows, both or neither."""
        data, rows = self._codec.encode(event), self._store.rows
        entry = raw_event(seq, type(event).__name__, data, self._store.now())
        summary = None if state is None else summary_of(state)
        if rows is None:
            return self._put(tables, event, entry, summary, closes=closes)
        with undoable(tables):
            session_id = self._put(tables, event, entry, summary, closes=closes)
            appended = Appended(
                session_id=session_id,
                seq=seq,
                event=event,
                closes=closes,
                created_at=entry.created_at,
            )
            try:
                rows(tables, appended)
            except DovetailError:
                raise
            except Exception as error:
                raise StoreUnavailable(ROWS_FAILED) from error
        return session_id

    def _put(
        self,
        tables: MemoryTables,
        event: E,
        entry: StoredEvent,
        summary: Summary | None,
        *,
        closes: bool,
    ) -> SessionId:
        known = self._session_id
        if known is not None:
            summary = summary or tables.drawn(known, entry, closes=closes)
            tables.add(known, entry, closes=closes, summary=summary)
            return known
        index = index_of(event)
        if entry.seq != 0:
            raise StaleSession("A new log begins at 0: reload the session.")
        summary = summary or summary_after(index.role, [entry.data], closes=False)
        return tables.create(index, entry, self._reserving, summary, alone=self._alone)
