"""HTTP without retries and redirects, as each ciphertext is sent once (P1)."""

import asyncio
import errno
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

import certifi
import httpcore2

from dovetail import open_files
from dovetail.causes import chain_of, no_connection, place
from dovetail.errors import ConfigurationError, TransportError
from dovetail.protocol.requests import Request
from dovetail.runtime.connections import Call, Connections, Once, Turns
from dovetail.runtime.socks import SocksBackend
from dovetail.tor import CIRCUIT_PATIENCE, ONION, USUAL, SocksProxy, is_onion

PATIENCE = 45.0
"""Seconds to wait for an answer: a mailbox holds a poll for 30, and a relay adds its own."""

CONNECT_PATIENCE = 10.0
LIMIT = 65_536
"""The most bytes of an answer that are read; an OHTTP response has 8192."""

_FILES_BESIDE = 64
"""The fewest files that are left to the store, the chain source and the host program."""
_PART_BESIDE = 8
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)
_USUAL = (("accept", "*/*"), ("accept-encoding", "identity"))
_NO_CONNECTION = (
    httpcore2.ConnectError,
    httpcore2.UnsupportedProtocol,
    ValueError,
)
_BROKEN = (httpcore2.NetworkError, httpcore2.ProtocolError)


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """An HTTP status and a body of at most the limit asked for."""

    status: int
    body: bytes

    def __repr__(self) -> str:
        return f"<Reply {self.status} with a body of {len(self.body)} bytes>"


class Transport(Protocol):
    """The interface between the runtime and the network; a test may replace it."""

    async def post(self, request: Request, *, limit: int = LIMIT) -> Reply:
        """Send the request once and read the answer.

        Raises `TransportError` when none arrived whole; whether the request did is unknown.
        """
        ...

    async def get(self, url: str, *, proxy: str | None = None, limit: int = LIMIT) -> Reply:
        """Fetch a public document, through the tunnel of a relay if `proxy` names one."""
        ...


@runtime_checkable
class RoutedTransport(Protocol):
    """A transport that knows its routes and its limit, which a `Transport` may also offer."""

    @property
    def most_at_once(self) -> int | None:
        """The most requests under way at once; None: no limit."""
        ...

    async def require_way(self, url: str) -> None:
        """Check, before anything is sent, whether there is a way to `url`.

        Raises `ConfigurationError` or `TransportError` where there is none.
        """
        ...


class HttpTransport:
    """The `Transport` over httpcore2, which logs no URL (P4). Close it with `aclose`.

    Hosts on onion addresses are reached through `tor` only: without it they are not reached, and
    no resolver is ever asked for them (RFC 7686).
    """

    def __init__(
        self,
        *,
        patience: float = PATIENCE,
        tor: SocksProxy | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """`patience` in seconds bounds the wait for a whole answer, even one that drips in slowly.

        `trust` replaces the usual certificate authorities.
        """
        self._patience = patience
        self._turns = Turns(connections_of(open_files.raise_limit()), full=too_few)
        self._trust = trust or ssl.create_default_context(cafile=certifi.where())
        self._tor = None if tor is None else SocksBackend(tor)
        self._direct = Connections(self._trust)
        self._onions = None if self._tor is None else Connections(self._trust, backend=self._tor)
        self.closed = False

    @property
    def most_at_once(self) -> int | None:
        """The most requests under way at once, one for each connection; None: no limit.

        Further ones wait for their turn, and that wait is no failure.
        """
        return self._turns.most

    async def post(self, request: Request, *, limit: int = LIMIT) -> Reply:
        """See `Transport.post`."""
        url = request.url
        call = _call("POST", url, self._timeouts(url), request)
        del request  # thousands wait for their answers, and none needs its request any more
        return await self._ask(self._way_to(url).stream(call), call, limit, to=url)

    async def get(self, url: str, *, proxy: str | None = None, limit: int = LIMIT) -> Reply:
        """See `Transport.get`."""
        call = _call("GET", url, self._timeouts(url))
        if proxy is None:
            return await self._ask(self._way_to(url).stream(call), call, limit, to=url)
        return await self._ask(self._through(proxy, call), call, limit, to=proxy)

    async def require_way(self, url: str) -> None:
        """Check, before anything is sent, whether there is a way to `url`; only Tor is asked.

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
        for each in (self._direct, self._onions):
            if each is not None:
                await each.aclose()

    def _way_to(self, url: str) -> Connections:
        if not is_onion(url):
            return self._direct
        if self._onions is None:
            raise TransportError(f"{ONION} Set `tor`, such as {USUAL}, to go there.", at="tor")
        return self._onions

    async def _make_room(self) -> None:
        """Close an idle connection, where there are too many with it."""
        pools = [pool for pool in (self._direct, self._onions) if pool is not None and pool.idle]
        if pools and self._turns.overfull(sum(pool.idle for pool in pools)):
            await pools[0].drop_one()

    def _timeouts(self, url: str) -> dict[str, float]:
        # After connecting, one limit holds for all the rest: see `_ask`.
        return {"connect": CONNECT_PATIENCE + (CIRCUIT_PATIENCE if is_onion(url) else 0.0)}

    @asynccontextmanager
    async def _through(self, relay: str, call: Call) -> AsyncGenerator[httpcore2.Response]:
        """The same through a relay's tunnel, on separate connections."""
        backend = self._tor if is_onion(relay) else None
        async with (
            httpcore2.AsyncHTTPProxy(
                relay, ssl_context=self._trust, network_backend=backend
            ) as proxy,
            proxy.stream(
                call.method,
                call.url,
                headers=list(call.headers),
                extensions={"timeout": call.timeouts},
            ) as response,
        ):
            yield response

    async def _ask(
        self,
        opening: AbstractAsyncContextManager[httpcore2.Response],
        call: Call,
        limit: int,
        *,
        to: str,
    ) -> Reply:
        whole = self._patience + call.timeouts["connect"]
        try:
            async with self._turns:
                await self._make_room()
                async with asyncio.timeout(whole), opening as response:
                    return Reply(response.status, await _read(response, limit))
        except (TimeoutError, httpcore2.TimeoutException) as error:
            raise TransportError(
                "The server did not answer in time: wait, or name another."
            ) from error
        except _NO_CONNECTION as error:
            if _for_want_of_files(error):
                raise ConfigurationError(too_few(self._turns.busy)) from error
            raise _unreachable(to, error) from error
        except httpcore2.ProxyError as error:
            status = f"{error}"[:3]
            told = f" (status {status})" if status.isdecimal() else ""
            raise TransportError(
                f"The relay {place(to)} makes no tunnel to {place(call.url)}{told}: check the"
                " directory's address, or name another relay."
            ) from error
        except _BROKEN as error:
            raise TransportError(
                "The connection to the server broke before a whole answer: check its address and"
                " your connection."
            ) from error


@asynccontextmanager
async def opened(transport: Transport | None, tor: SocksProxy | None) -> AsyncGenerator[Transport]:
    """The caller's transport, which stays open; or one of our own, which is closed at the end."""
    if transport is not None:
        yield transport
        return
    own = HttpTransport(tor=tor)
    try:
        yield own
    finally:
        await own.aclose()


def way_of(transport: Transport) -> Callable[[str], Awaitable[None]]:
    """The transport's check for a way to a URL, which raises where there is none."""
    return transport.require_way if isinstance(transport, RoutedTransport) else _any_way


def most_at_once(transport: Transport) -> int | None:
    """The most requests it has under way at once; None: no limit is known."""
    return transport.most_at_once if isinstance(transport, RoutedTransport) else None


async def _any_way(_url: str) -> None:
    """Accept any URL: the caller's transport knows where it leads."""


def connections_of(files: int | None) -> int | None:
    """The most connections of a process that may open this many files; None: any number."""
    if files is None:
        return None
    return max(1, files - max(_FILES_BESIDE, files // _PART_BESIDE))


def too_few(connections: int) -> str:
    """The message where the system allows no more connections than these."""
    return (
        f"This process can have {connections} connections open, and each session that waits needs"
        " one: raise the limit of open files, such as by `ulimit -n` or `LimitNOFILE=`. Until then"
        " sessions wait for their turn, and no new one is begun."
    )


def _call(
    method: str,
    url: str,
    timeouts: dict[str, float],
    posted: Request | None = None,
) -> Call:
    # A relay learns the address it is called from; it need not learn our software too. Bodies
    # are read as they come, so that no small answer unpacks into a large one.
    try:
        headers = [("host", urlsplit(url).netloc), *_USUAL]
    except ValueError as error:
        raise _unreachable(url, error) from error
    if posted is None:
        return Call(method, url, headers, None, timeouts)
    headers.append(("content-type", posted.content_type))
    headers.append(("content-length", str(len(posted.body))))
    return Call(method, url, headers, Once(posted.body), timeouts)


def _for_want_of_files(error: BaseException) -> bool:
    failed = (each for each in chain_of(error) if isinstance(each, OSError))
    return any(each.errno in _OUT_OF_FILES for each in failed)


async def _read(response: httpcore2.Response, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_stream():
        body += chunk
        if len(body) > limit:
            raise TransportError("The server answered with more than the protocol allows.")
    return bytes(body)


def _unreachable(url: str, error: BaseException) -> TransportError:
    cause = no_connection(error)
    why = f", as {cause}" if cause else ""
    return TransportError(
        f"There is no connection to {place(url) or 'the server'}{why}: check its address and your"
        " connection."
    )
