"""How much of the disk messages may take, and how fast new mailboxes may be made of it."""

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
"""The part of the space that is given out at the full rate."""
_SHARE = 8
"""One client gets an eighth of what all get: less than the space in the time of a message."""
_LEAST_BURST = 128
_LEAST = 1 << 20


def cost(size: int) -> int:
    """Bytes of disk that a message of this size takes, with what finds it again."""
    return -(-(size + _PAGE_OVERHEAD) // _PAGE) * _PAGE + _INDEXES


MAILBOX = cost(MESSAGE_SIZE)
"""Bytes of disk for a message of BIP 77's size."""


def half_of_the_free_disk(folder: Path, used: int) -> int:
    """The default for the space: half of what is free, and of what messages take already."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise StoreUnavailable(
            f"The free space of the data folder is not known: {error.strerror}. Check its disk."
        ) from error
    return max((free + used) // 2, _LEAST)


class Space:
    """Bytes for messages, given out as fast as is good for all.

    The first four fifths last at least a day whoever comes; the last fifth lasts as long as a
    message is kept, so that there is always room for somebody. One client gets an eighth of
    either rate, and nothing while it has used more than what is left: so those who use the most
    leave something to another one, from however many networks they come.
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
        """`per_hour` and `per_client` bound new mailboxes in an hour, instead of the above."""
        self.capacity = capacity
        self.used = 0
        self._fast = capacity * _FAST
        most = capacity / MAILBOX
        rate = most / DAY if per_hour is None else per_hour / _HOUR
        each = rate / _SHARE if per_client is None else per_client / _HOUR
        self._slow = max(1.0, rate * ttl / (most * (1 - _FAST)))
        self._all = Meter(rate, _burst(rate, per_hour), clock)
        self._each = Meter(each, _burst(each, per_client), clock)

    def take(self, size: int, client: Hashable | None) -> float | None:
        """Take room for a message; gives what is to be told to `refund`, None if there is none.

        A client of None is bound only by what all may take.
        """
        bytes_ = cost(size)
        if self.used + bytes_ > self.capacity:
            return None
        price = 1.0 if self.used <= self._fast else self._slow
        if client is not None and self._each.used(client) >= self._all.left(None):
            return None  # others have used less, and what is left is for them
        if client is not None and not self._each.take(client, price):
            return None
        if not self._all.take(None, price):
            if client is not None:
                self._each.give_back(client, price)
            return None
        self.used += bytes_
        return price

    def refund(self, size: int, client: Hashable | None, price: float) -> None:
        """Undo a `take` after which nothing was kept."""
        self.used -= cost(size)
        self._all.give_back(None, price)
        if client is not None:
            self._each.give_back(client, price)


def _burst(rate: float, given: float | None) -> float:
    """What an hour gives; by default as much as a busy start needs."""
    return rate * _HOUR if given is not None else max(rate * _HOUR, _LEAST_BURST)
