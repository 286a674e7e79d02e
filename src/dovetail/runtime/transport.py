"""HTTP, as a protocol whose ciphertexts leave once needs it (P1): no retries, no redirects."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import certifi
import httpcore

from dovetail.errors import ConfigurationError, TransportError
from dovetail.protocol.exchange import Request
from dovetail.runtime.socks import SocksBackend
from dovetail.tor import CIRCUIT_PATIENCE, ONION, USUAL, SocksProxy, is_onion

PATIENCE = 45.0
"""Seconds to wait for an answer: a mailbox holds a poll for 30, and a relay adds its own."""

CONNECT_PATIENCE = 10.0
MOST_AT_ONCE = 256
"""Requests under way at once; more wait for their turn, and that wait is no failure."""
LIMIT = 65_536
"""Bytes of an answer that are read at most; an OHTTP response has 8192."""

_KEPT = 20
_IDLE = 5.0
_NO_CONNECTION = (
    httpcore.ConnectError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    ValueError,
)
_BROKEN = (httpcore.NetworkError, httpcore.ProtocolError)


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """An HTTP status and a body of at most the limit asked for."""

    status: int
    body: bytes

    def __repr__(self) -> str:
        return f"<Reply {self.status} with a body of {len(self.body)} bytes>"


class Transport(Protocol):
    """The seam between the runtime and the network; a test may stand in for it."""

    async def post(self, request: Request, *, limit: int = LIMIT) -> Reply:
        """Send the request once and read the answer.

        Raises `TransportError` when none arrived whole; whether the request did is unknown.
        """
        ...

    async def get(self, url: str, *, proxy: str | None = None, limit: int = LIMIT) -> Reply:
        """Fetch a public document, through the tunnel of a relay if `proxy` names one."""
        ...


class HttpTransport:
    """The `Transport` over httpcore, which logs no URL (P4). Close it with `aclose`.

    Hosts on onion addresses are reached through `tor` alone: without it they are not, and no
    resolver is ever asked for them (RFC 7686).
    """

    def __init__(
        self,
        *,
        patience: float = PATIENCE,
        tor: SocksProxy | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """`patience` in seconds bounds the wait for an answer, however slowly it drips in.

        `trust` takes the place of the usual certificate authorities.
        """
        self._patience = patience
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._trust = trust or ssl.create_default_context(cafile=certifi.where())
        self._tor = None if tor is None else SocksBackend(tor)
        self._direct = self._open(None)
        self._onions = None if self._tor is None else self._open(self._tor)
        self.closed = False

    async def post(self, request: Request, *, limit: int = LIMIT) -> Reply:
        """See `Transport.post`."""
        kind = ("content-type", request.content_type)
        pool = self._pool(request.url)
        return await self._ask(pool, "POST", request.url, limit, content=request.body, more=(kind,))

    async def get(self, url: str, *, proxy: str | None = None, limit: int = LIMIT) -> Reply:
        """See `Transport.get`."""
        if proxy is None:
            return await self._ask(self._pool(url), "GET", url, limit)
        async with self._tunnel(proxy) as pool:
            return await self._ask(pool, "GET", url, limit)

    async def require_way(self, url: str) -> None:
        """Look, before anything leaves, whether there is a way to `url`; only Tor is asked.

        Raises `ConfigurationError` where an onion address needs `tor`, and `TransportError`
        where Tor is not running.
        """
        if is_onion(url):
            if self._tor is None:
                raise ConfigurationError(f"{ONION} Set `tor`, such as {USUAL}, to go there.")
            await self._tor.check(CONNECT_PATIENCE)

    async def aclose(self) -> None:
        """Close the connections."""
        self.closed = True
        await self._direct.aclose()
        if self._onions is not None:
            await self._onions.aclose()

    def _pool(self, url: str) -> httpcore.AsyncConnectionPool:
        if not is_onion(url):
            return self._direct
        if self._onions is None:
            raise TransportError(f"{ONION} Set `tor`, such as {USUAL}, to go there.", at="tor")
        return self._onions

    def _open(self, backend: SocksBackend | None) -> httpcore.AsyncConnectionPool:
        return httpcore.AsyncConnectionPool(
            ssl_context=self._trust,
            max_connections=None,
            max_keepalive_connections=_KEPT,
            keepalive_expiry=_IDLE,
            network_backend=backend,
        )

    @asynccontextmanager
    async def _tunnel(self, relay: str) -> AsyncGenerator[httpcore.AsyncConnectionPool]:
        try:
            pool = httpcore.AsyncHTTPProxy(
                relay,
                ssl_context=self._trust,
                network_backend=self._tor if is_onion(relay) else None,
            )
        except _NO_CONNECTION as error:
            raise _unreachable() from error
        async with pool:
            yield pool

    async def _ask(
        self,
        pool: httpcore.AsyncConnectionPool,
        method: str,
        url: str,
        limit: int,
        *,
        content: bytes | None = None,
        more: tuple[tuple[str, str], ...] = (),
    ) -> Reply:
        connect = CONNECT_PATIENCE + (CIRCUIT_PATIENCE if pool is self._onions else 0.0)
        whole = self._patience + connect
        timeouts = dict.fromkeys(("read", "write", "pool"), self._patience) | {"connect": connect}
        # A relay learns the address it is called from; it need not learn our software too. Bodies
        # are read as they come, so that no small answer unpacks into a large one.
        usual = (("accept", "*/*"), ("accept-encoding", "identity"))
        try:
            headers = [("host", urlsplit(url).netloc), *usual, *more]
            async with (
                self._slots,
                asyncio.timeout(whole),
                pool.stream(
                    method, url, headers=headers, content=content, extensions={"timeout": timeouts}
                ) as response,
            ):
                return Reply(response.status, await _read(response, limit))
        except (TimeoutError, httpcore.TimeoutException) as error:
            raise TransportError(
                "The server did not answer in time: it is tried again later."
            ) from error
        except _NO_CONNECTION as error:
            raise _unreachable() from error
        except _BROKEN as error:
            raise TransportError(
                "The connection to the server broke before a whole answer: check its address and"
                " your connection."
            ) from error


async def _read(response: httpcore.Response, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_stream():
        body += chunk
        if len(body) > limit:
            raise TransportError("The server answered with more than the protocol allows.")
    return bytes(body)


def _unreachable() -> TransportError:
    return TransportError(
        "No connection to the server came about: check its address and your connection."
    )
