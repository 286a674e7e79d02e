"""Byte streams over TCP and TLS directly by asyncio, for httpcore2.

A waiting stream is a protocol, a transport and one future. Thousands wait at once, and
httpcore2's own layer in between was most of their cost.
"""

import asyncio
import select
import ssl
import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast

import httpcore2

from dovetail.runtime.dialling import connect

_MOST_UNREAD = 262_144
"""Unread bytes at which reading pauses."""


class AsyncioBackend(httpcore2.AsyncNetworkBackend):
    """Dials by the running event loop."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore2's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """See httpcore2; of a host with several addresses the first that answers is taken."""
        async with _connecting(timeout):
            arrivals = await connect(_Arrivals, host, port, local_address=local_address)
        for option in socket_options or ():
            arrivals.transport.get_extra_info("socket").setsockopt(*option)
        return _Stream(arrivals)


class _Arrivals(asyncio.Protocol):
    """The bytes that have arrived and were not read yet, and whether more may be written."""

    __slots__ = ("_drained", "_news", "_paused", "ended", "failure", "transport", "unread")

    def __init__(self) -> None:
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.unread = bytearray()
        self.ended = False
        self.failure: Exception | None = None
        self._news: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.unread += data
        if len(self.unread) > _MOST_UNREAD and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        self._tell()

    def eof_received(self) -> None:
        self.ended = True
        self._tell()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended, self.failure = True, exc
        self._tell()
        self.resume_writing()

    def pause_writing(self) -> None:
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    def coming(self) -> "asyncio.Future[None] | None":
        """A future, done once something is unread or the stream ends; None: that is so now."""
        if self.unread or self.ended:
            return None
        self._news = asyncio.get_running_loop().create_future()
        return self._news

    def draining(self) -> "asyncio.Future[None] | None":
        """A future, done once more may be written; None: it may be now."""
        return self._drained

    def take(self, most: int) -> bytes:
        """The unread bytes, at most `most` of them."""
        taken = bytes(self.unread[:most])
        del self.unread[:most]
        if self._paused and len(self.unread) <= _MOST_UNREAD:
            self._paused = False
            self.transport.resume_reading()
        return taken

    def _tell(self) -> None:
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)


class _Stream(httpcore2.AsyncNetworkStream):
    """See httpcore2; one reads and one writes at a time."""

    def __init__(self, arrivals: _Arrivals) -> None:
        self._arrivals = arrivals

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore2's signature
    ) -> bytes:
        arrivals = self._arrivals
        coming = arrivals.coming()
        if coming is not None:
            await (coming if timeout is None else _at_most(timeout, coming, httpcore2.ReadTimeout))
        if arrivals.failure is not None and not arrivals.unread:
            raise httpcore2.ReadError from arrivals.failure
        return arrivals.take(max_bytes)

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore2's signature
    ) -> None:
        arrivals = self._arrivals
        if not arrivals.transport.is_closing():
            arrivals.transport.write(buffer)
            draining = arrivals.draining()
            if draining is not None:
                await _at_most(timeout, draining, httpcore2.WriteTimeout)
        if arrivals.transport.is_closing():
            raise httpcore2.WriteError from arrivals.failure

    async def aclose(self) -> None:
        self._arrivals.transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore2's signature
    ) -> httpcore2.AsyncNetworkStream:
        arrivals = self._arrivals
        try:
            async with _connecting(timeout):
                arrivals.transport = _still_open(
                    await asyncio.get_running_loop().start_tls(
                        arrivals.transport, arrivals, ssl_context, server_hostname=server_hostname
                    )
                )
        except BaseException:
            await self.aclose()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._arrivals.ended or bool(self._arrivals.unread) or self._waits()
        return self._arrivals.transport.get_extra_info(_INFO.get(info, info))

    def _waits(self) -> bool:
        """Whether the system has data, or the end, that the event loop has not read yet."""
        socket = self._arrivals.transport.get_extra_info("socket")
        if sys.platform == "win32":
            return bool(select.select([socket], [], [], 0)[0])
        poll = select.poll()
        poll.register(socket, select.POLLIN)
        return bool(poll.poll(0))


_INFO = {"client_addr": "sockname", "server_addr": "peername"}


def _still_open(transport: asyncio.Transport | None) -> asyncio.Transport:
    """The transport that `start_tls` returned; None from it means that the peer hung up."""
    if transport is None:
        raise BrokenPipeError
    return transport


async def _at_most(
    seconds: float | None, what: "asyncio.Future[None]", late: type[Exception]
) -> None:
    """Wait for it; raises `late` after so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await what
    except TimeoutError as error:
        raise late from error


@asynccontextmanager
async def _connecting(seconds: float | None) -> AsyncGenerator[None]:
    """Raise failures in the block as httpcore2's errors."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise httpcore2.ConnectTimeout from error
    except OSError as error:
        raise httpcore2.ConnectError from error
