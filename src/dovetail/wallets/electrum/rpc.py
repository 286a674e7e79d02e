"""Ask an Electrum server (Electrum protocol 1.4, JSON-RPC 2.0 by lines), never quoting it."""

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
"""A version of the protocol, or the oldest and the newest of some (`server.version`)."""
# Most servers speak 1.4, and some take no range; others have given it up.
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


class UnspokenVersion(ChainError):
    """The server speaks no version of the protocol that was offered."""


class Denied(msgspec.Struct, frozen=True):
    """The server says no; `message` in its words, which are for no one's eyes (P4)."""

    message: str = ""


Question: TypeAlias = tuple[str, tuple[Any, ...]]


class _Reply(msgspec.Struct, frozen=True):
    """A line from the server: a result, a refusal, or news (which has no id)."""

    id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: Denied | str | None = None
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"[]")


@dataclass(frozen=True, slots=True)
class News:
    """What a server said unasked, on its connection of this number."""

    connection: int
    said: tuple[tuple[str, msgspec.Raw], ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    """An open connection, its protocol agreed upon and its network checked."""

    connection: socket.socket
    reader: LineReader
    genesis: str = ""


class ElectrumRpc:
    """One connection to one server, made when it is needed and made anew when it broke.

    Threads may share it; they ask one after the other. `timeout` in seconds for one answer.
    `offers` are tried one after the other until the server takes one, `UnspokenVersion` if it takes
    none. Every failure is a `ChainError`.
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
        """Close the connection; it is opened again when something is asked."""
        with self._lock:
            self._hang_up()

    def genesis(self) -> str:
        """The hash of the first block, in hex as it is shown; one of the network's."""
        return self._exchange([])[0].genesis

    def ask(self, method: str, *parameters: Any, kind: type[T]) -> T:
        """The result, of this type. Raises `ChainError`, also when the server says no."""
        return agreed(self.ask_leave(method, *parameters, kind=kind))

    def ask_leave(self, method: str, *parameters: Any, kind: type[T]) -> T | Denied:
        """The same for what a server may say no to."""
        return self.ask_each([(method, parameters)], kind)[0]

    def ask_each(self, questions: Sequence[Question], kind: type[T]) -> list[T | Denied]:
        """Many at once; the answers in the order of the questions."""
        answers: list[T | Denied] = []
        for start in range(0, len(questions), _IN_FLIGHT):
            _, replies = self._exchange(questions[start : start + _IN_FLIGHT])
            answers += [_understood(reply, kind) for reply in replies]
        return answers

    @property
    def connection(self) -> int:
        """The number of the connection; 0 while there is none."""
        return self._connections if self._line is not None else 0

    def news(self) -> News:
        """What came unasked since the last time; nothing is asked for it.

        What was subscribed to on an earlier connection is not told any more.
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
            return News(self.connection, said)

    def _note(self, reply: _Reply) -> None:
        if reply.method and len(self._said) < _MOST_NEWS:
            self._said.append((reply.method, reply.params))

    def _exchange(self, questions: Sequence[Question]) -> tuple[_Line, list[_Reply]]:
        with self._lock:
            # A server closes what was idle for long: then the second try has a fresh connection.
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
                return replace(line, genesis=self._genesis(agreed(_understood(header, str))))
            except BaseException:
                hang_up(connection)
                raise
        raise UnspokenVersion(
            "The chain server speaks another version of Electrum's protocol than 1.4 to 1.6:"
            " update it, or set `chain` to another one."
        )

    def _agrees(self, line: _Line, offer: Offer) -> bool:
        """Whether it speaks that version; it may be asked once on a connection."""
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
        # No single answer restarts the clock; servers may hold back each for a second.
        deadline = time.monotonic() + self._timeout + len(questions) * _HELD_BACK
        replies: dict[int, _Reply] = {}
        while len(replies) < len(questions):
            reply = FAULTS.decoded(line.reader.line(deadline), _Reply)
            if reply.id is not None and first <= reply.id <= self._last_id:
                replies[reply.id] = reply
            elif reply.error is not None:
                raise FAULTS.not_understood()  # the server could not read what we asked
            else:
                self._note(reply)
        return [replies[number] for number in range(first, self._last_id + 1)]

    def _hang_up(self) -> None:
        if self._line is not None:
            hang_up(self._line.connection)
            self._line = None


def agreed(answer: T | Denied) -> T:
    """An answer that must not be a no. Raises `ChainError`."""
    if isinstance(answer, Denied):
        raise ChainError(
            "The chain server refuses to answer what it is asked; try again later or set `chain`"
            " to another one."
        )
    return answer


def other_network(network: Network) -> ChainError:
    """The server follows another chain than the one that is meant."""
    return ChainError(f"The chain server is not on {network}; set `chain` to one that is.")


def _understood(reply: _Reply, kind: type[T]) -> T | Denied:
    match reply.error:
        case None:
            return FAULTS.decoded(reply.result, kind)
        case str(message):
            return Denied(message)
        case denied:
            return denied
