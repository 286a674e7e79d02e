"""Ask an Esplora server (Blockstream/esplora, API.md): bounded in time and size, never quoted."""

import time
from typing import TypeVar

import httpx
import msgspec

from dovetail.errors import ChainError
from dovetail.wallets.servers import checked_url

T = TypeVar("T")

_MAX_ANSWER = 16_000_000  # bytes: a block-sized transaction in hex, or a page of large ones
_OK, _BAD_REQUEST, _NOT_FOUND, _TOO_MANY = 200, 400, 404, 429
_NO_SUCH_ROUTE = (_NOT_FOUND, 405, 501)


class Status(msgspec.Struct, frozen=True):
    """Whether and where a transaction is confirmed."""

    confirmed: bool
    block_height: int | None = None


class Outspend(msgspec.Struct, frozen=True):
    """What spends an output."""

    spent: bool
    txid: str | None = None
    status: Status | None = None


class Output(msgspec.Struct, frozen=True):
    """A transaction's output; some of them have no script that Esplora can tell."""

    value: int
    scriptpubkey: str = ""


class Payer(msgspec.Struct, frozen=True):
    """A transaction as the history of a script lists it."""

    txid: str
    vout: list[Output]
    status: Status


class EsploraHttp:
    """A thread-safe connection pool for one server. Every failure is a `ChainError`."""

    def __init__(self, url: str, *, timeout: float) -> None:
        self._base = checked_url(url)
        self._timeout = timeout
        # A bare transport: httpx's client would log every URL, in which scripts stand (P4).
        self._transport = httpx.HTTPTransport(limits=httpx.Limits(max_keepalive_connections=4))

    def close(self) -> None:
        """Close its connections; a second call does nothing."""
        self._transport.close()

    def get(self, path: str) -> bytes | None:
        """What stands at this path; None where nothing does."""
        status, body = self._ask("GET", path)
        if status == _NOT_FOUND:
            return None
        if status != _OK:
            raise _unexpected(status)
        return body

    def get_json(self, path: str, kind: type[T]) -> T | None:
        """The same for JSON of this type."""
        body = self.get(path)
        return None if body is None else decoded(body, kind)

    def post(self, path: str, body: bytes) -> tuple[bool, bytes] | None:
        """Whether the server agreed, and its answer; None when it does not know the path."""
        status, answer = self._ask("POST", path, body)
        if status in _NO_SUCH_ROUTE:
            return None
        if status not in (_OK, _BAD_REQUEST):
            raise _unexpected(status)
        return status == _OK, answer

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        deadline = time.monotonic() + self._timeout
        request = httpx.Request(
            method,
            self._base + path,
            content=body,
            headers={"user-agent": "dovetail"},
            extensions={"timeout": httpx.Timeout(self._timeout).as_dict()},
        )
        try:
            response = self._transport.handle_request(request)
            try:
                return response.status_code, _read(response, deadline)
            finally:
                response.close()
        except httpx.TimeoutException as error:
            raise _too_slow() from error
        except (httpx.TransportError, httpx.StreamError) as error:
            raise ChainError(
                "The chain server cannot be reached; check its URL and the network connection."
            ) from error


def decoded(body: bytes, kind: type[T]) -> T:
    """A JSON answer of this type. Raises `ChainError`."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise not_understood() from None


def not_understood() -> ChainError:
    """An answer is not what Esplora's API says; the answer itself is not chained (P4)."""
    return ChainError(
        "The chain server's answer is not what an Esplora server gives; check its URL."
    )


def _read(response: httpx.Response, deadline: float) -> bytes:
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > _MAX_ANSWER:
            raise ChainError("The chain server's answer is too large; name another server.")
        if time.monotonic() > deadline:
            raise _too_slow()
    return bytes(body)


def _too_slow() -> ChainError:
    return ChainError("The chain server takes too long to answer; try again later.")


def _unexpected(status: int) -> ChainError:
    if status == _TOO_MANY:
        return ChainError("The chain server asks for fewer requests; wait a minute and try again.")
    return ChainError(
        f"The chain server answered with HTTP status {status}; try again later or name another one."
    )
