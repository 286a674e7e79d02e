"""The time by which messages and keys grow old: the wall clock, as long as it can be believed."""

import time
from collections.abc import Callable

HOUR = 3_600.0
BELIEVED = HOUR
"""Seconds by which the wall clock may be set without the operator's word."""


def running() -> float:
    """Seconds that passed, whatever the wall clock was set to, also while the machine slept."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class SteadyClock:
    """The wall clock; if it is set by more than an hour at once, the time as it was and went on.

    A clock that is wrong for a minute would otherwise remove messages and keys that sessions
    still need. It is believed again when it comes back, or when the mailroom starts anew.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, passed: Callable[[], float] = running
    ) -> None:
        """`wall` gives unix time; `passed` never jumps."""
        self._wall = wall
        self._passed = passed
        self._offset = wall() - passed()
        self.jumped = False
        """Whether the wall clock is not believed."""

    def __call__(self) -> float:
        """Unix time."""
        passed = self._passed()
        offset = self._wall() - passed
        self.jumped = abs(offset - self._offset) > BELIEVED
        if not self.jumped:
            self._offset = offset
        return passed + self._offset
