"""Connections through a SOCKS5 proxy: the CONNECT of RFC 1928, by name and without a login."""

import asyncio
from collections.abc import Iterable
from typing import cast

import httpcore

from dovetail.errors import TransportError
from dovetail.runtime.tor import SocksProxy

CIRCUIT_PATIENCE = 60.0
"""Seconds until Tor has a way to an onion service; the first one takes long."""

_VERSION, _NO_LOGIN, _CONNECT, _BY_NAME = 5, 0, 1, 3
_LONGEST_NAME = 255
# How long the address is that follows the head of a reply, by its type.
_ADDRESS_SIZES = {1: 4, 4: 16}


class SocksBackend(httpcore.AsyncNetworkBackend):
    """Dials every host through one proxy, which resolves its name."""

    def __init__(self, proxy: SocksProxy) -> None:
        """Connect to nothing yet."""
        self._proxy = proxy
        self._network = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """See httpcore; raises `TransportError` that says whether Tor or the host is away."""
        stream = await self._dial(timeout, local_address, socket_options)
        try:
            async with asyncio.timeout(CIRCUIT_PATIENCE):
                await _connect(stream, host.rstrip("."), port)
        except BaseException as error:
            await stream.aclose()
            if isinstance(error, httpcore.NetworkError):
                raise _not_socks() from error
            if isinstance(error, TimeoutError):
                raise _unreachable() from error
            raise
        return stream

    async def check(self, timeout: float) -> None:  # noqa: ASYNC109  # as connect_tcp
        """Raise `TransportError` unless somebody listens where the proxy should be."""
        await (await self._dial(timeout, None, None)).aclose()

    async def _dial(
        self,
        timeout: float | None,  # noqa: ASYNC109  # as connect_tcp
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._network.connect_tcp(
                self._proxy.host, self._proxy.port, timeout, local_address, socket_options
            )
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            raise TransportError(
                "Tor does not answer where `tor` says: start Tor, or correct `tor`.", at="tor"
            ) from error


async def _connect(stream: httpcore.AsyncNetworkStream, host: str, port: int) -> None:
    name = host.encode()
    if len(name) > _LONGEST_NAME:
        raise _unreachable()
    await stream.write(bytes([_VERSION, 1, _NO_LOGIN]))
    if await _read(stream, 2) != bytes([_VERSION, _NO_LOGIN]):
        raise _not_socks()
    request = bytes([_VERSION, _CONNECT, 0, _BY_NAME, len(name)]) + name + port.to_bytes(2)
    await stream.write(request)
    version, reply, _, kind = await _read(stream, 4)
    if version != _VERSION:
        raise _not_socks()
    if reply != 0:
        raise _unreachable()
    size = _ADDRESS_SIZES.get(kind) or (await _read(stream, 1))[0]
    await _read(stream, size + 2)


async def _read(stream: httpcore.AsyncNetworkStream, size: int) -> bytes:
    """Read just so much: what follows belongs to the host behind the proxy."""
    read = bytearray()
    while len(read) < size:
        chunk = await stream.read(size - len(read))
        if not chunk:
            raise _not_socks()
        read += chunk
    return bytes(read)


def _not_socks() -> TransportError:
    return TransportError(
        "What answers where `tor` says is no SOCKS5 proxy without a login: correct `tor`.", at="tor"
    )


def _unreachable() -> TransportError:
    return TransportError(
        "Tor found no way to the onion address: it may be down, or Tor not be ready yet."
    )
