"""Sightings: transactions of a session on the chain, seen by one process, kept for the others.

No decision rests on them, so they are no events: a process that steps a session checks again.
"""

from dataclasses import dataclass
from enum import StrEnum

from dovetail.bitcoin import FeeRate, Sats, Txid


class SpendKind(StrEnum):
    """The relation of a transaction to a session whose money it moves."""

    PAYJOIN = "payjoin"
    FALLBACK = "fallback"
    REVOCATION = "revocation"
    """It pays back to the sender's own wallet."""
    PAYMENT = "payment"
    """It is neither payjoin nor fallback, and makes the same payment."""
    UNRECOGNIZED = "stranger"
    """It spends the contested outpoints and is none of these; it may replace one of them."""
    DOUBLE_SPEND = "double-spend"
    """It spends the coins of a payment to the receiver, so that this payment does not count."""
    DIRECT = "direct"
    """It pays the receiver's address from other coins than the session's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A transaction that spends the contested outpoints or pays the address, by the chain source.

    `depth` is 0 in the mempool; `wanted` is the depth that ends the session. `receded` says that
    it was deeper before: a reorganisation removed blocks.
    """

    kind: SpendKind
    txid: Txid
    depth: int
    wanted: int
    gone: bool = False
    """Whether it was seen, and is no longer on the chain or in the mempool."""
    receded: bool = False
    rate: FeeRate | None = None
    """The fee of one in the mempool that keeps the ordinary payment out, where known."""
    came: Sats | None = None
    """All that a receiver's address got, including by this transaction; None: unknown."""
    asked: Sats | None = None
    """The amount that the receiver asked for; None: any amount, or unknown."""
    beside: tuple[Txid, ...] = ()
    """The other transactions to the address: parts of a payment that falls short, else extra."""

    @property
    def goes_on(self) -> bool:
        """Whether the session goes on after it: the last confirmation ends it with an outcome."""
        last = self.depth >= self.wanted and self.kind is not SpendKind.DOUBLE_SPEND
        return self.falls_short or not last

    @property
    def falls_short(self) -> bool:
        """Whether it is part of a payment that is not complete yet."""
        short = self.came is not None and self.asked is not None and self.came < self.asked
        return self.kind is SpendKind.DIRECT and short
