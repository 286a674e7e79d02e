"""Plain HTTP/1.1 connections: one for each request under way, and kept for a moment after it.

The cost of a request does not grow with the number of requests under way, as thousands of
mailboxes are polled at once. So this dials by itself and uses httpcore2's HTTP/1.1 alone, and not
its pool, which looks through all connections for each request.
"""

import asyncio
import logging
import ssl
import time
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias
from weakref import WeakValueDictionary

import httpcore2

from dovetail.runtime.streams import AsyncioBackend

Header: TypeAlias = tuple[str, str]
_Server: TypeAlias = tuple[bytes, bytes, int]

IDLE = 5.0
"""Seconds for which an idle connection is kept; servers keep it longer, so few are cut off."""

AT_A_TIME = 64
"""The most connections to one server that are opened at a time, which any server can queue."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """One request; `timeouts` in seconds as httpcore2 takes them."""

    method: str
    url: str
    headers: Sequence[Header]
    content: "Once | None"
    timeouts: dict[str, float]


class Once:
    """A body that is sent once (P1), and is not kept while its answer is awaited."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        """The body in one piece."""
        body, self._body = self._body, None
        if body is None:
            raise RuntimeError("A body is sent once: make another request.")
        yield body


class Turns:
    """At most `most` at once: a block of `async with` is one, further ones wait in order.

    The first time that one has to wait, the log says so.
    """

    def __init__(self, most: int | None, *, full: Callable[[int], str]) -> None:
        """`full` makes that message from the number that are under way."""
        self.most = most
        self.busy = 0
        self._full = full
        self._slots = None if most is None else asyncio.Semaphore(most)
        self._told = False

    async def __aenter__(self) -> None:
        """Take a turn."""
        if self._slots is not None:
            if self._slots.locked() and not self._told:
                self._told = True
                _log.error("%s", self._full(self.busy))
            await self._slots.acquire()
        self.busy += 1

    async def __aexit__(self, *_: object) -> None:
        """Give it back."""
        self.busy -= 1
        if self._slots is not None:
            self._slots.release()

    def overfull(self, idle: int) -> bool:
        """Whether there are too many, with the `idle` ones."""
        return self.most is not None and self.busy + idle > self.most


class Connections:
    """Connections by server. Close them with `aclose`."""

    def __init__(
        self,
        trust: ssl.SSLContext,
        *,
        backend: httpcore2.AsyncNetworkBackend | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`backend` dials, in place of the system; `clock` in seconds."""
        self._trust = trust
        self._backend = backend or _Unhurried()
        self._clock = clock
        self._idle: defaultdict[_Server, deque[_Kept]] = defaultdict(deque)
        self._sweeping: asyncio.Task[None] | None = None

    @property
    def idle(self) -> int:
        """How many connections are idle."""
        return sum(map(len, self._idle.values()))

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncGenerator[httpcore2.Response]:
        """Send a request once and read its answer in the block; raises as httpcore2 does."""
        url = httpcore2.URL(call.url)
        if url.scheme not in (b"http", b"https"):
            raise httpcore2.UnsupportedProtocol
        request = httpcore2.Request(
            call.method,
            url,
            headers=list(call.headers),
            content=call.content,
            extensions={"timeout": call.timeouts},
        )
        connection = await self._connection(url.origin, call.timeouts.get("connect"))
        try:
            response = await connection.handle_async_request(request)
            try:
                yield response
            finally:
                await response.aclose()
        finally:
            await self._give_back(url.origin, connection)

    async def drop_one(self) -> None:
        """Close the one that has been idle for longest, where open files run out."""
        oldest = min(
            filter(None, self._idle.values()), key=lambda kept: kept[0].since, default=None
        )
        if oldest is not None:
            await oldest.popleft().connection.aclose()

    async def aclose(self) -> None:
        """Close the idle connections; the others are closed after their use."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        await self._drop(self._clock())

    async def _connection(
        self, origin: httpcore2.Origin, patience: float | None
    ) -> httpcore2.AsyncHTTP11Connection:
        idle = self._idle.get(_server(origin))
        while idle:
            connection = idle.pop().connection
            if not connection.has_expired():
                return connection
            await connection.aclose()
        stream = await self._dial(origin, patience)
        return httpcore2.AsyncHTTP11Connection(origin, stream, keepalive_expiry=IDLE)

    async def _dial(
        self, origin: httpcore2.Origin, patience: float | None
    ) -> httpcore2.AsyncNetworkStream:
        host = origin.host.decode("ascii")
        stream = await self._backend.connect_tcp(host, origin.port, patience)
        if origin.scheme == b"https":
            self._trust.set_alpn_protocols(["http/1.1"])
            stream = await stream.start_tls(self._trust, host, patience)
        return stream

    async def _give_back(
        self, origin: httpcore2.Origin, connection: httpcore2.AsyncHTTP11Connection
    ) -> None:
        if not connection.is_idle() or connection.is_closed():
            await connection.aclose()
            return
        self._idle[_server(origin)].append(_Kept(connection, self._clock()))
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = asyncio.create_task(self._sweep(), name="idle connections")

    async def _sweep(self) -> None:
        """Close connections that have been idle for a moment, until none is left."""
        while self.idle:
            await asyncio.sleep(IDLE / 2)
            await self._drop(self._clock() - IDLE)

    async def _drop(self, latest: float) -> None:
        for server, idle in tuple(self._idle.items()):
            while idle and idle[0].since <= latest:
                await idle.popleft().connection.aclose()
            if not idle and self._idle.get(server) is idle:
                del self._idle[server]


class _Unhurried(httpcore2.AsyncNetworkBackend):
    """Limits how many connections to one server are dialled at a time."""

    def __init__(self) -> None:
        self._network = AsyncioBackend()
        self._dialling: WeakValueDictionary[tuple[str, int], asyncio.Semaphore] = (
            WeakValueDictionary()
        )

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore2's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """See httpcore2."""
        turn = self._dialling.setdefault((host, port), asyncio.Semaphore(AT_A_TIME))
        async with turn:
            return await self._network.connect_tcp(
                host, port, timeout, local_address, socket_options
            )


@dataclass(frozen=True, slots=True)
class _Kept:
    connection: httpcore2.AsyncHTTP11Connection
    since: float


def _server(origin: httpcore2.Origin) -> _Server:
    return origin.scheme, origin.host, origin.port
