"""Follow scripts by what an Electrum server says unasked (protocol 1.4, subscriptions).

A script is asked for once, and again when the server says that its status changed. The tip is asked
for each `pace` seconds even so, which also tells a connection that died in silence.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from dovetail.bitcoin import Txid
from dovetail.errors import ChainError
from dovetail.wallets.cached_chain import Queue
from dovetail.wallets.electrum.connection import FAULTS
from dovetail.wallets.electrum.rpc import ElectrumRpc, Question, agreed

TIP = "blockchain.headers.subscribe"
HISTORY = "blockchain.scripthash.get_history"
_SUBSCRIBE = "blockchain.scripthash.subscribe"

_MAX_HEIGHT = 100_000_000
_MAX_HISTORY = 5_000
_TRUSTED_SECONDS = 3_600.0
"""How long a server is trusted to tell every change."""


class _Tip(msgspec.Struct, frozen=True):
    """What the server says of the best block."""

    height: int


class Entry(msgspec.Struct, frozen=True):
    """A transaction in a script's history; its height is 0 or -1 in the mempool."""

    tx_hash: str
    height: int


@dataclass(frozen=True, slots=True)
class _Told:
    history: list[Entry]
    at: float


class Followed:
    """What one server told of scripts, and tells. Threads may share it, and wait for each other."""

    def __init__(
        self, rpc: ElectrumRpc, *, pace: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`pace` in seconds between two questions for the tip; `clock` in seconds."""
        self._rpc = rpc
        self._pace = pace
        self._clock = clock
        self._queue = Queue()
        self._connection = 0
        self._told: dict[str, _Told] = {}
        self._height: int | None = None
        self._tip_at = float("-inf")

    def height(self) -> int:
        """The height of the best block. Raises `ChainError`."""
        with self._queue.turn():
            self._hear()
            if not self._has_tip():
                self._ask([])
            return self._known_height()

    def look(self, name: str) -> tuple[int, list[Entry]]:
        """The height, and what pays or spends the script of this hash. Raises `ChainError`."""
        with self._queue.turn():
            self._hear()
            told = self._told.get(name)
            if told is None or self._clock() - told.at >= _TRUSTED_SECONDS:
                told = self._ask([(_SUBSCRIBE, (name,)), (HISTORY, (name,))], name)
            elif not self._has_tip():
                self._ask([])
            return self._known_height(), told.history

    def _has_tip(self) -> bool:
        return self._height is not None and self._clock() - self._tip_at < self._pace

    def _known_height(self) -> int:
        if self._height is None:
            raise FAULTS.not_understood()
        return self._height

    def _hear(self) -> None:
        news = self._rpc.news()
        if news.connection != self._connection:
            self._begin_anew(news.connection)
        for method, said in news.said:
            if method == TIP:
                [tip] = FAULTS.decoded(said, tuple[msgspec.Raw])
                self._height = height_of(tip)
            elif method == _SUBSCRIBE:
                name, _ = FAULTS.decoded(said, tuple[str, str | None])
                self._told.pop(name, None)

    def _begin_anew(self, connection: int) -> None:
        self._connection = connection
        self._told.clear()
        self._height = None

    def _ask(self, questions: list[Question], name: str = "") -> _Told:
        """Ask this, and for the tip where it is time, in one exchange."""
        asks_tip = not self._has_tip()
        whole = [*questions, *([(TIP, ())] if asks_tip else [])]
        answers = [agreed(answer) for answer in self._rpc.ask_each(whole, msgspec.Raw)]
        told = _Told(history_of(answers[1]) if questions else [], self._clock())
        if asks_tip:
            self._height, self._tip_at = height_of(answers[-1]), self._clock()
        if self._rpc.connection != self._connection:
            height = self._height
            self._begin_anew(self._rpc.connection)
            self._height = height if asks_tip else None
        if questions:
            self._told[name] = told
        return told


def height_of(told: msgspec.Raw) -> int:
    """The height in what is told of the best block. Raises `ChainError`."""
    tip = FAULTS.decoded(told, _Tip)
    if not 0 <= tip.height <= _MAX_HEIGHT:
        raise FAULTS.not_understood()
    return tip.height


def history_of(told: msgspec.Raw) -> list[Entry]:
    """What is told of a script. Raises `ChainError`."""
    history = FAULTS.decoded(told, list[Entry])
    if len(history) > _MAX_HISTORY:
        raise ChainError(
            "The address was used too often to be followed; use one that was not given out before."
        )
    with FAULTS.reading():
        for entry in history:
            Txid.from_hex(entry.tx_hash)
    return history
