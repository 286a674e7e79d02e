"""What the chain shows of a session's money: seen by one process, kept for the others.

No decision rests on it, so it is no event: whoever takes a session forward looks again.
"""

from dataclasses import dataclass
from enum import StrEnum

from dovetail.bitcoin import FeeRate, Sats, Txid


class SpendKind(StrEnum):
    """What a transaction that moves a session's money is to it."""

    PAYJOIN = "payjoin"
    FALLBACK = "fallback"
    REVOCATION = "revocation"
    """It pays back to the sender's own wallet."""
    PAYMENT = "payment"
    """It is neither, and makes the same payment."""
    UNRECOGNIZED = "stranger"
    """It spends the contested outpoints and is neither; it may replace one of them."""
    DOUBLE_SPEND = "double-spend"
    """It spends the coins of a payment that came to a receiver, which does not count therefore."""
    DIRECT = "direct"
    """It pays the receiver's address from other coins than the session's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What spends the contested outpoints or pays the address, as the chain source has it.

    `depth` is 0 in the mempool; `wanted` is the depth that ends the session. `receded` says that
    it lay deeper before: a reorganisation took blocks away.
    """

    kind: SpendKind
    txid: Txid
    depth: int
    wanted: int
    gone: bool = False
    """Whether it was seen, and is on the chain and in the mempool no more."""
    receded: bool = False
    rate: FeeRate | None = None
    """What it pays, of one in the mempool that keeps the ordinary payment out, where known."""
    came: Sats | None = None
    """What a receiver's address got in all, this transaction's payment included; None: unknown."""
    asked: Sats | None = None
    """What the receiver asked for; None: any amount, or unknown."""
    beside: tuple[Txid, ...] = ()
    """What else paid the address: the parts of a payment that falls short, else what is beyond."""

    @property
    def goes_on(self) -> bool:
        """Whether the session goes on with it: a last confirmation ends it, which says more."""
        last = self.depth >= self.wanted and self.kind is not SpendKind.DOUBLE_SPEND
        return self.falls_short or not last

    @property
    def falls_short(self) -> bool:
        """Whether it is part of a payment that is not whole yet."""
        short = self.came is not None and self.asked is not None and self.came < self.asked
        return self.kind is SpendKind.DIRECT and short
