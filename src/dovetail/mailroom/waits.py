"""Clients that wait for a message: in this process, without a thread each."""

import asyncio
from collections.abc import Awaitable
from enum import Enum, auto

from dovetail.protocol.mailbox import ShortId

_Future = asyncio.Future[bytes | None]


class Refused(Enum):
    """Why nobody can wait now."""

    OVERLOADED = auto()


class Waits:
    """Who waits for which mailbox; use it from one event loop.

    Of one mailbox at most `per_mailbox` wait: one more lets the oldest go, which most likely
    has lost its connection.
    """

    def __init__(self, *, seconds: float, limit: int, per_mailbox: int) -> None:
        """Wait for at most `seconds`, at most `limit` at once."""
        self._seconds = seconds
        self._limit = limit
        self._per_mailbox = per_mailbox
        self._waiting: dict[ShortId, list[_Future]] = {}
        self._count = 0
        self._draining = False

    @property
    def count(self) -> int:
        """How many wait."""
        return self._count

    async def wait(self, short_id: ShortId, gone: Awaitable[None]) -> bytes | Refused | None:
        """The next message, or None when time is up, the client `gone` or the mailroom stops.

        Registers before it first awaits, so that no message between a look into the mailbox and
        this call is missed.
        """
        watch = asyncio.ensure_future(gone)
        try:
            if self._draining:
                return None
            if self._count >= self._limit:
                return Refused.OVERLOADED
            return await self._wait(short_id, watch)
        finally:
            watch.cancel()

    def wake(self, short_id: ShortId, message: bytes) -> None:
        """Hand a message to everyone who waits for this mailbox."""
        for future in self._waiting.get(short_id, ()):
            _settle(future, message)

    def drain(self) -> None:
        """Let everyone go at once, from now on."""
        self._draining = True
        for futures in self._waiting.values():
            for future in futures:
                _settle(future, None)

    async def _wait(self, short_id: ShortId, watch: "asyncio.Future[None]") -> bytes | None:
        loop = asyncio.get_running_loop()
        future: _Future = loop.create_future()
        futures = self._waiting.setdefault(short_id, [])
        if len(futures) >= self._per_mailbox:
            _settle(futures.pop(0), None)
        futures.append(future)
        self._count += 1
        alarm = loop.call_later(self._seconds, _settle, future, None)
        watch.add_done_callback(lambda _: _settle(future, None))
        try:
            return await future
        finally:
            alarm.cancel()
            self._count -= 1
            if future in futures:
                futures.remove(future)
            if not futures and self._waiting.get(short_id) is futures:
                del self._waiting[short_id]


def _settle(future: _Future, result: bytes | None) -> None:
    if not future.done():
        future.set_result(result)
