"""What a mailroom has done, as numbers, without anything about a client.

Some numbers would tell a stranger whether a request inside OHTTP was a GET or a POST: how many
polls wait, how many messages are kept. They are told once a minute and in steps of 32.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from secrets import randbelow

STEP = 32
"""Numbers that must hide a single request are told in steps of this."""
TOLD_SECONDS = 60.0
"""How often they change."""

HIDDEN = frozenset({"new mailboxes", "messages being written", "long polls"})
"""Refusals that tell what a request inside OHTTP was."""


@dataclass(frozen=True, slots=True)
class Census:
    """What a directory holds at one moment."""

    messages: int = 0
    message_bytes: int = 0
    """Bytes of disk that they take."""
    polls: int = 0
    senders: int = 0
    """BIP 78 senders that wait."""


class Counts:
    """The numbers of one mailroom; use it from one event loop, and read it from any thread."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        below: Callable[[int], int] = randbelow,
    ) -> None:
        """`below` draws a number below its argument, to hide where the steps are."""
        self.requests: Counter[tuple[str, int]] = Counter()
        """Answers by kind and status."""
        self.refusals: Counter[str] = Counter()
        """Requests that were refused for a limit, by its name."""
        self.hidden: dict[str, int] = {}
        """The numbers that are told in steps, by name."""
        self.sync_seconds: tuple[float, float] | None = None
        """Half of at least 32 writes took at most this long, and 99 in 100 that long."""
        self.loop_delay = 0.0
        """The longest time by which the event loop was late in the last minute, in seconds."""
        self.purge_seconds = 0.0
        self.purged_at: float | None = None
        """When the last purge ended, in Unix seconds."""
        self._clock = clock
        self._below = below
        self._exact: Counter[str] = Counter()
        self._seen: dict[str, int] = {}
        self._writes: list[float] = []
        self._delay = 0.0
        self._told_at: float | None = None

    def answered(self, kind: str, status: int) -> None:
        """Count an answer; `kind` is one of `kinds.kind_of`."""
        self.requests[kind, status] += 1

    def refused(self, what: str) -> None:
        """Count a refusal by the limit that was reached."""
        if what in HIDDEN:
            self._exact[f"refused {what}"] += 1
        else:
            self.refusals[what] += 1

    def wrote(self, seconds: float) -> None:
        """Count a write of the store, which took so long."""
        if len(self._writes) < STEP * STEP:
            self._writes.append(seconds)

    def purged(self, messages: int, seconds: float, now: float) -> None:
        """Count the messages that a purge has removed."""
        self._exact["purged"] += messages
        self.purge_seconds, self.purged_at = seconds, now

    def late(self, seconds: float) -> None:
        """Note by how much the event loop was late."""
        self._delay = max(self._delay, seconds)

    def tell(self, census: Census) -> bool:
        """Bring the hidden numbers up to date once a minute; return whether it did."""
        now = self._clock()
        if self._told_at is not None and now - self._told_at < TOLD_SECONDS:
            return False
        self._told_at = now
        self.loop_delay, self._delay = self._delay, 0.0
        for name, number in (
            ("messages", census.messages),
            ("message bytes", census.message_bytes),
            ("polls", census.polls),
            ("senders", census.senders),
        ):
            self.hidden[name] = self._veiled(name, number)
        for name, number in self._exact.items():
            self.hidden[name] = max(self.hidden.get(name, 0), self._veiled(name, number))
        if len(self._writes) >= STEP:
            slowest = sorted(self._writes)
            self.sync_seconds = slowest[len(slowest) // 2], slowest[ceil(len(slowest) * 0.99) - 1]
            self._writes.clear()
        return True

    def _veiled(self, name: str, number: int) -> int:
        """Round down to a step, at a place that is drawn anew when the number has changed."""
        if self._seen.get(name) == number:
            return self.hidden[name]
        self._seen[name] = number
        step = STEP * 8192 if name == "message bytes" else STEP
        return (number + self._below(step)) // step * step
