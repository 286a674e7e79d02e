"""Watches the event loop of a mailroom, and brings its numbers up to date."""

import asyncio
import logging
from collections.abc import Callable

from dovetail.mailroom.counts import Census, Counts

BEAT = 0.5
"""Seconds between two looks at the loop."""

_log = logging.getLogger(__name__)


class Watch:
    """Measures how late the event loop is, and has the numbers told."""

    def __init__(
        self, counts: Counts, census: Callable[[], Census], *, heartbeat: float = 0.0
    ) -> None:
        """`census` looks at the store; `heartbeat` is seconds between two lines, 0 for none."""
        self._counts = counts
        self._census = census
        self.heartbeat = heartbeat
        """Seconds between two lines; it may change."""

    async def run(self) -> None:
        """Watch until this is cancelled."""
        loop = asyncio.get_running_loop()
        begun = beat_at = loop.time()
        while True:
            before = loop.time()
            self._counts.tell(self._census())
            await asyncio.sleep(BEAT)
            now = loop.time()
            self._counts.late(max(0.0, now - before - BEAT))
            if self.heartbeat and now - beat_at >= self.heartbeat:
                beat_at = now
                self._beat(now - begun)

    def _beat(self, seconds: float) -> None:
        counts = self._counts
        answers = sum(dict(counts.requests).values())
        refused = sum(dict(counts.refusals).values())
        _log.info(
            "Running for %s: %d answers, %d refusals for a limit; about %d messages and %d polls;"
            " the event loop was at most %.2f s late in the last minute.",
            _hours(seconds),
            answers,
            refused,
            counts.hidden.get("messages", 0),
            counts.hidden.get("polls", 0),
            counts.loop_delay,
        )


def _hours(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes // 60} h {minutes % 60} min"
