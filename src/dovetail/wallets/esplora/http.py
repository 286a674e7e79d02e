"""An HTTP client for Esplora (Blockstream/esplora, API.md), with limits on time and size."""

import re
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec

from dovetail.errors import ChainError
from dovetail.wallets.bounded_answers import BackOff, Reply, fetch_bounded
from dovetail.wallets.cached_chain import Block
from dovetail.wallets.http import connections, request
from dovetail.wallets.server_url import chain_faults, checked_url

T = TypeVar("T")

_MAX_ANSWER = 16_000_000  # bytes: a block-sized transaction in hex, or a page of large ones
_OK, _NOT_FOUND = 200, 404
_DENYING = (400, 403, 422, 500)  # servers pass on their node's message with these
_NO_SUCH_ROUTE = (_NOT_FOUND, 405, 501)

_MOST_RECENT = 20
_LOOK_SECONDS, _KEPT_SECONDS = 60.0, 600.0
_MAX_HEIGHT = 100_000_000
_NAME = re.compile(rb"[0-9a-f]{64}")

FAULTS = chain_faults("an Esplora server")


class Status(msgspec.Struct, frozen=True):
    """Whether and where a transaction is confirmed."""

    confirmed: bool
    block_height: int | None = None


class Outspend(msgspec.Struct, frozen=True):
    """The spender of an output."""

    spent: bool
    txid: str | None = None
    status: Status | None = None


class Output(msgspec.Struct, frozen=True):
    """A transaction's output; Esplora omits some scripts."""

    value: int
    scriptpubkey: str = ""


class Payer(msgspec.Struct, frozen=True):
    """A transaction as the history of a script lists it."""

    txid: str
    vout: list[Output]
    status: Status


class _Block(msgspec.Struct, frozen=True):
    height: int
    previousblockhash: str | None = None


class EsploraHttp:
    """A thread-safe connection pool for one server. Every failure is a `ChainError`."""

    def __init__(self, url: str, *, timeout: float) -> None:
        self._base = checked_url(url)
        self._timeout = timeout
        self._carrier = connections(self._base)
        self._back_off = BackOff()
        self._resume = _Resume()

    def close(self) -> None:
        """Close its connections; a second call does nothing."""
        self._carrier.close()

    def get(self, path: str) -> bytes | None:
        """Return the body at this path, or None if there is none."""
        reply = self._resume.answer(path) or self._ask("GET", path)
        self._resume.note(path, reply)
        if reply.status == _NOT_FOUND:
            return None
        if reply.status != _OK:
            raise _unexpected(reply.status)
        return reply.body

    def get_json(self, path: str, kind: type[T]) -> T | None:
        """Return the JSON value of this type at this path, or None."""
        body = self.get(path)
        return None if body is None else FAULTS.decoded(body, kind)

    def post(self, path: str, body: bytes) -> tuple[bool, bytes] | None:
        """Return whether the server accepted, and its answer; None if the path is unknown."""
        reply = self._ask("POST", path, body)
        if reply.status in _NO_SUCH_ROUTE:
            return None
        if reply.status not in (_OK, *_DENYING):
            raise _unexpected(reply.status)
        return reply.status == _OK, reply.body

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Reply:
        self._back_off.require_no_pause()
        wanted = request(
            method,
            self._base + path,
            body=body,
            headers={"user-agent": "dovetail"},
            connect=self._timeout,
            timeout=self._timeout,
        )
        reply = fetch_bounded(
            self._carrier, wanted, FAULTS, seconds=self._timeout, most=_MAX_ANSWER
        )
        try:
            self._back_off.note_reply(reply)
        except ChainError:
            self._resume.interrupted()
            raise
        return reply


class _Resume:
    """Recent answers of a request sequence that the server interrupted by a pause.

    The sequence starts again and reuses these answers. Otherwise a sequence of several requests
    would never end if the server refuses every second one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._recent: dict[str, tuple[float, Reply]] = {}
        self._kept: dict[str, tuple[float, Reply]] = {}

    def answer(self, path: str) -> Reply | None:
        at, reply = self._kept.pop(path, (0.0, None))
        return reply if self._clock() - at < _KEPT_SECONDS else None

    def note(self, path: str, reply: Reply) -> None:
        self._recent.pop(path, None)
        self._recent[path] = (self._clock(), reply)
        while len(self._recent) > _MOST_RECENT:
            del self._recent[next(iter(self._recent))]

    def interrupted(self) -> None:
        since = self._clock() - _LOOK_SECONDS
        self._kept |= {path: told for path, told in self._recent.items() if told[0] >= since}
        self._recent.clear()


class EsploraBlocks:
    """Fetches blocks of the server; see `cached_chain.Blocks`."""

    def __init__(self, http: EsploraHttp) -> None:
        """Use the client `http`."""
        self._http = http

    def tip(self) -> str:
        """See `cached_chain.Blocks`."""
        body = self._http.get("/blocks/tip/hash") or b""
        if _NAME.fullmatch(body) is None:
            raise FAULTS.not_understood()
        return body.decode()

    def block(self, name: str) -> Block:
        """See `cached_chain.Blocks`."""
        told = self._http.get_json(f"/block/{name}", _Block)
        if told is None or not 0 <= told.height <= _MAX_HEIGHT:
            raise FAULTS.not_understood()
        previous = told.previousblockhash
        if previous is not None and _NAME.fullmatch(previous.encode()) is None:
            raise FAULTS.not_understood()
        return Block(name, told.height, previous)

    def raw(self, name: str) -> bytes | None:
        """See `cached_chain.Blocks`."""
        return self._http.get(f"/block/{name}/raw")


def _unexpected(status: int) -> ChainError:
    return ChainError(f"The chain server answers with HTTP status {status}; check `chain`.")
