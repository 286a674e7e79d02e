"""The open event streams of one server process, which share one look at the database.

While there are streams, one task reads the database's pulse. Only where that has changed does it
read, once for all streams, what is new. What a stream's reader has not taken yet is bounded: a
reader that stands still is cut off, and comes again with the number of its last event.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncGenerator, Generator, Hashable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import Connection

from dovetail.errors import InfrastructureError, StoreError
from dovetail.merchant.api.limits import Limits
from dovetail.merchant.api.problems import Kind, retry_later
from dovetail.merchant.data import api_keys, events
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.events import EventRow
from dovetail.serving.asgi import where

MOST_WAITING = 64
"""Events that wait for the reader of a stream; the others stay in the database."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the feed looks, in seconds."""

    look: float = 0.2
    """Between two looks at the database's pulse."""
    keys: float = 2.0
    """Between two looks at whether the keys of the streams still count."""
    heartbeat: float = 15.0
    """After which a quiet stream sends a comment, so that proxies keep it open."""
    patience: float = 10.0
    """After which a reader that takes nothing is cut off."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who opens a stream without a key, on a page."""

    client: Hashable | None
    """Their network; None where it is unknown, as behind the operator's own proxy."""


Owner: TypeAlias = UUID | Visitor
"""Whose a stream is: the id of a key, or a visitor of a page."""


class EventStream:
    """The events of one invoice after a number, in order and each once, for one reader."""

    def __init__(self, invoice_id: UUID, owner: Owner, after: int, *, heartbeat: float) -> None:
        """`EventFeed.opened` makes it."""
        self.invoice_id = invoice_id
        self.owner = owner
        self.after = after
        """The number of the last event that waits or was taken."""
        self.full_since: float | None = None
        self._heartbeat = heartbeat
        self._waiting: deque[EventRow] = deque()
        self._news = asyncio.Event()
        self.has_ended = False

    async def taken(self) -> AsyncGenerator[EventRow | None]:
        """Yield each event; None after a quiet time. It is over when the feed ends the stream."""
        while True:
            while self._waiting and not self.has_ended:
                self.full_since = None
                yield self._waiting.popleft()
            if self.has_ended:
                return
            self._news.clear()
            try:
                async with asyncio.timeout(self._heartbeat):
                    await self._news.wait()
            except TimeoutError:
                yield None

    def offer(self, rows: Iterable[EventRow], now: float) -> bool:
        """Take what is new and has room; whether that was all."""
        for row in rows:
            if row.seq <= self.after:
                continue
            if len(self._waiting) >= MOST_WAITING:
                self.full_since = now if self.full_since is None else self.full_since
                return False
            self._waiting.append(row)
            self.after = row.seq
            self._news.set()
        return True

    def end(self) -> None:
        """End it; what waits is dropped, and read again by the next stream."""
        self.has_ended = True
        self._waiting.clear()
        self._news.set()


class EventFeed:
    """Feeds all event streams of this process. Use it from one event loop."""

    def __init__(self, database: Database, limits: Limits, *, pace: Pace | None = None) -> None:
        """Nothing is read before the first stream."""
        self._database = database
        self._limits = limits
        self._pace = pace or Pace()
        self._streams: set[EventStream] = set()
        self._per_owner: Counter[Owner] = Counter()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._pulse: int | None = None
        self._keys_at = 0.0

    @property
    def count(self) -> int:
        """The number of open streams."""
        return len(self._streams)

    @contextmanager
    def opened(self, invoice_id: UUID, owner: Owner, after: int) -> Generator[EventStream]:
        """Open a stream for the block; raises `Refused` where there are too many already."""
        self._require_room(owner)
        stream = EventStream(invoice_id, owner, after, heartbeat=self._pace.heartbeat)
        self._streams.add(stream)
        self._per_owner[owner] += 1
        self._pulse = None  # it has not been read for this stream
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            yield stream
        finally:
            self._streams.discard(stream)
            self._per_owner[owner] -= 1
            if not self._per_owner[owner]:
                del self._per_owner[owner]

    async def close(self) -> None:
        """End all streams, and open none any more."""
        self._stopping = True
        self._end(self._streams)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _require_room(self, owner: Owner) -> None:
        if self._stopping:
            raise retry_later(Kind.UNAVAILABLE, "This server stops: open the stream again.", 1)
        for count, most, whose in self._counts(owner):
            if count >= most:
                raise retry_later(
                    Kind.RATE_LIMITED,
                    f"There are {most} open event streams {whose}, and no more are allowed: close"
                    " one, or ask for the events from time to time.",
                )

    def _counts(self, owner: Owner) -> Generator[tuple[int, int, str]]:
        """Each number of streams that this owner adds to, its limit, and whose it is."""
        limits = self._limits
        if isinstance(owner, UUID):
            yield self._per_owner[owner], limits.streams_per_key, "with this key"
        else:
            if owner.client is not None:
                yield self._per_owner[owner], limits.streams_per_visitor, "from this address"
            visitors = sum(isinstance(each.owner, Visitor) for each in self._streams)
            yield visitors, limits.visitor_streams, "of pages"
        yield self.count, limits.streams, "at this server"

    async def _run(self) -> None:
        """Look until there is no stream left; a database that is away is asked again."""
        try:
            while self._streams:
                try:
                    await self._look()
                except (InfrastructureError, StoreError) as error:
                    self._pulse = None
                    _log.info("The event streams could not be fed: %s", type(error).__name__)
                await asyncio.sleep(self._pace.look)
        except Exception as error:  # noqa: BLE001 - its streams must not wait for ever
            _log.error(
                "The event streams failed with %s at\n%s", type(error).__name__, where(error)
            )
            self._end(self._streams)

    async def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._keys_at + self._pace.keys:
            await self._end_revoked()
            self._keys_at = now
        pulse = await asyncio.to_thread(self._database.pulse)
        known, self._pulse = self._pulse, pulse  # a stream may have been opened meanwhile
        if known != pulse and not await self._feed(now):
            self._pulse = None
        late = now - self._pace.patience
        self._end(
            each for each in self._streams if each.full_since is not None and each.full_since < late
        )

    async def _feed(self, now: float) -> bool:
        """Give each stream what is new; whether all of them had room for it."""
        streams = tuple(self._streams)
        told: dict[UUID, int] = {}
        for each in streams:
            told[each.invoice_id] = min(each.after, told.get(each.invoice_id, each.after))
        new = await self._database.aread(lambda c: _read(c, told))
        have_room = [each.offer(new.get(each.invoice_id, ()), now) for each in streams]
        return all(have_room) and self._streams <= set(streams)

    async def _end_revoked(self) -> None:
        used = frozenset(each for each in self._per_owner if isinstance(each, UUID))
        valid = await self._database.aread(lambda c: api_keys.valid(c, used))
        self._end(each for each in self._streams if each.owner in used - valid)

    @staticmethod
    def _end(streams: Iterable[EventStream]) -> None:
        for each in tuple(streams):
            each.end()


def _read(connection: Connection, told: Mapping[UUID, int]) -> dict[UUID, list[EventRow]]:
    found: dict[UUID, list[EventRow]] = {}
    for row in events.events_after(connection, told, most=MOST_WAITING + 1):
        found.setdefault(row.invoice_id, []).append(row)
    return found
