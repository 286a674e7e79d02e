"""A timeout that is cheap to extend."""

import asyncio
from collections.abc import Callable
from math import inf


class Deadline:
    """Calls back when it expires. Extending it starts no new timer: the old one checks again."""

    def __init__(self, on_expiry: Callable[[], None]) -> None:
        """`on_expiry` is called at the deadline, never earlier."""
        self._loop = asyncio.get_running_loop()
        self._on_expiry = on_expiry
        self._at = inf
        self._alarm: asyncio.TimerHandle | None = None

    def put_off(self, seconds: float | None) -> None:
        """Let it expire in this many seconds from now; None means never."""
        self._at = inf if seconds is None else self._loop.time() + seconds
        if self._alarm is not None and self._alarm.when() > self._at:
            self.cancel()
        if self._alarm is None and seconds is not None:
            self._alarm = self._loop.call_at(self._at, self._ring)

    def cancel(self) -> None:
        """Cancel the timer."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _ring(self) -> None:
        self._alarm = None
        if self._loop.time() >= self._at:
            self._on_expiry()
        elif self._at < inf:
            self._alarm = self._loop.call_at(self._at, self._ring)
