"""Watch scripts by an Electrum server's notifications (protocol 1.4, subscriptions).

A script's history is requested once, and again when the server notifies a change. The tip is
requested each `pace` seconds anyway, which also finds a dead connection.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from dovetail.bitcoin import Txid
from dovetail.errors import ChainError
from dovetail.wallets.cached_chain import Queue
from dovetail.wallets.electrum.connection import FAULTS
from dovetail.wallets.electrum.rpc import ElectrumRpc, Question, require_answer

TIP = "blockchain.headers.subscribe"
HISTORY = "blockchain.scripthash.get_history"
_SUBSCRIBE = "blockchain.scripthash.subscribe"

_MAX_HEIGHT = 100_000_000
_MAX_HISTORY = 5_000
_TRUSTED_SECONDS = 3_600.0
"""How long a server is trusted to notify every change."""


class _Tip(msgspec.Struct, frozen=True):
    """The server's best block."""

    height: int


class Entry(msgspec.Struct, frozen=True):
    """A transaction in a script's history; its height is 0 or -1 in the mempool."""

    tx_hash: str
    height: int


@dataclass(frozen=True, slots=True)
class _Told:
    history: list[Entry]
    at: float


class ScriptWatch:
    """The watched scripts of one server. Threads share it and wait in turn."""

    def __init__(
        self, rpc: ElectrumRpc, *, pace: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`pace` is the seconds between two requests for the tip; `clock` gives seconds."""
        self._rpc = rpc
        self._pace = pace
        self._clock = clock
        self._queue = Queue()
        self._connection = 0
        self._told: dict[str, _Told] = {}
        self._height: int | None = None
        self._tip_at = float("-inf")

    def height(self) -> int:
        """Return the height of the best block. Raises `ChainError`."""
        with self._queue.turn():
            self._apply_notifications()
            if not self._has_tip():
                self._ask([])
            return self._known_height()

    def look(self, name: str) -> tuple[int, list[Entry]]:
        """Return the height and the history of the script with this hash. Raises `ChainError`."""
        with self._queue.turn():
            self._apply_notifications()
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

    def _apply_notifications(self) -> None:
        notifications = self._rpc.notifications()
        if notifications.connection != self._connection:
            self._begin_anew(notifications.connection)
        for method, said in notifications.said:
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
        """Send these requests, and one for the tip if it is due, together."""
        asks_tip = not self._has_tip()
        whole = [*questions, *([(TIP, ())] if asks_tip else [])]
        answers = [require_answer(answer) for answer in self._rpc.ask_each(whole, msgspec.Raw)]
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
    """Decode the height of the best block. Raises `ChainError`."""
    tip = FAULTS.decoded(told, _Tip)
    if not 0 <= tip.height <= _MAX_HEIGHT:
        raise FAULTS.not_understood()
    return tip.height


def history_of(told: msgspec.Raw) -> list[Entry]:
    """Decode the history of a script. Raises `ChainError`."""
    history = FAULTS.decoded(told, list[Entry])
    if len(history) > _MAX_HISTORY:
        raise ChainError("The address has too many transactions to watch it; use a new address.")
    with FAULTS.reading():
        for entry in history:
            Txid.from_hex(entry.tx_hash)
    return history
