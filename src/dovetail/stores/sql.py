"""Durable logs in SQLite, through SQLAlchemy Core (schema and rules: DESIGN, The store)."""

import time
from collections.abc import Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

from sqlalchemy import Connection, Engine, bindparam, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import IntegrityError

from dovetail.bitcoin import OutPoint, UnixTime
from dovetail.errors import (
    CoinsTaken,
    DuplicateSession,
    SessionNotFound,
    StaleSession,
    UsageError,
)
from dovetail.sessions.codec import EventCodec
from dovetail.sessions.receiver.events import CODEC as RECEIVER_CODEC
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.sender.events import CODEC as SENDER_CODEC
from dovetail.sessions.sender.events import SenderEvent
from dovetail.stores.migrations import upgrade
from dovetail.stores.ports import E, Role, SessionId, SessionRow, facts_of, load
from dovetail.stores.schema import coin_reservations, inputs_seen, session_events, sessions
from dovetail.stores.sqlite import open_engine, reading, translated
from dovetail.stores.writer import Writer

T = TypeVar("T")
Clock = Callable[[], float]

# These two run for every event, and handing SQLAlchemy a statement to render costs as much as
# SQLite takes to run it: so they go to the driver as they are.
_ADVANCE = (
    "UPDATE sessions SET next_seq = next_seq + 1, last_tag = ?, closed_at = ?"
    " WHERE session_id = ? AND next_seq = ? AND closed_at IS NULL"
)
_RECORD = (
    "INSERT INTO session_events (session_id, seq, tag, data, created_at) VALUES (?, ?, ?, ?, ?)"
)
_BEGIN = insert(sessions)
_RELEASE = (
    update(coin_reservations)
    .where(coin_reservations.c.session_id == bindparam("session"))
    .values(session_id=None)
)
_LOAD = (
    select(session_events.c.data)
    .where(session_events.c.session_id == bindparam("session"))
    .order_by(session_events.c.seq)
)
_ROW = select(
    sessions.c.session_id,
    sessions.c.role,
    sessions.c.created_at,
    sessions.c.expires_at,
    sessions.c.closed_at,
    sessions.c.last_tag,
    sessions.c.next_seq,
)


class _Entry(NamedTuple):
    seq: int
    tag: str
    data: bytes
    created_at: int
    closed_at: int | None


class SqlStore:
    """A `Store` in one SQLite file. Safe to share between threads and between processes."""

    def __init__(self, engine: Engine, *, clock: Clock = time.time) -> None:
        """Take an engine whose schema is current; `open` is the usual way in."""
        self._engine = engine
        self._clock = clock
        self._writer = Writer(engine)

    @classmethod
    def open(cls, path: Path, *, clock: Clock = time.time) -> Self:
        """Open or make the database at `path` and bring its schema up to date.

        Raises `StoreUnavailable` when the file cannot be opened, read or upgraded.
        """
        engine = open_engine(path)
        try:
            with translated(), engine.begin() as connection:
                upgrade(connection)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, clock=clock)

    def close(self) -> None:
        """Finish what was submitted and let go of the file."""
        self._writer.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def new_receiver(self) -> "SqlLog[ReceiverEvent]":
        """See `Store.new_receiver`."""
        return SqlLog(self, RECEIVER_CODEC, None)

    def new_sender(self, *, reserving: Collection[OutPoint] = ()) -> "SqlLog[SenderEvent]":
        """See `Store.new_sender`."""
        return SqlLog(self, SENDER_CODEC, None, reserving=reserving)

    def receiver(self, session_id: SessionId) -> "SqlLog[ReceiverEvent]":
        """See `Store.receiver`."""
        return SqlLog(self, RECEIVER_CODEC, self._known(session_id, Role.RECEIVER))

    def sender(self, session_id: SessionId) -> "SqlLog[SenderEvent]":
        """See `Store.sender`."""
        return SqlLog(self, SENDER_CODEC, self._known(session_id, Role.SENDER))

    def row(self, session_id: SessionId) -> SessionRow:
        """See `Store.row`."""
        with reading(self._engine) as connection:
            found = connection.execute(_ROW.where(sessions.c.session_id == session_id)).first()
        if found is None:
            raise _not_found(session_id)
        return _session_row(found)

    def live(self) -> tuple[SessionRow, ...]:
        """See `Store.live`."""
        query = _ROW.where(sessions.c.closed_at.is_(None)).order_by(sessions.c.session_id)
        with reading(self._engine) as connection:
            return tuple(map(_session_row, connection.execute(query)))

    def history(
        self, *, limit: int = 50, before: SessionId | None = None
    ) -> tuple[SessionRow, ...]:
        """See `Store.history`."""
        query = _ROW.order_by(sessions.c.session_id.desc()).limit(limit)
        if before is not None:
            query = query.where(sessions.c.session_id < before)
        with reading(self._engine) as connection:
            return tuple(map(_session_row, connection.execute(query)))

    def raw_events(self, session_id: SessionId) -> tuple[bytes, ...]:
        """See `Store.raw_events`."""
        with reading(self._engine) as connection:
            rows = tuple(connection.execute(_LOAD, {"session": session_id}).scalars())
        if not rows:
            self.row(session_id)
        return rows

    def claim(self, session_id: SessionId, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        """See `Store.claim`."""
        values = [
            {"outpoint": str(outpoint), "session_id": session_id, "seen_at": self.now()}
            for outpoint in outpoints
        ]
        return self.write(lambda connection: _claim(connection, session_id, values))

    def reserve(
        self, session_id: SessionId, outpoints: Collection[OutPoint]
    ) -> frozenset[OutPoint]:
        """See `Store.reserve`."""
        return self.write(lambda connection: _reserve(connection, session_id, outpoints))

    def release(self, session_id: SessionId) -> None:
        """See `Store.release`."""
        self.write(lambda connection: _release(connection, session_id))

    def expose(self, session_id: SessionId) -> None:
        """See `Store.expose`."""
        now = self.now()
        statement = (
            update(coin_reservations)
            .where(
                coin_reservations.c.session_id == session_id,
                coin_reservations.c.exposed_at.is_(None),
            )
            .values(exposed_at=now)
        )
        self.write(lambda connection: connection.execute(statement).close())

    def reserved(self) -> frozenset[OutPoint]:
        """See `Store.reserved`."""
        return self._coins(coin_reservations.c.session_id.is_not(None))

    def exposed(self) -> frozenset[OutPoint]:
        """See `Store.exposed`."""
        return self._coins(coin_reservations.c.exposed_at.is_not(None))

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run the caller's own statements in one durable transaction, all or nothing."""
        return self._writer.run(work)

    async def write_async(self, work: Callable[[Connection], T]) -> T:
        """As `write`; a cancelled await leaves the write running to its end."""
        return await self._writer.run_async(work)

    @property
    def writer(self) -> Writer:
        """The thread that writes, for statements that refuse before they write."""
        return self._writer

    @property
    def engine(self) -> Engine:
        """The database, for reading."""
        return self._engine

    def now(self) -> int:
        """The time that new rows carry, in seconds."""
        return int(self._clock())

    def _coins(self, condition: Any) -> frozenset[OutPoint]:
        query = select(coin_reservations.c.outpoint).where(condition)
        with reading(self._engine) as connection:
            return frozenset(map(OutPoint.parse, connection.execute(query).scalars()))

    def _known(self, session_id: SessionId, role: Role) -> SessionId:
        if self.row(session_id).role is not role:
            raise SessionNotFound(f"Session {session_id} is not a {role} session: check its id.")
        return session_id


class SqlLog(Generic[E]):
    """One session's log; see `SessionLog`."""

    def __init__(
        self,
        store: SqlStore,
        codec: EventCodec[E],
        session_id: SessionId | None,
        *,
        reserving: Collection[OutPoint] = (),
    ) -> None:
        """`session_id` is None for a session whose first event is not saved yet."""
        self._store = store
        self._codec: EventCodec[E] = codec
        self._session_id = session_id
        self._reserving = reserving

    @property
    def session_id(self) -> SessionId:
        """See `SessionLog.session_id`."""
        if self._session_id is None:
            raise UsageError("The session has no id yet: save its first event.")
        return self._session_id

    def load(self) -> tuple[E, ...]:
        """See `SessionLog.load`."""
        return load(self._codec, self.session_id, self._store)

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
        tag, now = type(event).__name__, self._store.now()
        entry = _Entry(seq, tag, self._codec.encode(event), now, now if closes else None)
        known = self._session_id
        if known is None:
            reserves = bool(self._reserving)
            return lambda connection: self._create(connection, event, entry), reserves
        return lambda connection: _append(connection, known, entry), False

    def _create(self, connection: Connection, event: E, entry: _Entry) -> SessionId:
        facts = facts_of(event)
        if entry.seq != 0:
            raise StaleSession("A new log begins at 0: reload the session.")
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
        if _reserve(connection, session_id, self._reserving):
            raise CoinsTaken("Another live session holds one of the coins: choose others.")
        return session_id


def _append(connection: Connection, session_id: SessionId, entry: _Entry) -> SessionId:
    """M1 and M5: the row moves from `seq` to the next, or nothing is written."""
    moved = connection.exec_driver_sql(
        _ADVANCE, (entry.tag, entry.closed_at, session_id, entry.seq)
    )
    if moved.rowcount != 1:
        raise StaleSession(
            "This session has moved on since it was loaded: load it again before you act on it."
        )
    _record(connection, session_id, entry)
    if entry.closed_at is not None:
        _release(connection, session_id)
    return session_id


def _record(connection: Connection, session_id: SessionId, entry: _Entry) -> None:
    connection.exec_driver_sql(
        _RECORD, (session_id, entry.seq, entry.tag, entry.data, entry.created_at)
    )


def _claim(
    connection: Connection, session_id: SessionId, values: list[dict[str, Any]]
) -> frozenset[OutPoint]:
    """One statement that records what is new and answers whose each outpoint is (P2)."""
    if not values:
        return frozenset()
    statement = upsert(inputs_seen).values(values)
    owners = connection.execute(
        statement.on_conflict_do_update(
            index_elements=["outpoint"], set_={"session_id": inputs_seen.c.session_id}
        ).returning(inputs_seen.c.outpoint, inputs_seen.c.session_id)
    )
    return _others(owners, session_id)


def _reserve(
    connection: Connection, session_id: SessionId, outpoints: Collection[OutPoint]
) -> frozenset[OutPoint]:
    """The same for coins, where one that a session gave back goes to the next (P3)."""
    if not outpoints:
        return frozenset()
    statement = upsert(coin_reservations).values(
        [{"outpoint": str(outpoint), "session_id": session_id} for outpoint in outpoints]
    )
    holder = coin_reservations.c.session_id
    owners = connection.execute(
        statement.on_conflict_do_update(
            index_elements=["outpoint"],
            set_={"session_id": func.coalesce(holder, statement.excluded.session_id)},
        ).returning(coin_reservations.c.outpoint, holder)
    )
    return _others(owners, session_id)


def _others(owners: Any, session_id: SessionId) -> frozenset[OutPoint]:
    return frozenset(OutPoint.parse(coin) for coin, owner in owners if owner != session_id)


def _release(connection: Connection, session_id: SessionId) -> None:
    connection.execute(_RELEASE, {"session": session_id})


def _session_row(row: Any) -> SessionRow:
    return SessionRow(
        session_id=SessionId(row.session_id),
        role=Role(row.role),
        created_at=UnixTime(row.created_at),
        expires_at=UnixTime(row.expires_at),
        closed_at=None if row.closed_at is None else UnixTime(row.closed_at),
        last_tag=row.last_tag,
        next_seq=row.next_seq,
    )


def _not_found(session_id: SessionId) -> SessionNotFound:
    return SessionNotFound(f"There is no session {session_id}: `dovetail history` lists them.")
