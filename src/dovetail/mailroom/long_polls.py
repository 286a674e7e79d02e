"""Long polls: clients that wait for a message, in one event loop without threads."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum, auto

from dovetail.protocol.mailbox import ShortId
from dovetail.serving.client_shares import Client, Shares

_Future = asyncio.Future[bytes | None]


class PollRefusal(Enum):
    """The reason why a client cannot wait now."""

    OVERLOADED = auto()


class LongPolls:
    """The waiting clients of each mailbox; use it from one event loop.

    At most `per_mailbox` clients wait for one mailbox. One more replaces the oldest if that has
    waited for half of its time and so has probably lost its connection; otherwise the new one is
    refused. So no client can keep another from waiting. When there are too many polls in all, the
    oldest poll of the client with the most polls ends.
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
        """The number of waiting polls."""
        return self._shares.count

    async def wait(
        self,
        short_id: ShortId,
        gone: Awaitable[None],
        client: Client | None = None,
        *,
        admitted: Callable[[], None] = lambda: None,
    ) -> bytes | PollRefusal | None:
        """Return the next message; None at the timeout, at a stop, or when the client is `gone`.

        The poll is registered before the first await, and `admitted` is called then. So no message
        is missed between a read of the mailbox and this call.
        """
        watch = asyncio.ensure_future(gone)
        future: _Future = asyncio.get_running_loop().create_future()
        try:
            if self._draining:
                return None
            with self._shares.hold(client, lambda: _settle(future, None)) as held:
                if not held or not self._make_room(short_id):
                    return PollRefusal.OVERLOADED
                admitted()
                return await self._wait(short_id, watch, future)
        finally:
            watch.cancel()

    def wake(self, short_id: ShortId, message: bytes) -> None:
        """Give a message to all polls of this mailbox."""
        for _, future in self._waiting.get(short_id, ()):
            _settle(future, message)

    def drain(self) -> None:
        """End all polls now, and later ones at once."""
        self._draining = True
        for futures in self._waiting.values():
            for _, future in futures:
                _settle(future, None)

    def _make_room(self, short_id: ShortId) -> bool:
        """End the oldest poll of a full mailbox; return False if it has not waited for long."""
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
