"""One session's log in a SQL database."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Generic

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from dovetail.actions import Action
from dovetail.bitcoin import OutPoint
from dovetail.errors import (
    CoinsTaken,
    DovetailError,
    DuplicateSession,
    StaleSession,
    StoreUnavailable,
    UsageError,
)
from dovetail.sessions.codec import EventCodec
from dovetail.sessions.standing import AnySession, Summary, summary_of
from dovetail.stores.integrity import read
from dovetail.stores.ports import PAID_ALREADY, ROWS_FAILED, Appended, E, SessionId
from dovetail.stores.session_index import index_of
from dovetail.stores.sql import coins
from dovetail.stores.sql.savepoint import savepoint
from dovetail.stores.stored_event import StoredEvent, raw_event
from dovetail.stores.summary import summary_after

if TYPE_CHECKING:
    from dovetail.stores.sql.store import SqlStore


class SqlLog(Generic[E]):
    """One session's log; see `SessionLog`."""

    def __init__(
        self,
        store: "SqlStore",
        codec: EventCodec[E],
        session_id: SessionId | None,
        *,
        reserving: Collection[OutPoint] = (),
        alone: bool = False,
    ) -> None:
        """`session_id` is None for a session whose first event is not saved yet."""
        self.store = store
        self.codec: EventCodec[E] = codec
        self._session_id = session_id
        self._reserving = reserving
        self._alone = alone

    @property
    def session_id(self) -> SessionId:
        """See `SessionLog.session_id`."""
        return _named(self._session_id)

    def load(self) -> tuple[E, ...]:
        """See `SessionLog.load`."""
        return read(self.codec, self.store.stored(self.session_id))

    def append(self, event: E, /, *, seq: int, closes: bool) -> None:
        """See `SessionLog.append`."""
        self.advance(event, None, seq=seq, closes=closes)

    async def append_async(self, event: E, /, *, seq: int, closes: bool) -> None:
        """See `SessionLog.append_async`."""
        await self.advance_async(event, None, seq=seq, closes=closes)

    def advance(self, event: E, state: AnySession | None, /, *, seq: int, closes: bool) -> None:
        """See `SessionLog.advance`; without a state the log is replayed."""
        work = self._work(event, state, seq, closes=closes)
        self._session_id = self.store.writer.run(work, isolated=self._may_fail_late)

    async def advance_async(
        self, event: E, state: AnySession | None, /, *, seq: int, closes: bool
    ) -> None:
        """See `SessionLog.advance_async`."""
        work = self._work(event, state, seq, closes=closes)
        self._session_id = await self.store.writer.run_async(work, isolated=self._may_fail_late)

    def within(self, connection: Connection) -> "BoundLog[E]":
        """See `SessionLog.within`; raises `UsageError` for a connection in no transaction."""
        self.store.require_transaction(connection)
        return BoundLog(self, connection, self._session_id)

    def _work(
        self, event: E, state: AnySession | None, seq: int, *, closes: bool
    ) -> Callable[[Connection], SessionId]:
        entry, known = self.entry(event, seq), self._session_id
        summary = None if state is None else summary_of(state)
        return lambda connection: self.write(
            connection, known, event, entry, closes=closes, summary=summary
        )

    def entry(self, event: E, seq: int) -> StoredEvent:
        """Return the entry of an event."""
        return raw_event(seq, type(event).__name__, self.codec.encode(event), self.store.now())

    def write(
        self,
        connection: Connection,
        known: SessionId | None,
        event: E,
        entry: StoredEvent,
        *,
        closes: bool,
        summary: Summary | None,
    ) -> SessionId:
        """Append on this connection, with the application's rows."""
        if known is None:
            session_id = self._create(connection, event, entry, summary)
        else:
            statements = self.store.statements
            summary = summary or statements.drawn(connection, known, entry, closes=closes)
            session_id = statements.append(connection, known, entry, closes=closes, summary=summary)
        self._take_along(connection, session_id, event, entry, closes=closes)
        return session_id

    @property
    def _may_fail_late(self) -> bool:
        """Whether an append may fail after it wrote, and so needs a savepoint."""
        return bool(self._reserving) or self.store.rows is not None

    def _create(
        self, connection: Connection, event: E, entry: StoredEvent, summary: Summary | None
    ) -> SessionId:
        index = index_of(event)
        if entry.seq != 0:
            raise StaleSession("A new log begins at 0: reload the session.")
        statements = self.store.statements
        if self._alone:
            statements.take_turns(connection, index.address.encode())
            if statements.payer_of(connection, index.address) is not None:
                raise DuplicateSession(PAID_ALREADY, actions=(Action.LIST,))
        summary = summary or summary_after(index.role, [entry.data], closes=False)
        session_id = statements.create(connection, index, entry, summary)
        if coins.reserve(connection, session_id, self._reserving):
            raise CoinsTaken("Another live session holds one of the coins: choose others.")
        return session_id

    def _take_along(
        self,
        connection: Connection,
        session_id: SessionId,
        event: E,
        entry: StoredEvent,
        *,
        closes: bool,
    ) -> None:
        if self.store.rows is None:
            return
        appended = Appended(
            session_id=session_id,
            seq=entry.seq,
            event=event,
            closes=closes,
            created_at=entry.created_at,
        )
        try:
            self.store.rows(connection, appended)
        except (DovetailError, OperationalError):
            raise
        except Exception as error:
            raise StoreUnavailable(ROWS_FAILED) from error


class BoundLog(Generic[E]):
    """A session's log inside the caller's transaction; see `SessionLog.within`."""

    def __init__(
        self, log: SqlLog[E], connection: Connection, session_id: SessionId | None
    ) -> None:
        """`session_id` is None for a session whose first event is not saved yet."""
        self._log: SqlLog[E] = log
        self._connection = connection
        self._transaction = connection.get_transaction()
        self._session_id = session_id

    @property
    def session_id(self) -> SessionId:
        """See `SessionLog.session_id`; invalid after a rollback."""
        return _named(self._session_id)

    def load(self) -> tuple[E, ...]:
        """See `SessionLog.load`, as the transaction sees it; no other one appends meanwhile."""
        statements = self._log.store.statements
        statements.lock(self._connection, self.session_id)
        return read(self._log.codec, statements.stored(self._connection, self.session_id))

    def append(self, event: E, /, *, seq: int, closes: bool) -> None:
        """See `SessionLog.append`; durable once the transaction is."""
        self.advance(event, None, seq=seq, closes=closes)

    async def append_async(self, event: E, /, *, seq: int, closes: bool) -> None:
        """As `append`."""
        self.append(event, seq=seq, closes=closes)

    def advance(self, event: E, state: AnySession | None, /, *, seq: int, closes: bool) -> None:
        """See `SessionLog.advance`; durable once the transaction is."""
        if self._connection.get_transaction() is not self._transaction:
            raise UsageError("The transaction has ended: save within another one.")
        entry = self._log.entry(event, seq)
        summary = None if state is None else summary_of(state)
        with savepoint(self._connection):
            self._session_id = self._log.write(
                self._connection, self._session_id, event, entry, closes=closes, summary=summary
            )

    async def advance_async(
        self, event: E, state: AnySession | None, /, *, seq: int, closes: bool
    ) -> None:
        """As `advance`."""
        self.advance(event, state, seq=seq, closes=closes)

    def within(self, connection: Connection) -> "BoundLog[E]":
        """Return the log in another transaction."""
        return self._log.within(connection)


def _named(session_id: SessionId | None) -> SessionId:
    if session_id is None:
        raise UsageError("The session has no id yet: save its first event.")
    return session_id
