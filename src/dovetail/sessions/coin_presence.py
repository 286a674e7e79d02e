"""Whether the coins of a payment still exist, as recorded in the log; the same for both roles.

A reorganisation or a replacement can take away what had made a coin, and bring it back.
"""

from dataclasses import dataclass, replace

from dovetail.errors import InvalidEvent

BLOCKS_WITHOUT = 6
"""A coin must be missing for this many blocks, or for the session's depth if that is more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Since when a coin of the payment is missing; heights are of the source's best block."""

    counts_from: int | None = None
    """The first height at which an absence counts; None where none was recorded.

    A source below this height is behind what was known already, so its silence proves nothing.
    """
    missed_at: int | None = None
    """The height at which a coin was found to exist no more; None while all of them do."""

    @classmethod
    def known(cls, height: int | None) -> "Presence":
        """All coins exist at this height, if one was recorded."""
        return cls(counts_from=None if height is None else height + 1)

    def is_news(self, *, missing: bool, height: int) -> bool:
        """Whether a check with this result must be recorded."""
        if not missing:
            return self.missed_at is not None
        return self.missed_at is None and height >= (self.counts_from or 0)

    def missed(self, height: int) -> "Presence":
        """Record that a coin no longer exists, neither in the mempool nor in a block.

        Raises `InvalidEvent` where one was missing already.
        """
        if self.missed_at is not None:
            raise InvalidEvent("The coins were recorded as missing already.")
        return replace(self, missed_at=height)

    def found(self, height: int) -> "Presence":
        """Record that all coins exist again: the count starts anew, at the next block or later.

        Raises `InvalidEvent` where none was missing.
        """
        if self.missed_at is None:
            raise InvalidEvent("The coins were not recorded as missing.")
        return Presence.known(max(height, self.missed_at))

    def are_gone(self, height: int, *, depth: int) -> bool:
        """Whether a coin has been missing for so long that the payment is given up."""
        if self.missed_at is None:
            return False
        return height - self.missed_at >= max(depth, BLOCKS_WITHOUT)
