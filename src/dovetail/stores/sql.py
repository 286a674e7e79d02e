"""Durable logs in SQLite, through SQLAlchemy Core (schema and rules: DESIGN, The store)."""

import time
from collections.abc import Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    Integer,
    LargeBinary,
    Select,
    bindparam,
    cast,
    select,
)

from dovetail.bitcoin import Address, OutPoint, UnixTime
from dovetail.errors import SessionNotFound
from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions.receiver.events import CODEC as RECEIVER_CODEC
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.sender.events import CODEC as SENDER_CODEC
from dovetail.sessions.sender.events import SenderEvent
from dovetail.sessions.sightings import Sighting
from dovetail.stores import adopting, coins, seen
from dovetail.stores.entries import RawEvent
from dovetail.stores.migrations import upgrade
from dovetail.stores.ports import (
    Adopted,
    Moved,
    Role,
    SessionId,
    SessionRow,
    StoredLog,
    payment_facts,
)
from dovetail.stores.schema import (
    coin_reservations,
    metadata,
    session_events,
    sessions,
    sightings,
)
from dovetail.stores.sqlite import Pulse, examine, make_whole, open_engine, reading, translated
from dovetail.stores.sqllog import SqlLog, payer_of
from dovetail.stores.writer import Writer

T = TypeVar("T")
Clock = Callable[[], float]

VITAL = ("sessions", "inputs_seen", "coin_reservations")
"""What no checksum guards, and what is small beside the logs."""

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
_ROW: Select[Any] = select(
    sessions.c.session_id,
    sessions.c.role,
    sessions.c.created_at,
    sessions.c.expires_at,
    sessions.c.closed_at,
    cast(sessions.c.last_tag, LargeBinary).label("last_tag"),
    sessions.c.next_seq,
    *seen.COLUMNS,
).outerjoin_from(sessions, sightings)

_HEADS = select(sessions.c.session_id, sessions.c.next_seq).where(sessions.c.closed_at.is_(None))


class SqlStore:
    """A `Store` in one SQLite file. Safe to share between threads and between processes."""

    def __init__(self, engine: Engine, *, clock: Clock = time.time) -> None:
        """Take an engine whose schema is current; `open` is the usual way in."""
        self._engine = engine
        self._clock = clock
        self._writer = Writer(engine)
        self._pulse = Pulse(engine)

    @classmethod
    def open(cls, path: Path, *, clock: Clock = time.time) -> Self:
        """Open or make the database at `path` and bring its schema up to date.

        The upgrade runs under the lock that every writer takes, all of it or nothing. Raises
        `StoreUnavailable`, naming the file, when it cannot be opened, read or upgraded, when it
        is damaged, empty, or no database of Dovetail's.
        """
        make_whole(path, upgrade)
        engine = open_engine(path)
        try:
            examine(engine, path, VITAL)
            with translated(engine), engine.begin() as connection:
                upgrade(connection)
                for table in metadata.sorted_tables:
                    connection.execute(select(table).limit(0)).close()
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, clock=clock)

    def close(self) -> None:
        """Finish what was submitted and let go of the file."""
        self._writer.close()
        self._pulse.close()
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

    def new_receiver(self) -> SqlLog[ReceiverEvent]:
        """See `Store.new_receiver`."""
        return SqlLog(self, RECEIVER_CODEC, None)

    def new_sender(
        self, *, reserving: Collection[OutPoint] = (), alone: bool = False
    ) -> SqlLog[SenderEvent]:
        """See `Store.new_sender`."""
        return SqlLog(self, SENDER_CODEC, None, reserving=reserving, alone=alone)

    def receiver(self, session_id: SessionId) -> SqlLog[ReceiverEvent]:
        """See `Store.receiver`."""
        return SqlLog(self, RECEIVER_CODEC, self._known(session_id, Role.RECEIVER))

    def sender(self, session_id: SessionId) -> SqlLog[SenderEvent]:
        """See `Store.sender`."""
        return SqlLog(self, SENDER_CODEC, self._known(session_id, Role.SENDER))

    def row(self, session_id: SessionId) -> SessionRow:
        """See `Store.row`."""
        with reading(self._engine) as connection:
            found = connection.execute(_ROW.where(sessions.c.session_id == session_id)).first()
        if found is None:
            raise _not_found(session_id)
        return _session_row(found)

    def paying(self, uri: PayjoinUri) -> SessionId | None:
        """See `Store.paying`."""
        facts, row = payment_facts(uri), sessions.c
        query = select(row.session_id).where(row.role == Role.SENDER.value)
        if facts.receiver_pubkey is not None:
            query = query.where(row.receiver_pubkey == facts.receiver_pubkey)
        else:
            query = query.where(
                row.receiver_pubkey.is_(None),
                row.address == facts.address,
                row.pj_uri == facts.pj_uri,
            )
        with reading(self._engine) as connection:
            found = connection.execute(query).scalar()
        return None if found is None else SessionId(found)

    def paying_to(self, address: Address) -> SessionId | None:
        """See `Store.paying_to`."""
        with reading(self._engine) as connection:
            return payer_of(connection, str(address))

    def live(self) -> tuple[SessionRow, ...]:
        """See `Store.live`."""
        query = _ROW.where(sessions.c.closed_at.is_(None)).order_by(sessions.c.session_id)
        with reading(self._engine) as connection:
            return tuple(map(_session_row, connection.execute(query).all()))

    def heads(self) -> dict[SessionId, int]:
        """See `Store.heads`."""
        with reading(self._engine) as connection:
            return {SessionId(each): head for each, head in connection.execute(_HEADS)}

    def saw(self, session_id: SessionId, sighting: Sighting) -> None:
        """See `Store.saw`."""
        now = self.now()
        self.write(lambda connection: seen.keep(connection, session_id, sighting, now))

    def pulse(self) -> int:
        """See `Store.pulse`."""
        return self._pulse.read()

    def history(
        self, *, limit: int = 50, before: SessionId | None = None
    ) -> tuple[SessionRow, ...]:
        """See `Store.history`."""
        query = _ROW.order_by(sessions.c.session_id.desc()).limit(limit)
        if before is not None:
            query = query.where(sessions.c.session_id < before)
        with reading(self._engine) as connection:
            return tuple(map(_session_row, connection.execute(query).all()))

    def stored(self, session_id: SessionId) -> StoredLog:
        """See `Store.stored`."""
        with reading(self._engine) as connection:
            row = connection.execute(_ROW.where(sessions.c.session_id == session_id)).first()
            if row is None:
                raise _not_found(session_id)
            entries = tuple(map(_raw_event, connection.execute(_LOAD, {"session": session_id})))
        return StoredLog(row=_session_row(row), events=entries)

    def adopt(self, moved: Moved) -> Adopted:
        """See `Store.adopt`."""
        now = self.now()
        return self.write(lambda connection: adopting.adopt(connection, moved, now))

    def claim(self, session_id: SessionId, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        """See `Store.claim`."""
        now = self.now()
        return self.write(lambda connection: coins.claim(connection, session_id, outpoints, now))

    def reserve(
        self, session_id: SessionId, outpoints: Collection[OutPoint]
    ) -> frozenset[OutPoint]:
        """See `Store.reserve`."""
        return self.write(lambda connection: coins.reserve(connection, session_id, outpoints))

    def release(self, session_id: SessionId) -> None:
        """See `Store.release`."""
        self.write(lambda connection: coins.release(connection, session_id))

    def expose(self, session_id: SessionId) -> None:
        """See `Store.expose`."""
        now = self.now()
        self.write(lambda connection: coins.expose(connection, session_id, now))

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

    def now(self) -> UnixTime:
        """The time that new rows carry, in seconds."""
        return UnixTime(int(self._clock()))

    def _coins(self, condition: Any) -> frozenset[OutPoint]:
        query = select(coin_reservations.c.outpoint).where(condition)
        with reading(self._engine) as connection:
            return frozenset(map(OutPoint.parse, connection.execute(query).scalars()))

    def _known(self, session_id: SessionId, role: Role) -> SessionId:
        if self.row(session_id).role is not role:
            raise SessionNotFound(f"Session {session_id} is not a {role} session: check its id.")
        return session_id


def _raw_event(row: Any) -> RawEvent:
    seq, tag, data, created_at, checksum = row
    return RawEvent(
        seq=seq,
        tag=(tag or b"").decode(errors="replace"),
        data=data or b"",
        created_at=UnixTime(created_at),
        checksum=checksum,
    )


def _session_row(row: Any) -> SessionRow:
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
    )


def _not_found(session_id: SessionId) -> SessionNotFound:
    return SessionNotFound(f"There is no session {session_id}: `dovetail history` lists them.")
