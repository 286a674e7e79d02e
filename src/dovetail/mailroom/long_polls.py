"""Clients that wait for a message: in this process, without a thread each."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum, auto

from dovetail.protocol.mailbox import ShortId
from dovetail.serving.client_shares import Client, Shares

_Future = asyncio.Future[bytes | None]


class PollRefused(Enum):
    """Why nobody can wait now."""

    OVERLOADED = auto()


class LongPolls:
    """Who waits for which mailbox; use it from one event loop.

    Of one mailbox at most `per_mailbox` wait. One more takes the place of the oldest if that has
    waited for half of its time, and has most likely lost its connection; else it is refused, so
    that nobody can keep another one from waiting. Where there are too many, the oldest of the
    client that has the most gives way.
    """

    def __init__(
        self, *, seconds: float, limit: int, per_mailbox: int, per_client: int | None = None
    ) -> None:
        """Wait for at most `seconds`, at most `limit` at once and `per_client` of one client."""
        self._seconds = seconds
        self._shares = Shares(limit, per_client)
        self._per_mailbox = per_mailbox
        self._waiting: dict[ShortId, list[tuple[float, _Future]]] = {}
        self._draining = False

    @property
    def count(self) -> int:
        """How many wait."""
        return self._shares.count

    async def wait(
        self,
        short_id: ShortId,
        gone: Awaitable[None],
        client: Client | None = None,
        *,
        admitted: Callable[[], None] = lambda: None,
    ) -> bytes | PollRefused | None:
        """The next message, or None when time is up, the client `gone` or the mailroom stops.

        Registers before it first awaits, so that no message between a look into the mailbox and
        this call is missed, and calls `admitted` then.
        """
        watch = asyncio.ensure_future(gone)
        future: _Future = asyncio.get_running_loop().create_future()
        try:
            if self._draining:
                return None
            with self._shares.hold(client, lambda: _settle(future, None)) as held:
                if not held or not self._make_room(short_id):
                    return PollRefused.OVERLOADED
                admitted()
                return await self._wait(short_id, watch, future)
        finally:
            watch.cancel()

    def wake(self, short_id: ShortId, message: bytes) -> None:
        """Hand a message to everyone who waits for this mailbox."""
        for _, future in self._waiting.get(short_id, ()):
            _settle(future, message)

    def drain(self) -> None:
        """Let everyone go at once, from now on."""
        self._draining = True
        for futures in self._waiting.values():
            for _, future in futures:
                _settle(future, None)

    def _make_room(self, short_id: ShortId) -> bool:
        """Let the oldest of a crowded mailbox go; False if it has not waited for long."""
        waiting = self._waiting.get(short_id, [])
        if len(waiting) < self._per_mailbox:
            return True
        since, oldest = waiting[0]
        if asyncio.get_running_loop().time() - since < self._seconds / 2:
            return False
        waiting.pop(0)
        _settle(oldest, None)
        return True

    async def _wait(
        self, short_id: ShortId, watch: "asyncio.Future[None]", future: _Future
    ) -> bytes | None:
        loop = asyncio.get_running_loop()
        entry = (loop.time(), future)
        waiting = self._waiting.setdefault(short_id, [])
        waiting.append(entry)
        alarm = loop.call_later(self._seconds, _settle, future, None)
        watch.add_done_callback(lambda _: _settle(future, None))
        try:
            return await future
        finally:
            alarm.cancel()
            if entry in waiting:
                waiting.remove(entry)
            if not waiting and self._waiting.get(short_id) is waiting:
                del self._waiting[short_id]


def _settle(future: _Future, result: bytes | None) -> None:
    if not future.done():
        future.set_result(result)
