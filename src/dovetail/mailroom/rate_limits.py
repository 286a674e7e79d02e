"""Token buckets: rate limits for each client."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

_REMEMBERED = 4_096
"""Clients that are remembered. A forgotten one was idle for long, or is one of very many."""


@dataclass(slots=True)
class _Bucket:
    level: float
    seen: float


class Meter:
    """Allows each client `rate` a second, and `burst` at once after an idle time."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        """`clock` gives seconds that never jump."""
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()

    def adopt(self, rate: float, burst: float) -> None:
        """Change the limits; what a client has used stays used."""
        self._rate, self._burst = rate, burst

    def take(self, client: Hashable, cost: float = 1.0) -> bool:
        """Use `cost`; return False and use nothing if this client has less left.

        A cost above `burst` counts as `burst`; otherwise it could never be paid.
        """
        bucket = self._at(client)
        price = min(cost, self._burst)
        if bucket.level < price:
            return False
        bucket.level -= price
        return True

    def give_back(self, client: Hashable, cost: float = 1.0) -> None:
        """Undo what `take` did."""
        bucket = self._at(client)
        bucket.level = min(self._burst, bucket.level + cost)

    def left(self, client: Hashable) -> float:
        """Return how much this client may use now."""
        return self._at(client).level

    def used(self, client: Hashable) -> float:
        """Return how much this client has used and not yet regained."""
        return self._burst - self._at(client).level

    def _at(self, client: Hashable) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.get(client)
        if bucket is None:
            bucket = self._buckets[client] = _Bucket(self._burst, now)
            if len(self._buckets) > _REMEMBERED:
                self._buckets.popitem(last=False)
        bucket.level = min(self._burst, bucket.level + (now - bucket.seen) * self._rate)
        bucket.seen = now
        self._buckets.move_to_end(client)
        return bucket
