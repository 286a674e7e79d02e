"""One session's log in SQLite."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Generic

from sqlalchemy import Connection, insert
from sqlalchemy.exc import IntegrityError

from dovetail.bitcoin import OutPoint
from dovetail.errors import CoinsTaken, DuplicateSession, StaleSession, UsageError
from dovetail.sessions.codec import EventCodec
from dovetail.stores import coins
from dovetail.stores.entries import RawEvent, raw_event
from dovetail.stores.logs import read
from dovetail.stores.ports import PAID_ALREADY, E, Facts, SessionId, facts_of, may_have_paid
from dovetail.stores.schema import sessions

if TYPE_CHECKING:
    from dovetail.stores.sql import SqlStore

# These two run for every event, and handing SQLAlchemy a statement to render costs as much as
# SQLite takes to run it: so they go to the driver as they are.
_ADVANCE = (
    "UPDATE sessions SET next_seq = next_seq + 1, last_tag = ?, closed_at = ?"
    " WHERE session_id = ? AND next_seq = ? AND closed_at IS NULL"
)
_RECORD = (
    "INSERT INTO session_events (session_id, seq, tag, data, created_at, checksum)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_BEGIN = insert(sessions)
# With each session its last entry, which says how it ended; none where the log is damaged.
_PAYERS = (
    "SELECT s.session_id, s.closed_at, CAST(e.data AS BLOB) FROM sessions AS s"
    " LEFT JOIN session_events AS e ON e.session_id = s.session_id AND e.seq = s.next_seq - 1"
    " WHERE s.role = 'sender' AND s.address = ? ORDER BY s.session_id DESC"
)


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
        self._store = store
        self._codec: EventCodec[E] = codec
        self._session_id = session_id
        self._reserving = reserving
        self._alone = alone

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
        work, isolated = self._work(event, seq, closes=closes)
        self._session_id = self._store.writer.run(work, isolated=isolated)

    async def append_async(self, event: E, /, *, seq: int, closes: bool) -> None:
        """See `SessionLog.append_async`."""
        work, isolated = self._work(event, seq, closes=closes)
        self._session_id = await self._store.writer.run_async(work, isolated=isolated)

    def _work(
        self, event: E, seq: int, *, closes: bool
    ) -> tuple[Callable[[Connection], SessionId], bool]:
        """The job, and whether it needs a savepoint because it may fail after it wrote."""
        data = self._codec.encode(event)
        entry = raw_event(seq, type(event).__name__, data, self._store.now())
        known = self._session_id
        if known is None:
            reserves = bool(self._reserving)
            return lambda connection: self._create(connection, event, entry), reserves
        return lambda connection: append(connection, known, entry, closes=closes), False

    def _create(self, connection: Connection, event: E, entry: RawEvent) -> SessionId:
        facts = facts_of(event)
        if entry.seq != 0:
            raise StaleSession("A new log begins at 0: reload the session.")
        if self._alone and payer_of(connection, facts.address) is not None:
            raise DuplicateSession(PAID_ALREADY)
        session_id = create(connection, facts, entry)
        if coins.reserve(connection, session_id, self._reserving):
            raise CoinsTaken("Another live session holds one of the coins: choose others.")
        return session_id


def payer_of(connection: Connection, address: str) -> SessionId | None:
    """The newest session that pays an address or did."""
    for session_id, closed_at, data in connection.exec_driver_sql(_PAYERS, (address,)):
        if closed_at is None or may_have_paid(data or b""):
            return SessionId(session_id)
    return None


def create(connection: Connection, facts: Facts, entry: RawEvent) -> SessionId:
    """Add a session with its first entry; raises `DuplicateSession`."""
    row = {
        "role": facts.role.value,
        "pj_uri": facts.pj_uri,
        "receiver_pubkey": facts.receiver_pubkey,
        "address": facts.address,
        "created_at": entry.created_at,
        "expires_at": facts.expires_at,
        "last_tag": entry.tag,
        "next_seq": 1,
    }
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
    moved = connection.exec_driver_sql(_ADVANCE, (entry.tag, closed_at, session_id, entry.seq))
    if moved.rowcount != 1:
        raise StaleSession(
            "This session has moved on since it was loaded: load it again before you act on it."
        )
    _record(connection, session_id, entry)
    if closes:
        coins.release(connection, session_id)
    return session_id


def _record(connection: Connection, session_id: SessionId, entry: RawEvent) -> None:
    values = (entry.seq, entry.tag, entry.data, entry.created_at, entry.checksum)
    connection.exec_driver_sql(_RECORD, (session_id, *values))
