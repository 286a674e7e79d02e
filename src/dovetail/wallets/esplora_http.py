"""Ask an Esplora server (Blockstream/esplora, API.md): bounded in time and size, never quoted."""

from typing import TypeVar

import httpx
import msgspec

from dovetail.errors import ChainError
from dovetail.wallets.answers import asked
from dovetail.wallets.servers import chain_faults, checked_url

T = TypeVar("T")

_MAX_ANSWER = 16_000_000  # bytes: a block-sized transaction in hex, or a page of large ones
_OK, _NOT_FOUND, _TOO_MANY = 200, 404, 429
_DENYING = (400, 403, 422, 500)  # with these servers pass on what their node says
_NO_SUCH_ROUTE = (_NOT_FOUND, 405, 501)

FAULTS = chain_faults("an Esplora server")


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
        return None if body is None else FAULTS.decoded(body, kind)

    def post(self, path: str, body: bytes) -> tuple[bool, bytes] | None:
        """Whether the server agreed, and its answer; None when it does not know the path."""
        status, answer = self._ask("POST", path, body)
        if status in _NO_SUCH_ROUTE:
            return None
        if status not in (_OK, *_DENYING):
            raise _unexpected(status)
        return status == _OK, answer

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        request = httpx.Request(
            method,
            self._base + path,
            content=body,
            headers={"user-agent": "dovetail"},
            extensions={"timeout": httpx.Timeout(self._timeout).as_dict()},
        )
        return asked(self._transport, request, FAULTS, seconds=self._timeout, most=_MAX_ANSWER)


def _unexpected(status: int) -> ChainError:
    if status == _TOO_MANY:
        return ChainError("The chain server asks for fewer requests; wait a minute and try again.")
    return ChainError(
        f"The chain server answered with HTTP status {status}; try again later or name another one."
    )
