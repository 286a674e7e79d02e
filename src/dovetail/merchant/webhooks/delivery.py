"""One delivery over HTTP: to a pinned public address, within limits, without redirects."""

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol
from urllib.parse import urlsplit

import certifi
import httpcore2

from dovetail.mailroom.public_addresses import is_public
from dovetail.mailroom.resolver import Names
from dovetail.runtime.streams import AsyncioBackend

SECONDS = 15.0
"""Seconds for the whole delivery."""

CONNECT_SECONDS = 5.0
"""Seconds for the connection to one address; the next one is tried then."""

MOST_READ = 16_384
LONGEST_PAUSE = 86_400
"""The longest `Retry-After` that is honoured, in seconds."""

_GONE = 410
_BUSY = (429, 503)
_SOCKET_OPTIONS = Iterable[
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The endpoint took it."""

    code: int


@dataclass(frozen=True, slots=True)
class Failed:
    """It is to be tried again, not before `after` seconds where that is told."""

    why: str
    code: int | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """The endpoint wants no more (410)."""

    code: int = _GONE


class Resolver(Protocol):
    """Finds the addresses of a host."""

    async def __call__(self, host: str, port: int, /) -> Sequence[str]:
        """Return the addresses; raises `OSError`."""
        ...


class NotPublic(OSError):
    """The host has no public address, so that nothing is sent there."""


class _Pinned(httpcore2.AsyncNetworkBackend):
    """Connects to a public address of the host that was resolved for this very connection.

    The host is looked up once, and the address that was checked is the one that is connected to:
    a name server cannot show a public address first and a private one then.
    """

    def __init__(self, names: Resolver, *, private: bool) -> None:
        self._names = names
        self._private = private
        self._network = AsyncioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as the interface has it
        local_address: str | None = None,
        socket_options: _SOCKET_OPTIONS | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        found = await self._names(host.strip("[]"), port)
        allowed = [each for each in found if self._private or is_public(each)]
        if not allowed:
            raise NotPublic
        error: Exception = NotPublic()
        for address in allowed[:2]:
            try:
                return await self._network.connect_tcp(
                    address, port, timeout or CONNECT_SECONDS, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failed:
                error = failed
        raise error

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Sender:
    """Sends deliveries; use it from one event loop."""

    def __init__(
        self,
        *,
        private: bool = False,
        names: Resolver | None = None,
        trust: ssl.SSLContext | None = None,
        seconds: float = SECONDS,
    ) -> None:
        """`private` allows private addresses and plain http, for tests and networks of one's own.

        `trust` replaces the usual certificate authorities.
        """
        self._private = private
        self._seconds = seconds
        self._backend = _Pinned(names or Names(), private=private)
        self._trust = trust or ssl.create_default_context(cafile=certifi.where())

    async def send(
        self, url: str, body: bytes, headers: Sequence[tuple[str, str]]
    ) -> Accepted | Failed | Gone:
        """POST a body once; what went wrong is an answer too, in a sentence without the URL."""
        try:
            if urlsplit(url).scheme != "https" and not self._private:
                return Failed("The endpoint is not on https, so that nothing is sent.")
            async with asyncio.timeout(self._seconds):
                return await self._once(url, body, headers)
        except NotPublic:
            return Failed("The endpoint is at a private address, to which nothing is sent.")
        except TimeoutError:
            return Failed(f"The endpoint did not answer within {self._seconds:.0f} s.")
        except (OSError, httpcore2.NetworkError, httpcore2.TimeoutException) as error:
            kind = type(error.__cause__ or error).__name__
            return Failed(f"The endpoint could not be reached ({kind}).")
        except (httpcore2.ProtocolError, httpcore2.UnsupportedProtocol, ValueError):
            return Failed("The endpoint's answer is not HTTP.")

    async def _once(
        self, url: str, body: bytes, headers: Sequence[tuple[str, str]]
    ) -> Accepted | Failed | Gone:
        given = [("content-type", "application/json"), ("user-agent", "dovetail"), *headers]
        async with (
            httpcore2.AsyncConnectionPool(
                ssl_context=self._trust, network_backend=self._backend, max_connections=1
            ) as pool,
            pool.stream("POST", url, headers=given, content=body) as answer,
        ):
            read = 0
            async for part in answer.aiter_stream():
                read += len(part)
                if read > MOST_READ:
                    break
            return _judged(answer.status, dict(answer.headers))


def _judged(status: int, headers: dict[bytes, bytes]) -> Accepted | Failed | Gone:
    if 200 <= status < 300:
        return Accepted(status)
    if status == _GONE:
        return Gone()
    known = {name.lower(): value for name, value in headers.items()}
    after = retry_after(known.get(b"retry-after")) if status in _BUSY else None
    return Failed(f"The endpoint answered with status {status}.", status, after)


def retry_after(value: bytes | None, now: datetime | None = None) -> int | None:
    """Return the seconds that a `Retry-After` asks for, at most a day (RFC 9110, 10.2.3)."""
    text = (value or b"").decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), LONGEST_PAUSE)
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if at.tzinfo is None:
        return None
    seconds = (at - (now or datetime.now(UTC))).total_seconds()
    return max(0, min(int(seconds), LONGEST_PAUSE))
