"""The mailboxes: each keeps its first message, durably, until its time to live is over."""

import asyncio
import sqlite3
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import Self

from sqlalchemy import Connection, Engine

from dovetail.errors import StoreUnavailable
from dovetail.protocol.mailbox import ShortId
from dovetail.stores.sqlite import open_engine, translated
from dovetail.stores.writer import Writer

_SCHEMA_VERSION = 1
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS mailboxes (
        short_id TEXT PRIMARY KEY, message BLOB NOT NULL, posted_at REAL NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS mailboxes_by_age ON mailboxes (posted_at)",
    f"PRAGMA user_version = {_SCHEMA_VERSION}",
)
# A message past its time may lie there until the next purge; it is as good as gone.
_POST = """INSERT INTO mailboxes VALUES (?, ?, ?) ON CONFLICT (short_id) DO UPDATE
    SET message = excluded.message, posted_at = excluded.posted_at WHERE posted_at <= ?"""
_READ = "SELECT message FROM mailboxes WHERE short_id = ? AND posted_at > ?"
_COUNT = "SELECT count(*) FROM mailboxes"
_PURGE = """DELETE FROM mailboxes WHERE short_id IN
    (SELECT short_id FROM mailboxes WHERE posted_at <= ? LIMIT ?)"""
_PURGE_AT_ONCE = 256
"""Rows removed in one transaction, so that posts do not wait for a long purge."""


class Posted(Enum):
    """What became of a message."""

    KEPT = auto()
    OCCUPIED = auto()
    """An earlier message is there and stays."""
    FULL = auto()
    """There is no room for another mailbox."""
    BUSY = auto()
    """Too many messages are on their way to the disk."""


class Mailboxes:
    """The store of one directory; use it from one event loop.

    Reads are point queries on a connection of their own and do not wait for writes.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        ttl: float,
        capacity: int,
        max_writes: int,
        clock: Callable[[], float],
    ) -> None:
        """Take an engine whose schema is current; `open` is the usual way in."""
        self._engine = engine
        self._ttl = ttl
        self._capacity = capacity
        self._max_writes = max_writes
        self._clock = clock
        self._reader = engine.raw_connection()
        self._writer = Writer(engine)
        self._count: int = self._reader.cursor().execute(_COUNT).fetchone()[0]
        self._writing = 0

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        ttl: float,
        capacity: int,
        max_writes: int,
        clock: Callable[[], float],
    ) -> Self:
        """Open or make the database; raises `StoreUnavailable`.

        At most `capacity` messages are kept, each for `ttl` seconds; `max_writes` may be on
        their way to the disk.
        """
        engine = open_engine(path)
        try:
            with translated(), engine.begin() as connection:
                _prepare(connection)
            return cls(engine, ttl=ttl, capacity=capacity, max_writes=max_writes, clock=clock)
        except BaseException:
            engine.dispose()
            raise

    @property
    def count(self) -> int:
        """How many messages are kept, expired ones included until the next purge."""
        return self._count

    def read(self, short_id: ShortId) -> bytes | None:
        """The message, which stays; raises `StoreUnavailable`."""
        try:
            cursor = self._reader.cursor()
            row = cursor.execute(_READ, (str(short_id), self._horizon())).fetchone()
            cursor.close()
        except sqlite3.Error as error:
            raise StoreUnavailable("The mailboxes cannot be read: check the disk.") from error
        return None if row is None else bytes(row[0])

    async def post(self, short_id: ShortId, message: bytes) -> Posted:
        """Keep the message unless one is there already.

        `KEPT` and `OCCUPIED` come only when what is kept would survive a power cut. Raises
        `StoreUnavailable`, with nothing kept, when the disk is full or fails.
        """
        if self._writing >= self._max_writes:
            return Posted.BUSY
        if self._count + self._writing >= self._capacity:
            return Posted.FULL if self.read(short_id) is None else Posted.OCCUPIED
        values = (str(short_id), message, self._clock(), self._horizon())
        self._writing += 1
        try:
            kept = await self._writer.run_async(lambda c: _post(c, values), isolated=False)
        finally:
            self._writing -= 1
        if not kept:
            return Posted.OCCUPIED
        self._count += 1
        return Posted.KEPT

    async def purge(self) -> int:
        """Remove what is past its time to live, and say how many; raises `StoreUnavailable`."""
        removed = 0
        while True:
            work = partial(_purge, horizon=self._horizon())
            batch, self._count = await self._writer.run_async(work)
            removed += batch
            if batch < _PURGE_AT_ONCE:
                return removed
            await asyncio.sleep(0)

    def close(self) -> None:
        """Finish the writes and let go of the file."""
        self._writer.close()
        self._reader.close()
        self._engine.dispose()

    def _horizon(self) -> float:
        return self._clock() - self._ttl


def _prepare(connection: Connection) -> None:
    version = connection.exec_driver_sql("PRAGMA user_version").scalar()
    if version not in (0, _SCHEMA_VERSION):
        raise StoreUnavailable("The mailboxes were written by a newer version: upgrade Dovetail.")
    for statement in _SCHEMA:
        connection.exec_driver_sql(statement)


def _post(connection: Connection, values: tuple[str, bytes, float, float]) -> bool:
    return connection.exec_driver_sql(_POST, values).rowcount == 1


def _purge(connection: Connection, horizon: float) -> tuple[int, int]:
    removed = connection.exec_driver_sql(_PURGE, (horizon, _PURGE_AT_ONCE)).rowcount
    return removed, connection.exec_driver_sql(_COUNT).scalar_one()
