"""The shop's address and key, and requests and answers of HTTP, without I/O."""

import ssl
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import certifi
import httpcore2
import msgspec

from dovetail.causes import no_connection, place
from dovetail.errors import ConfigurationError
from dovetail.merchant.client.calls import JSON, PREFIX, Call
from dovetail.merchant.client.errors import ShopProblem, ShopUnreachable
from dovetail.merchant.messages.base import Problem

T = TypeVar("T")
PROBLEM = "application/problem+json"
CONNECT_SECONDS = 10.0
LIMIT = 8_388_608
"""The most bytes of an answer that are read: a page of 200 invoices with large metadata."""

_SHOWS_ASCII = range(0x21, 0x7F)
_NO_CONNECTION = (
    httpcore2.ConnectError,
    httpcore2.ConnectTimeout,
    httpcore2.PoolTimeout,
    httpcore2.UnsupportedProtocol,
)
_TOO_LATE = (TimeoutError, httpcore2.TimeoutException)
_BROKEN = (httpcore2.NetworkError, httpcore2.ProtocolError)

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of HTTP as it came."""

    status: int
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def media_type(self) -> str:
        """The media type in lower case, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def retry_after(self) -> float | None:
        """The seconds of `Retry-After`, if it tells any."""
        told = self.headers.get("retry-after", "")
        return float(told) if told.isascii() and told.isdigit() and len(told) < 10 else None


class Server:
    """Where a shop is, and the key for it, which no repr shows."""

    def __init__(self, url: str, key: str, *, allow_http: bool = False) -> None:
        """Raises `ConfigurationError` for a URL or a key that cannot be one."""
        self.url = _checked(url, allow_http=allow_http)
        if not key or any(ord(each) not in _SHOWS_ASCII for each in key):
            raise ConfigurationError("`key` is the secret of an API key, such as `dvt_…`; give it.")
        self._key = key

    def __repr__(self) -> str:
        return f"<Server {place(self.url)}>"

    def target(self, call: Call[Any]) -> str:
        """The URL of a call."""
        query = f"?{urlencode(call.query)}" if call.query else ""
        return f"{self.url}{PREFIX}{call.path}{query}"

    def headers(self, call: Call[Any], content: bytes | None) -> list[tuple[str, str]]:
        """The headers of a call."""
        own = [("content-type", JSON)] if content is not None else []
        if call.method != "GET":
            own.append(("content-length", str(len(content or b""))))
        return [
            ("host", urlsplit(self.url).netloc),
            ("authorization", f"Bearer {self._key}"),
            ("accept", f"{call.accepts}, {PROBLEM}"),
            ("accept-encoding", "identity"),
            *own,
            *call.headers,
        ]

    @contextmanager
    def told(self) -> Generator[None]:
        """Raise what goes wrong with HTTP in the block as `ShopUnreachable`."""
        try:
            yield
        except _NO_CONNECTION as error:
            cause = no_connection(error)
            why = f", as {cause}" if cause else ""
            raise ShopUnreachable(
                f"There is no connection to the shop at {place(self.url)}{why}: check `url` and"
                " your connection.",
                sent=False,
            ) from error
        except _TOO_LATE as error:
            raise ShopUnreachable(
                f"The shop at {place(self.url)} did not answer in time: ask it again later."
            ) from error
        except _BROKEN as error:
            raise ShopUnreachable(
                f"The connection to the shop at {place(self.url)} broke before a whole answer: ask"
                " it again."
            ) from error


def timeouts(seconds: float, *, quiet: float | None = None) -> dict[str, dict[str, float]]:
    """The timeouts of one request for httpcore2; `quiet` bounds each wait for a part of it."""
    connect = min(seconds, CONNECT_SECONDS)
    rest = seconds if quiet is None else quiet
    return {"timeout": {"connect": connect, "pool": seconds, "read": rest, "write": seconds}}


def trust_of(trust: ssl.SSLContext | None) -> ssl.SSLContext:
    """The caller's certificate authorities, or the usual ones."""
    return trust or ssl.create_default_context(cafile=certifi.where())


def headers_of(given: Iterable[Header]) -> dict[str, str]:
    """Headers by their names in lower case."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in given}


def grown(body: bytearray, chunk: bytes) -> None:
    """Add a part of an answer to the body; raises `ShopUnreachable` where it is too much."""
    body += chunk
    if len(body) > LIMIT:
        raise ShopUnreachable(
            f"The shop answered with more than {LIMIT:,} bytes, which no answer has: check `url`.",
            passing=False,
        )


def answer(call: Call[T], reply: Reply) -> T:
    """Return the answer of a call; raises `ShopProblem` and `ShopUnreachable`."""
    require_success(reply, call.accepts)
    try:
        return msgspec.json.decode(reply.body, type=call.answer)
    except msgspec.MsgspecError as error:
        raise ShopUnreachable(
            "The shop's answer is not what its API promises: check `url`, and whether the shop has"
            " a much newer release than this client.",
            passing=False,
        ) from error


def require_success(reply: Reply, accepts: str) -> None:
    """Raise `ShopProblem` or `ShopUnreachable` unless it is a success of this media type."""
    if reply.status >= HTTPStatus.BAD_REQUEST:
        raise _failure(reply)
    if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise ShopUnreachable(
            f"The server sends this request to another address (status {reply.status}), where a"
            " key must not go: give the address of the shop itself as `url`.",
            passing=False,
        )
    if reply.media_type != accepts:
        raise ShopUnreachable(
            f"The server answers with another media type than `{accepts}`: `url` is not the address"
            " of a shop, so correct it.",
            passing=False,
        )


def _failure(reply: Reply) -> ShopProblem | ShopUnreachable:
    try:
        if reply.media_type == PROBLEM:
            problem = msgspec.json.decode(reply.body, type=Problem)
            return ShopProblem(problem, retry_after=reply.retry_after)
    except msgspec.MsgspecError:
        pass
    fails = reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    advice = "ask it again later" if fails else "check `url`"
    return ShopUnreachable(
        f"A server answers with status {reply.status}, and not as a shop: {advice}.",
        passing=fails or reply.status == HTTPStatus.TOO_MANY_REQUESTS,
    )


def _checked(url: str, *, allow_http: bool) -> str:
    try:
        parts = urlsplit(url)
        plain = url.isascii() and url.isprintable() and " " not in url
        whole = plain and bool(parts.hostname) and parts.port != 0
        bare = parts.username is None and not parts.query and not parts.fragment
    except ValueError:
        raise ConfigurationError(
            "`url` is the address of a shop, such as https://shop.example: correct it."
        ) from None
    if parts.scheme not in {"http", "https"} or not whole or not bare:
        raise ConfigurationError(
            "`url` is the address of a shop, such as https://shop.example, without a user, a query"
            " and a fragment: correct it."
        )
    if parts.scheme == "http" and not allow_http and not _is_loopback(parts.hostname or ""):
        raise ConfigurationError(
            "`url` must be https, as http would show the key to everyone on the way; set"
            " `allow_http` for a network of your own."
        )
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
