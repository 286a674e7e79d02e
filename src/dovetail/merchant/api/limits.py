"""Rate limits by key and by address, in bounded memory."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

MOST_KNOWN = 10_000
"""The most clients that are remembered. The one that was quiet longest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests at once, and so many in a second after that."""

    burst: int
    per_second: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the API and of the pages."""

    address: Rate = Rate(burst=200, per_second=50)
    """Of a client's network, with or without a key."""
    key: Rate = Rate(burst=400, per_second=100)
    refusal_cost: int = 10
    """How many requests of an address one with a wrong key counts for."""
    body_bytes: int = 65_536
    body_seconds: float = 10.0
    read_seconds: float = 15.0
    """How long a client may take to send a request's head, or to read anything of the answer."""
    drain: float = 0.0
    """How long the server goes on after it was told to stop, so that a proxy finds another one."""
    streams: int = 1_000
    """Event streams that are open at once, in this process."""
    streams_per_key: int = 100
    visitor_streams: int = 500
    """The part of `streams` that pages may open, whose visitors have no key."""
    streams_per_visitor: int = 50
    """Of a client's network."""
    sales: Rate = Rate(burst=30, per_second=0.2)
    """Sales at points of sale, of a client's network."""
    sales_of_one: Rate = Rate(burst=120, per_second=1)
    """Sales of one point of sale, from anywhere."""
    embedded_by: tuple[str, ...] = ()
    """The origins whose pages may show the shop's pages in a frame."""


class Buckets:
    """Counts requests by client: the generic cell rate algorithm, one number for each client."""

    def __init__(
        self,
        rate: Rate,
        *,
        clock: Callable[[], float] = time.monotonic,
        most: int = MOST_KNOWN,
    ) -> None:
        """`clock` gives seconds that never go back."""
        self._gap = 1 / rate.per_second
        self._slack = self._gap * rate.burst
        self._clock = clock
        self._most = most
        self._due: OrderedDict[Hashable, float] = OrderedDict()

    def __len__(self) -> int:
        """The number of clients that are remembered."""
        return len(self._due)

    def take(self, client: Hashable | None, cost: int = 1) -> float:
        """Count a request; return 0, or the seconds to wait if it is one too many.

        A request that is one too many is not counted. None stands for a client that is unknown,
        such as one behind the operator's own proxy: it is not limited here.
        """
        if client is None:
            return 0.0
        now = self._clock()
        due = max(self._due.get(client, now), now) + self._gap * cost
        wait = due - self._slack - now
        if wait > 0 and cost == 1:
            return wait
        self._due[client] = min(due, now + self._slack)
        self._due.move_to_end(client)
        if len(self._due) > self._most:
            self._due.popitem(last=False)
        return 0.0
