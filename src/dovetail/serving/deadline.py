"""A moment by which something has to have happened, put off cheaply."""

import asyncio
from collections.abc import Callable
from math import inf


class Deadline:
    """Calls back when it passes. Putting it off costs no timer: the one that is set looks again."""

    def __init__(self, passed: Callable[[], None]) -> None:
        """`passed` is called at the deadline, and never before."""
        self._loop = asyncio.get_running_loop()
        self._passed = passed
        self._at = inf
        self._alarm: asyncio.TimerHandle | None = None

    def put_off(self, seconds: float | None) -> None:
        """Let it pass in so many seconds from now; None is never."""
        self._at = inf if seconds is None else self._loop.time() + seconds
        if self._alarm is not None and self._alarm.when() > self._at:
            self.cancel()
        if self._alarm is None and seconds is not None:
            self._alarm = self._loop.call_at(self._at, self._ring)

    def cancel(self) -> None:
        """Leave no timer behind."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _ring(self) -> None:
        self._alarm = None
        if self._loop.time() >= self._at:
            self._passed()
        elif self._at < inf:
            self._alarm = self._loop.call_at(self._at, self._ring)
