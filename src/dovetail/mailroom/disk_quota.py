"""Limits on the disk space of messages and on the rate of new mailboxes."""

import shutil
from collections.abc import Callable, Hashable
from pathlib import Path

from dovetail.errors import StoreUnavailable
from dovetail.mailroom.rate_limits import Meter
from dovetail.protocol.mailbox import MESSAGE_SIZE

DAY = 86_400.0
_HOUR = DAY / 24
_PAGE = 4_096
_PAGE_OVERHEAD = 96
_INDEXES = 128
_FAST = 0.8
"""The part of the space that is used at the full rate."""
_SHARE = 8
"""One client gets an eighth of the rate of all: less than the space during the lifetime of a
message."""
_LEAST_BURST = 128
_LEAST = 1 << 20


def cost(size: int) -> int:
    """Return the bytes of disk that a message of this size takes, with its index entries."""
    return -(-(size + _PAGE_OVERHEAD) // _PAGE) * _PAGE + _INDEXES


MAILBOX = cost(MESSAGE_SIZE)
"""Bytes of disk for a message of BIP 77's size."""


def half_of_the_free_disk(folder: Path, used: int) -> int:
    """Return the default space: half of the free disk plus the space that messages use."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise StoreUnavailable(
            f"The free space of the data folder cannot be read: {error.strerror}. Check its disk."
        ) from error
    return max((free + used) // 2, _LEAST)


class Space:
    """The disk space for messages, with a rate limit for all and for each client.

    The first four fifths of the space last at least a day under any load. The last fifth lasts as
    long as a message is kept, so some room always remains. One client gets an eighth of either
    rate, and nothing while it has used more than what is left. So heavy users leave room for
    others, even if they use many networks.
    """

    def __init__(
        self,
        capacity: int,
        *,
        ttl: float,
        per_hour: float | None = None,
        per_client: float | None = None,
        clock: Callable[[], float],
    ) -> None:
        """`per_hour` and `per_client` limit new mailboxes in an hour instead."""
        self.used = 0
        self._ttl = ttl
        self._all, self._each = Meter(1.0, 1.0, clock), Meter(1.0, 1.0, clock)
        self.adopt(capacity, per_hour=per_hour, per_client=per_client)

    def adopt(
        self, capacity: int, *, per_hour: float | None = None, per_client: float | None = None
    ) -> None:
        """Change the limits; what is stored stays."""
        self.capacity = capacity
        self._fast = capacity * _FAST
        most = capacity / MAILBOX
        rate = most / DAY if per_hour is None else per_hour / _HOUR
        each = rate / _SHARE if per_client is None else per_client / _HOUR
        self._slow = max(1.0, rate * self._ttl / (most * (1 - _FAST)))
        self._all.adopt(rate, _burst(rate, per_hour))
        self._each.adopt(each, _burst(each, per_client))

    def take(self, size: int, client: Hashable | None) -> float | None:
        """Take room for a message; return the price for `refund`, or None if there is no room.

        For the client None only the limits of all clients apply.
        """
        bytes_ = cost(size)
        if self.used + bytes_ > self.capacity:
            return None
        price = 1.0 if self.used <= self._fast else self._slow
        if client is not None and self._each.used(client) >= self._all.left(None):
            return None  # the rest is for clients that have used less
        if client is not None and not self._each.take(client, price):
            return None
        if not self._all.take(None, price):
            if client is not None:
                self._each.give_back(client, price)
            return None
        self.used += bytes_
        return price

    def refund(self, size: int, client: Hashable | None, price: float) -> None:
        """Undo a `take` whose message was not kept."""
        self.used -= cost(size)
        self._all.give_back(None, price)
        if client is not None:
            self._each.give_back(client, price)


def _burst(rate: float, given: float | None) -> float:
    """Return the burst: the amount of an hour; by default enough for a busy start."""
    return rate * _HOUR if given is not None else max(rate * _HOUR, _LEAST_BURST)
