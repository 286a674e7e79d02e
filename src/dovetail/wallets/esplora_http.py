"""Ask an Esplora server (Blockstream/esplora, API.md): bounded in time and size, never quoted."""

from typing import TypeVar

import httpx
import msgspec

from dovetail.errors import ChainError
from dovetail.wallets.answers import Manners, Reply, asked
from dovetail.wallets.http import BoundedTransport
from dovetail.wallets.servers import chain_faults, checked_url

T = TypeVar("T")

_MAX_ANSWER = 16_000_000  # bytes: a block-sized transaction in hex, or a page of large ones
_OK, _NOT_FOUND = 200, 404
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
        self._transport = BoundedTransport(httpx.Limits(max_keepalive_connections=4))
        self._manners = Manners()

    def close(self) -> None:
        """Close its connections; a second call does nothing."""
        self._transport.close()

    def get(self, path: str) -> bytes | None:
        """What stands at this path; None where nothing does."""
        reply = self._ask("GET", path)
        if reply.status == _NOT_FOUND:
            return None
        if reply.status != _OK:
            raise _unexpected(reply.status)
        return reply.body

    def get_json(self, path: str, kind: type[T]) -> T | None:
        """The same for JSON of this type."""
        body = self.get(path)
        return None if body is None else FAULTS.decoded(body, kind)

    def post(self, path: str, body: bytes) -> tuple[bool, bytes] | None:
        """Whether the server agreed, and its answer; None when it does not know the path."""
        reply = self._ask("POST", path, body)
        if reply.status in _NO_SUCH_ROUTE:
            return None
        if reply.status not in (_OK, *_DENYING):
            raise _unexpected(reply.status)
        return reply.status == _OK, reply.body

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Reply:
        self._manners.require_leave()
        request = httpx.Request(
            method,
            self._base + path,
            content=body,
            headers={"user-agent": "dovetail"},
            extensions={"timeout": httpx.Timeout(self._timeout).as_dict()},
        )
        reply = asked(self._transport, request, FAULTS, seconds=self._timeout, most=_MAX_ANSWER)
        self._manners.heed(reply)
        return reply


def _unexpected(status: int) -> ChainError:
    return ChainError(f"The chain server answers with HTTP status {status}; check `chain`.")
