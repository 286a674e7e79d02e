"""The clock for the age of messages and keys; it ignores large changes of the system time."""

import time
from collections.abc import Callable

HOUR = 3_600.0
MAX_CLOCK_STEP = HOUR
"""The largest change of the wall clock, in seconds, that is followed without a restart."""


def monotonic_seconds() -> float:
    """Return monotonic seconds that also count while the machine sleeps."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class SteadyClock:
    """The wall clock, but a change of more than an hour at once is ignored.

    Otherwise a clock that is wrong for a minute would remove messages and keys that sessions still
    need. The wall clock is followed again when it returns, or after a restart of the mailroom.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, passed: Callable[[], float] = monotonic_seconds
    ) -> None:
        """`wall` gives unix time; `passed` never jumps."""
        self._wall = wall
        self._passed = passed
        self._offset = wall() - passed()
        self.jumped = False
        """Whether the wall clock is ignored now."""

    def __call__(self) -> float:
        """Unix time."""
        passed = self._passed()
        offset = self._wall() - passed
        self.jumped = abs(offset - self._offset) > MAX_CLOCK_STEP
        if not self.jumped:
            self._offset = offset
        return passed + self._offset
