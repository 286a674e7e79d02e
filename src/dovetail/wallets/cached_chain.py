"""A cache for public servers: answers stay valid until a new block or a mempool check.

Each `pace` seconds one request refreshes the oldest answer, for any number of watched sessions.
Each new block is fetched once. Answers that the block does not affect stay valid. Few affected
keys are asked for again one by one; for many keys the whole block is searched.
"""

import threading
import time
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from dovetail.bitcoin import OutPoint, Script
from dovetail.errors import ChainError

Key = OutPoint | Script
T = TypeVar("T")

PACE = 60.0
"""Seconds between two refreshes; one watched payment makes at most 120 requests an hour."""

_TIP_PACES = 2
_FORGOTTEN_PACES = 30
_GONE_PACES = 5
_FEW = 3
_MOST_BLOCKS = 6
_HEADER = 80


@dataclass(frozen=True, slots=True)
class Block:
    """A block's hash, height and previous block."""

    name: str
    height: int
    previous: str | None


class Blocks(Protocol):
    """Fetches blocks of a server; each method raises `ChainError`."""

    def tip(self) -> str:
        """Return the hash of the best block."""
        ...

    def block(self, name: str) -> Block:
        """Return the block of this hash."""
        ...

    def raw(self, name: str) -> bytes | None:
        """Return the serialized block, or None if the server does not offer it."""
        ...


class Queue:
    """Serializes requests to one server. If one fails, those that waited for it fail too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed_at = float("-inf")
        self._failure = ""

    @contextmanager
    def turn(self) -> Generator[None]:
        """Hold the queue during a request; all waiting callers get its `ChainError`."""
        began = time.monotonic()
        with self._lock:
            if self._failed_at > began:
                raise ChainError(self._failure)
            try:
                yield
            except ChainError as error:
                self._failed_at, self._failure = time.monotonic(), str(error)
                raise


@dataclass(slots=True)
class _Told(Generic[T]):
    value: T
    settled: bool
    asked_at: float
    wanted_at: float
    is_stale: bool = False


class AnswerCache(Generic[T]):
    """Cached answers of one server about coins and scripts. Threads share it and wait in turn."""

    def __init__(
        self, blocks: Blocks, *, pace: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`pace` is the seconds between two refreshes; `clock` gives seconds."""
        self._blocks = blocks
        self._pace = pace
        self._clock = clock
        self._queue = Queue()
        self._told: dict[Key, _Told[T]] = {}
        self._dropped: set[Key] = set()
        self._next: Key | None = None
        """The key that is refreshed next."""
        self._tip: Block | None = None
        self._tip_at = self._turn_at = float("-inf")

    def height(self) -> int:
        """Return the height of the best block, at most two paces old. Raises `ChainError`."""
        with self._queue.turn():
            return self._at_tip().height

    def _at_tip(self) -> Block:
        now = self._clock()
        if self._tip is None or now - self._tip_at >= _TIP_PACES * self._pace:
            self._tip = self._followed(self._blocks.tip())
            self._tip_at = now
            self._forget(now)
        return self._tip

    def get(self, key: Key, ask: Callable[[], tuple[T, bool]]) -> T:
        """Return the answer for `key`; `ask` returns it, and whether it is confirmed in a block.

        A confirmed answer is asked for again only after a reorganisation.
        """
        with self._queue.turn():
            self._at_tip()
            now = self._clock()
            if key in self._dropped:
                self._dropped.discard(key)
                self._told.pop(key, None)
            told = self._told.get(key)
            if told is not None:
                told.wanted_at = now
                if not told.is_stale and not self._is_its_turn(key, told, now):
                    return told.value
            value, settled = ask()
            self._told[key] = _Told(value, settled, now, now)
            if told is not None:
                self._turn_at, self._next = now, None
            return value

    def drop(self, keys: Collection[Key]) -> None:
        """Drop these keys, because we have changed their state ourselves."""
        self._dropped.update(key for key in keys if key in self._told)

    def _is_its_turn(self, key: Key, told: _Told[T], now: float) -> bool:
        if told.settled or now - max(self._turn_at, told.asked_at) < self._pace:
            return False
        following = None if self._next is None else self._told.get(self._next)
        if following is None or not self._waits(following, now):
            # Compute this once for each refresh, because there may be thousands of keys.
            waiting = {key: each for key, each in self._told.items() if self._waits(each, now)}
            self._next = min(waiting, key=lambda key: waiting[key].asked_at)
        return key == self._next

    def _waits(self, told: _Told[T], now: float) -> bool:
        """Whether it must be refreshed: it is not confirmed, and was asked for recently."""
        return not told.settled and now - told.wanted_at < _GONE_PACES * self._pace

    def _followed(self, tip: str) -> Block:
        """Advance to this block, and mark the answers that the new blocks may affect."""
        known = self._tip
        new: list[Block] = []
        while known is None or tip != known.name:
            block = self._blocks.block(tip)
            new.append(block)
            if known is None or block.previous is None or len(new) > _MOST_BLOCKS:
                break
            if block.height <= known.height:
                break  # a reorganisation
            tip = block.previous
        if known is not None and not new:
            return known
        if known is not None and new[-1].previous == known.name:
            for block in reversed(new):
                self._pass(block)
        else:
            for told in self._told.values():
                told.is_stale = True
        return new[0]

    def _pass(self, block: Block) -> None:
        loose = {key: told for key, told in self._told.items() if not told.settled}
        fresh = {key: told for key, told in loose.items() if not told.is_stale}
        raw = self._blocks.raw(block.name) if len(fresh) > _FEW else None
        for key, told in fresh.items():
            told.is_stale = raw is None or raw.find(_bytes(key), _HEADER) >= 0

    def _forget(self, now: float) -> None:
        """Drop keys that were not asked for recently."""
        oldest = now - _FORGOTTEN_PACES * self._pace
        self._told = {k: told for k, told in self._told.items() if told.wanted_at >= oldest}


def _bytes(key: Key) -> bytes:
    return key.serialize() if isinstance(key, OutPoint) else bytes(key)
