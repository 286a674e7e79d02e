"""The mailboxes: each keeps its first message durably until its time to live ends (BIP 77)."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, Engine

from dovetail.errors import StoreUnavailable
from dovetail.mailroom import database
from dovetail.mailroom.clock import monotonic_seconds
from dovetail.mailroom.disk_quota import Space, cost, half_of_the_free_disk
from dovetail.mailroom.settings import MailroomSettings
from dovetail.protocol.mailbox import ShortId
from dovetail.serving.client_shares import Client, Shares
from dovetail.stores.sql.writer import Writer

_POST = "INSERT INTO mailboxes VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
# An expired message may remain until the next purge; it counts as gone.
_MAKE_ROOM = """DELETE FROM mailboxes WHERE short_id = ? AND posted_at <= ?
    RETURNING length(message)"""
_READ = "SELECT message FROM mailboxes WHERE short_id = ? AND posted_at > ?"
_SIZES = "SELECT length(message), count(*) FROM mailboxes GROUP BY 1"
_PURGE = """DELETE FROM mailboxes WHERE rowid IN
    (SELECT rowid FROM mailboxes WHERE posted_at <= ? LIMIT ?) RETURNING length(message)"""
_PURGE_AT_ONCE = 256
"""Rows that one transaction removes; posts need not wait for a long purge."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Posted(Enum):
    """The result of a post."""

    KEPT = auto()
    OCCUPIED = auto()
    """The mailbox keeps an earlier message."""
    FULL = auto()
    """There is no room for another mailbox, or too many were created in a short time."""
    BUSY = auto()
    """Too many messages are being written."""


class Mailboxes:
    """The store of one directory; use it from one event loop.

    Reads use their own connection and do not wait for writes. If the disk is too full to open the
    file for writing, only reads work until `revive`.
    """

    def __init__(
        self,
        settings: MailroomSettings,
        *,
        clock: Callable[[], float],
        passed: Callable[[], float] = monotonic_seconds,
    ) -> None:
        """Open or create the database; raises `StoreUnavailable`. `passed` never jumps."""
        self._path = settings.database
        self._ttl = settings.ttl
        self._clock = clock
        self._writes = Shares(settings.max_writes)
        self._engine: Engine | None = None
        self._writer: Writer | None = None
        self._failure: StoreUnavailable | None = None
        self.wrote: Callable[[float], object] = lambda _: None
        """Gets the seconds of each durable write."""
        database.make(self._path)
        self._reader = self._open()
        try:
            with database.readable():
                sizes: list[tuple[int, int]] = self._reader.execute(_SIZES).fetchall()
            self._count = sum(count for _, count in sizes)
            used = sum(cost(size) * count for size, count in sizes)
            self.space = Space(1, ttl=settings.ttl, clock=passed)
            self.space.used = used
            self.resize(settings)
        except BaseException:
            self.close()
            raise

    def resize(self, settings: MailroomSettings) -> None:
        """Change the limits of the space for messages; raises `StoreUnavailable`."""
        self.space.adopt(
            settings.max_bytes or half_of_the_free_disk(settings.data_dir, self.space.used),
            per_hour=settings.max_new_mailboxes,
            per_client=settings.max_new_mailboxes_per_client,
        )

    @property
    def count(self) -> int:
        """The number of stored messages; expired ones count until the next purge."""
        return self._count

    @property
    def writable(self) -> bool:
        """Whether the last write succeeded, or there was none."""
        return self._failure is None

    def read(self, short_id: ShortId) -> bytes | None:
        """Return the message, which stays; raises `StoreUnavailable`."""
        with database.readable():
            row = self._reader.execute(_READ, (str(short_id), self._horizon())).fetchone()
        return None if row is None else bytes(row[0])

    async def post(self, short_id: ShortId, message: bytes, client: Client | None = None) -> Posted:
        """Store the message unless the mailbox has one.

        After `KEPT` and `OCCUPIED` the stored message survives a power cut. Raises
        `StoreUnavailable` when the disk is full or fails; then nothing is stored.
        """
        with self._writes.hold(client) as admitted:
            if not admitted:
                return Posted.BUSY
            price = self.space.take(len(message), client)
            if price is None:
                return Posted.FULL if self.read(short_id) is None else Posted.OCCUPIED
            # Finish even if the caller is cancelled: a stored message must be counted.
            work = asyncio.ensure_future(self._keep(short_id, message, client, price))
            return await asyncio.shield(work)

    async def purge(self) -> int:
        """Remove expired messages and return their number; raises `StoreUnavailable`."""
        removed = 0
        while True:
            work = partial(_purge, horizon=self._horizon(), trying=not self.writable)
            sizes = await self._write(work)
            self._forget(sizes)
            removed += len(sizes)
            if len(sizes) < _PURGE_AT_ONCE:
                return removed
            await asyncio.sleep(0)

    def revive(self) -> None:
        """Try to write again after the disk was full; raises `StoreUnavailable`."""
        if self._writer is None:
            self._reader.close()
            self._reader = self._open()

    def close(self) -> None:
        """Finish the writes and close the file."""
        if self._writer is not None:
            self._writer.close()
        self._reader.close()
        if self._engine is not None:
            self._engine.dispose()

    def _open(self) -> sqlite3.Connection:
        try:
            engine = database.open_writable(self._path)
        except StoreUnavailable as error:
            reader = database.open_reader(self._path, alone=True)
            _log.error("Messages are served, but new ones are refused: %s", error)
            self._failure = error
            return reader
        try:
            reader = database.open_reader(self._path)
        except BaseException:
            engine.dispose()
            raise
        self._engine, self._writer, self._failure = engine, Writer(engine), None
        return reader

    async def _keep(
        self, short_id: ShortId, message: bytes, client: Client | None, price: float
    ) -> Posted:
        work = partial(
            _post,
            short_id=str(short_id),
            message=message,
            now=self._clock(),
            horizon=self._horizon(),
        )
        kept = False
        try:
            kept, replaced = await self._write(work)
        finally:
            if not kept:
                self.space.refund(len(message), client, price)
        if not kept:
            return Posted.OCCUPIED
        self._count += 1
        self._forget(replaced)
        return Posted.KEPT

    async def _write(self, work: Callable[[Connection], T]) -> T:
        if self._writer is None:
            raise self._failure or StoreUnavailable("The mailboxes are closed.")
        begun = monotonic_seconds()
        try:
            result = await self._writer.run_async(work, isolated=False)
        except StoreUnavailable as error:
            self._failure = error
            raise
        self.wrote(monotonic_seconds() - begun)
        self._failure = None
        return result

    def _forget(self, sizes: list[int]) -> None:
        self._count -= len(sizes)
        self.space.used -= sum(map(cost, sizes))

    def _horizon(self) -> float:
        return self._clock() - self._ttl


def _post(
    connection: Connection, *, short_id: str, message: bytes, now: float, horizon: float
) -> tuple[bool, list[int]]:
    values = (short_id, message, now)
    if connection.exec_driver_sql(_POST, values).rowcount == 1:
        return True, []
    replaced = connection.exec_driver_sql(_MAKE_ROOM, (short_id, horizon)).scalars().all()
    if replaced:
        connection.exec_driver_sql(_POST, values)
    return bool(replaced), list(replaced)


def _purge(connection: Connection, *, horizon: float, trying: bool) -> list[int]:
    if trying:  # a commit without a write would succeed on a full disk
        connection.exec_driver_sql(database.TEST_WRITE)
    return list(connection.exec_driver_sql(_PURGE, (horizon, _PURGE_AT_ONCE)).scalars())
