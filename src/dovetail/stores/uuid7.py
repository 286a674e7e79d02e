"""Ids that many writers make without a counter of their own (RFC 9562, UUID version 7)."""

import os
import threading
import time
from collections.abc import Callable
from uuid import UUID

_COUNTER = 42
"""Bits of the counter. The first is 0 at the start of a millisecond, so it rarely overflows."""


class Uuid7:
    """Makes UUIDs that ascend; safe to share between threads.

    48 bits are the time in milliseconds, 42 a counter and 32 random (section 6.2, method 1). The
    counter starts at a random number in each millisecond. If the clock stands still or goes back,
    it counts on from the latest id. Ids of two processes ascend by their clocks alone.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives the time in seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._latest = -1
        self._counter = 0

    def __call__(self) -> UUID:
        """Return a UUID that is higher than every earlier one."""
        with self._lock:
            now = max(int(self._clock() * 1000), 0)
            if now > self._latest:
                self._begin(now)
            else:
                self._counter += 1
                if self._counter >> _COUNTER:
                    self._begin(self._latest + 1)
            return _uuid(self._latest, self._counter, int.from_bytes(os.urandom(4)))

    def _begin(self, millisecond: int) -> None:
        self._latest = millisecond
        self._counter = int.from_bytes(os.urandom(6)) >> (48 - _COUNTER + 1)


def _uuid(millisecond: int, counter: int, tail: int) -> UUID:
    high, low = counter >> 30, counter & ((1 << 30) - 1)
    return UUID(int=millisecond << 80 | 7 << 76 | high << 64 | 0b10 << 62 | low << 32 | tail)
