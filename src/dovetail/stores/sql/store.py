"""A store in a SQL database, through SQLAlchemy Core (docs/reference/store.md)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine, select

from dovetail.bitcoin import Address, OutPoint, UnixTime
from dovetail.errors import SessionNotFound
from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions.receiver.events import CODEC as RECEIVER_CODEC
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.sender.events import CODEC as SENDER_CODEC
from dovetail.sessions.sender.events import SenderEvent
from dovetail.sessions.sightings import Sighting
from dovetail.stores.ports import (
    ImportedSession,
    ImportResult,
    Rows,
    SessionId,
    SessionRow,
    StoredLog,
)
from dovetail.stores.search import EVERY, Wanted
from dovetail.stores.session_index import Role, payment_index
from dovetail.stores.sql import coins, imported_session, sightings
from dovetail.stores.sql.jobs import Jobs
from dovetail.stores.sql.log import SqlLog
from dovetail.stores.sql.schema import coin_reservations, sessions
from dovetail.stores.sql.statements import Statements

T = TypeVar("T")
Clock = Callable[[], float]

_HEADS = select(sessions.c.session_id, sessions.c.next_seq).where(sessions.c.closed_at.is_(None))
_OPEN = select(sessions.c.session_id).where(sessions.c.closed_at.is_(None))
_PART = 500
"""Rows that are in memory at once, where there may be many."""


class SqlStore(ABC):
    """What `SqliteStore` and `PostgresStore` share.

    Other tables of the same database are read within `reading`, and written within `write` or, with
    each event, by `rows`: one transaction covers them and the sessions.
    """

    def __init__(
        self,
        engine: Engine,
        statements: Statements,
        writer: Jobs,
        *,
        clock: Clock,
        rows: Rows | None,
    ) -> None:
        """Take an engine with a current schema, and what its database does in its own way."""
        self.rows = rows
        self.statements = statements
        self._engine = engine
        self._clock = clock
        self._writer = writer

    @abstractmethod
    def pulse(self) -> int:
        """See `Store.pulse`."""

    @abstractmethod
    def close(self) -> None:
        """See `Store.close`."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Connection]:
        """Yield a connection with a consistent snapshot, to read any tables.

        It does not wait for writers. Raises `StoreUnavailable` for errors of the database.
        """

    @abstractmethod
    def require_transaction(self, connection: Connection) -> None:
        """Raise `UsageError` unless the connection is in a transaction."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
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
        with self.reading() as connection:
            return self.statements.row_of(connection, session_id)

    def session_paying(self, uri: PayjoinUri) -> SessionId | None:
        """See `Store.session_paying`."""
        index, row = payment_index(uri), sessions.c
        query = select(row.session_id).where(row.role == Role.SENDER.value)
        if index.receiver_pubkey is not None:
            query = query.where(row.receiver_pubkey == index.receiver_pubkey)
        else:
            query = query.where(
                row.receiver_pubkey.is_(None),
                row.address == index.address,
                row.pj_uri == index.pj_uri,
            )
        with self.reading() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else SessionId(found)

    def session_paying_to(self, address: Address) -> SessionId | None:
        """See `Store.session_paying_to`."""
        with self.reading() as connection:
            return self.statements.payer_of(connection, str(address))

    def live(self) -> tuple[SessionRow, ...]:
        """See `Store.live`."""
        which = " WHERE s.closed_at IS NULL ORDER BY s.session_id"
        with self.reading() as connection:
            return tuple(self.statements.rows(connection, which))

    def heads(self) -> dict[SessionId, int]:
        """See `Store.heads`."""
        with self.reading() as connection:
            return {SessionId(each): head for each, head in connection.execute(_HEADS)}

    def refresh_heads(self, heads: dict[SessionId, int]) -> tuple[SessionId, ...]:
        """See `Store.refresh_heads`; the rows are read in parts."""
        changed: dict[SessionId, int] = {}
        before, kept = len(heads), 0
        with self.reading() as connection:
            for part in connection.execute(_HEADS).partitions(_PART):
                for session_id, head in part:
                    known = heads.get(session_id)
                    kept += known is not None
                    if known != head:
                        changed[session_id] = head
            if kept < before:
                still_open = set(connection.execute(_OPEN).scalars())
                for each in [each for each in heads if each not in still_open]:
                    del heads[each]
        heads.update(changed)
        return tuple(changed)

    def saw(self, session_id: SessionId, sighting: Sighting) -> None:
        """See `Store.saw`."""
        known = SessionId(self.statements.key(session_id))
        now = self.now()
        self._writer.run(lambda connection: sightings.keep(connection, known, sighting, now))

    def history(
        self, *, limit: int = 50, before: SessionId | None = None, wanted: Wanted = EVERY
    ) -> tuple[SessionRow, ...]:
        """See `Store.history`."""
        with self.reading() as connection:
            found = self.statements.history(connection, wanted, limit=limit, before=before)
            return tuple(found)

    def doubtful(self, session_ids: Collection[SessionId]) -> frozenset[SessionId]:
        """See `Store.doubtful`."""
        with self.reading() as connection:
            return self.statements.doubtful(connection, session_ids)

    def stored(self, session_id: SessionId) -> StoredLog:
        """See `Store.stored`."""
        with self.reading() as connection:
            return self.statements.stored(connection, session_id)

    def adopt(self, moved: ImportedSession) -> ImportResult:
        """See `Store.adopt`."""
        now = self.now()
        return self._writer.run(
            lambda connection: imported_session.adopt(self.statements, connection, moved, now)
        )

    def claim(self, session_id: SessionId, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        """See `Store.claim`."""
        known = SessionId(self.statements.key(session_id))
        now = self.now()
        return self._writer.run(lambda connection: coins.claim(connection, known, outpoints, now))

    def reserve(
        self, session_id: SessionId, outpoints: Collection[OutPoint]
    ) -> frozenset[OutPoint]:
        """See `Store.reserve`."""
        known = SessionId(self.statements.key(session_id))
        return self._writer.run(lambda connection: coins.reserve(connection, known, outpoints))

    def release(self, session_id: SessionId) -> None:
        """See `Store.release`."""
        known = SessionId(self.statements.key(session_id))
        self._writer.run(lambda connection: coins.release(connection, known))

    def expose(self, session_id: SessionId) -> None:
        """See `Store.expose`."""
        known = SessionId(self.statements.key(session_id))
        now = self.now()
        self._writer.run(lambda connection: coins.expose(connection, known, now))

    def reserved(self, *, besides: SessionId | None = None) -> frozenset[OutPoint]:
        """See `Store.reserved`."""
        holder = coin_reservations.c.session_id
        if besides is None:
            return self._coins(holder.is_not(None))
        return self._coins(holder != self.statements.key(besides))

    def holders(self) -> Mapping[OutPoint, SessionId]:
        """See `Store.holders`."""
        holder = coin_reservations.c.session_id
        query = select(coin_reservations.c.outpoint, holder).where(holder.is_not(None))
        with self.reading() as connection:
            found = connection.execute(query)
            return {OutPoint.parse(coin): SessionId(session) for coin, session in found}

    def exposed(self) -> frozenset[OutPoint]:
        """See `Store.exposed`."""
        return self._coins(coin_reservations.c.exposed_at.is_not(None))

    def write(self, work: Callable[[Connection], T]) -> T:
        """See `Store.write`; an `IntegrityError` of the caller's statements is raised as it is."""
        return self._writer.run(work, once=True)

    async def write_async(self, work: Callable[[Connection], T]) -> T:
        """See `Store.write_async`."""
        return await self._writer.run_async(work, once=True)

    @property
    def writer(self) -> Jobs:
        """Runs what is written."""
        return self._writer

    @property
    def engine(self) -> Engine:
        """The database."""
        return self._engine

    def now(self) -> UnixTime:
        """Return the time of new rows in seconds."""
        return UnixTime(int(self._clock()))

    def _coins(self, condition: Any) -> frozenset[OutPoint]:
        query = select(coin_reservations.c.outpoint).where(condition)
        with self.reading() as connection:
            return frozenset(map(OutPoint.parse, connection.execute(query).scalars()))

    def _known(self, session_id: SessionId, role: Role) -> SessionId:
        if self.row(session_id).role is not role:
            raise SessionNotFound(f"Session {session_id} is not a {role} session: check its id.")
        return session_id
