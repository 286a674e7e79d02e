"""Whether the coins of a payment are still there, as the log has it: one rule for both roles.

A reorganisation or a replacement can take away what had made a coin, and bring it back.
"""

from dataclasses import dataclass, replace

from dovetail.errors import InvalidEvent

BLOCKS_WITHOUT = 6
"""For so many blocks, or the session's depth if that is more, a coin has to be missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Since when a coin of the payment is missed; heights are those of the source's best block."""

    counts_from: int | None = None
    """The first height at which an absence counts; None where nobody noted it.

    Below it the source is behind what was known already, and says nothing by its silence.
    """
    missed_at: int | None = None
    """The height at which a coin was found to exist no more; None while all of them do."""

    @classmethod
    def known(cls, height: int | None) -> "Presence":
        """All coins are there at this height, as far as it was noted."""
        return cls(counts_from=None if height is None else height + 1)

    def is_news(self, *, missing: bool, height: int) -> bool:
        """Whether a look that found this is to be recorded."""
        if not missing:
            return self.missed_at is not None
        return self.missed_at is None and height >= (self.counts_from or 0)

    def missed(self, height: int) -> "Presence":
        """A coin exists no more, neither in the mempool nor in a block.

        Raises `InvalidEvent` where one was missed already.
        """
        if self.missed_at is not None:
            raise InvalidEvent("Coins are missed once, until they are found again.")
        return replace(self, missed_at=height)

    def found(self, height: int) -> "Presence":
        """All are there again: the count begins anew, at the next block at the soonest.

        Raises `InvalidEvent` where none was missed.
        """
        if self.missed_at is None:
            raise InvalidEvent("Coins that were not missed are not found again.")
        return Presence.known(max(height, self.missed_at))

    def are_gone(self, height: int, *, depth: int) -> bool:
        """Whether a coin has been missed for so long that the payment is given up."""
        if self.missed_at is None:
            return False
        return height - self.missed_at >= max(depth, BLOCKS_WITHOUT)
