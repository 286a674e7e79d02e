"""Connections through the SOCKS5 proxy of Tor, for httpcore2."""

import asyncio
from collections.abc import Iterable

import httpcore2

from dovetail.errors import TransportError
from dovetail.runtime.streams import AsyncioBackend
from dovetail.tor import (
    CIRCUIT_PATIENCE,
    Conversation,
    Failure,
    ProxyFailed,
    SocksProxy,
    socks_handshake,
)


class SocksBackend(httpcore2.AsyncNetworkBackend):
    """Dials every host through one proxy, which resolves its name."""

    def __init__(self, proxy: SocksProxy) -> None:
        """Connect to nothing yet."""
        self._proxy = proxy
        self._network = AsyncioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore2's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """See httpcore2; raises `TransportError` that says whether Tor or the host failed."""
        stream = await self._dial(timeout, local_address, socket_options)
        try:
            async with asyncio.timeout(CIRCUIT_PATIENCE):
                await _converse(stream, socks_handshake(host, port))
        except BaseException as error:
            await stream.aclose()
            if isinstance(error, ProxyFailed):
                raise _failed(error.why) from error
            if isinstance(error, httpcore2.NetworkError):
                raise _failed(Failure.NO_PROXY) from error
            if isinstance(error, TimeoutError):
                raise _failed(Failure.NO_WAY) from error
            raise
        return stream

    async def check(self, timeout: float) -> None:  # noqa: ASYNC109  # as connect_tcp
        """Raise `TransportError` unless a server listens at the proxy's address."""
        await (await self._dial(timeout, None, None)).aclose()

    async def _dial(
        self,
        timeout: float | None,  # noqa: ASYNC109  # as connect_tcp
        local_address: str | None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            return await self._network.connect_tcp(
                self._proxy.host, self._proxy.port, timeout, local_address, socket_options
            )
        except (httpcore2.NetworkError, httpcore2.TimeoutException) as error:
            raise _failed(Failure.AWAY) from error


async def _converse(stream: httpcore2.AsyncNetworkStream, conversation: Conversation) -> None:
    say, size = next(conversation)
    while True:
        if say:
            await stream.write(say)
        heard = await _read(stream, size)
        try:
            say, size = conversation.send(heard)
        except StopIteration:
            return


async def _read(stream: httpcore2.AsyncNetworkStream, size: int) -> bytes:
    read = bytearray()
    while len(read) < size:
        chunk = await stream.read(size - len(read))
        if not chunk:
            raise ProxyFailed(Failure.NO_PROXY)
        read += chunk
    return bytes(read)


def _failed(why: Failure) -> TransportError:
    return TransportError(why, at=None if why is Failure.NO_WAY else "tor")
