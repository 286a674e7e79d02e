"""A client of an Electrum server (protocol 1.4, JSON-RPC 2.0 in lines); it never quotes it."""

import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

import msgspec

from dovetail.bitcoin import Network
from dovetail.bitcoin.hashes import hash256
from dovetail.errors import ChainError
from dovetail.wallets.electrum.connection import FAULTS, LineReader, connect, hang_up
from dovetail.wallets.server_url import ChainServer

T = TypeVar("T")

Offer: TypeAlias = str | tuple[str, str]
"""A version of the protocol, or the oldest and newest of a range (`server.version`)."""
# Most servers support 1.4, and some accept no range; others have dropped 1.4.
OFFERS: tuple[Offer, ...] = ("1.4", ("1.4", "1.6"))
_MAX_ANSWER = 16_000_000  # bytes: a block-sized transaction in hex
_IN_FLIGHT = 50
_HELD_BACK = 1.0  # seconds
_MOST_NEWS = 10_000
_TESTNET_3 = "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943"
_TESTNET_4 = "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043"
_GENESIS = {
    Network.MAINNET: {"000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"},
    Network.TESTNET: {_TESTNET_3, _TESTNET_4},
    Network.SIGNET: {"00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6"},
    Network.REGTEST: {"0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"},
}


class UnsupportedProtocol(ChainError):
    """The server supports none of the offered versions of the protocol."""


class Denied(msgspec.Struct, frozen=True):
    """The server refused a request; never show its `message` (P4)."""

    message: str = ""


Question: TypeAlias = tuple[str, tuple[Any, ...]]


class _Reply(msgspec.Struct, frozen=True):
    """A line from the server: a result, an error, or a notification (without id)."""

    id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: Denied | str | None = None
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"[]")


@dataclass(frozen=True, slots=True)
class Notifications:
    """The notifications of a server on the connection with this number."""

    connection: int
    said: tuple[tuple[str, msgspec.Raw], ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    """An open connection with an agreed protocol version and a checked network."""

    connection: socket.socket
    reader: LineReader
    genesis: str = ""


class ElectrumRpc:
    """One connection to one server, opened when needed and reopened after an error.

    Threads may share it; their requests are sent one after another. `timeout` is in seconds for
    one answer. `offers` are tried in order until the server accepts one; if it accepts none, it is
    an `UnspokenVersion`. Every failure is a `ChainError`.
    """

    def __init__(
        self,
        server: ChainServer,
        network: Network,
        *,
        timeout: float,
        offers: Sequence[Offer] = OFFERS,
    ) -> None:
        self._server = server
        self._network = network
        self._timeout = timeout
        self._offers = offers
        self._lock = threading.Lock()
        self._line: _Line | None = None
        self._last_id = 0
        self._connections = 0
        self._said: list[tuple[str, msgspec.Raw]] = []

    def close(self) -> None:
        """Close the connection; the next request opens it again."""
        with self._lock:
            self._hang_up()

    def genesis(self) -> str:
        """Return the hash of the genesis block in the usual hex; it is one of the network's."""
        return self._exchange([])[0].genesis

    def ask(self, method: str, *parameters: Any, kind: type[T]) -> T:
        """Return the result of this type. Raises `ChainError`, also when the server refuses."""
        return require_answer(self.ask_optional(method, *parameters, kind=kind))

    def ask_optional(self, method: str, *parameters: Any, kind: type[T]) -> T | Denied:
        """Return the result, or `Denied` when the server refuses."""
        return self.ask_each([(method, parameters)], kind)[0]

    def ask_each(self, questions: Sequence[Question], kind: type[T]) -> list[T | Denied]:
        """Send many requests at once; return the answers in the same order."""
        answers: list[T | Denied] = []
        for start in range(0, len(questions), _IN_FLIGHT):
            _, replies = self._exchange(questions[start : start + _IN_FLIGHT])
            answers += [_understood(reply, kind) for reply in replies]
        return answers

    @property
    def connection(self) -> int:
        """The number of the connection; 0 if there is none."""
        return self._connections if self._line is not None else 0

    def notifications(self) -> Notifications:
        """Return the notifications since the last call, without a request.

        Subscriptions of an earlier connection are no longer valid.
        """
        with self._lock:
            try:
                while self._line is not None and (line := self._line.reader.ready()) is not None:
                    self._note(FAULTS.decoded(line, _Reply))
            except (EOFError, OSError):
                self._hang_up()
            except ChainError:
                self._hang_up()
                raise
            said = tuple(self._said)
            self._said.clear()
            return Notifications(self.connection, said)

    def _note(self, reply: _Reply) -> None:
        if reply.method and len(self._said) < _MOST_NEWS:
            self._said.append((reply.method, reply.params))

    def _exchange(self, questions: Sequence[Question]) -> tuple[_Line, list[_Reply]]:
        with self._lock:
            # The server may have closed an idle connection, so try twice.
            for last in (self._line is None, True):
                try:
                    if self._line is None:
                        self._line = self._open()
                    return self._line, self._round(self._line, questions)
                except TimeoutError as error:
                    self._hang_up()
                    raise ChainError(FAULTS.too_slow) from error
                except (EOFError, OSError) as error:
                    self._hang_up()
                    if last:
                        raise FAULTS.away(error) from error
                except BaseException:
                    self._hang_up()
                    raise
        raise FAULTS.away()

    def _open(self) -> _Line:
        for offer in self._offers:
            connection = connect(self._server, timeout=self._timeout)
            try:
                line = _Line(connection, LineReader(connection, most=_MAX_ANSWER))
                if not self._agrees(line, offer):
                    hang_up(connection)
                    continue
                self._connections += 1
                self._said.clear()
                start: Question = ("blockchain.block.header", (0,))
                [header] = self._round(line, [start])
                return replace(
                    line, genesis=self._genesis(require_answer(_understood(header, str)))
                )
            except BaseException:
                hang_up(connection)
                raise
        raise UnsupportedProtocol(
            "The chain server speaks another version of Electrum's protocol than 1.4 to 1.6:"
            " update it, or set `chain` to another one."
        )

    def _agrees(self, line: _Line, offer: Offer) -> bool:
        """Whether the server accepts this version; ask only once on a connection."""
        [hello] = self._round(line, [("server.version", ("dovetail", offer))])
        return not isinstance(_understood(hello, msgspec.Raw), Denied)

    def _genesis(self, header: str) -> str:
        try:
            raw = bytes.fromhex(header)
        except ValueError:
            raise FAULTS.not_understood() from None
        genesis = hash256(raw)[::-1].hex()
        if genesis not in _GENESIS[self._network]:
            raise other_network(self._network)
        return genesis

    def _round(self, line: _Line, questions: Sequence[Question]) -> list[_Reply]:
        first = self._last_id + 1
        self._last_id += len(questions)
        lines = [
            msgspec.json.encode(
                {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
            )
            + b"\n"
            for number, (method, parameters) in enumerate(questions, first)
        ]
        line.connection.settimeout(self._timeout)
        line.connection.sendall(b"".join(lines))
        # One deadline for all answers; servers may delay each answer for a second.
        deadline = time.monotonic() + self._timeout + len(questions) * _HELD_BACK
        replies: dict[int, _Reply] = {}
        while len(replies) < len(questions):
            reply = FAULTS.decoded(line.reader.line(deadline), _Reply)
            if reply.id is not None and first <= reply.id <= self._last_id:
                replies[reply.id] = reply
            elif reply.error is not None:
                raise FAULTS.not_understood()  # the server could not parse the request
            else:
                self._note(reply)
        return [replies[number] for number in range(first, self._last_id + 1)]

    def _hang_up(self) -> None:
        if self._line is not None:
            hang_up(self._line.connection)
            self._line = None


def require_answer(answer: T | Denied) -> T:
    """Return the answer, or raise `ChainError` for a refusal."""
    if isinstance(answer, Denied):
        raise ChainError(
            "The chain server refuses to answer a request; try again later or set `chain`"
            " to another one."
        )
    return answer


def other_network(network: Network) -> ChainError:
    """Return the error for a server on another network."""
    return ChainError(f"The chain server is not on {network}; set `chain` to one that is.")


def _understood(reply: _Reply, kind: type[T]) -> T | Denied:
    match reply.error:
        case None:
            return FAULTS.decoded(reply.result, kind)
        case str(message):
            return Denied(message)
        case denied:
            return denied
