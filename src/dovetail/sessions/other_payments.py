"""What an address has received by transactions that are neither payjoin nor fallback."""

from collections.abc import Iterable
from dataclasses import dataclass

from dovetail.bitcoin.transaction import Txid
from dovetail.bitcoin.units import Sats

_NOTHING = Sats(0)
MOST_NAMED = 8
"""How many transactions are named of those that do not add up to what was asked for."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One transaction that pays the address, how much, and how deep it lies: 0 in the mempool."""

    txid: Txid
    amount: Sats
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipts:
    """All that came to an address by itself: a payment, its parts, or nothing."""

    txids: tuple[Txid, ...] = ()
    """Those that make up the payment; the largest ones where they fall short."""
    amount: Sats = _NOTHING
    """All that came, in satoshis."""
    full: bool = False
    """Whether it is at least what was asked for."""
    depth: int = 0
    """How deep the payment lies: as deep as its shallowest part; 0 where it falls short."""
    beyond: tuple[Txid, ...] = ()
    """The largest of those that came although others make up the payment."""
    rest: int = 0
    """How deep all that came lies where it falls short, which another transaction may complete."""

    @property
    def named(self) -> tuple[Txid, ...]:
        """Those that are named, the payment and its parts first."""
        return (*self.txids, *self.beyond)

    def counts_from(self, depth: int) -> bool:
        """Whether it lies at least that deep, be it the payment or a part of it."""
        return (self.depth if self.full else self.rest) >= depth

    @classmethod
    def of(cls, found: Iterable[Receipt], *, asked: int | None) -> "Receipts":
        """Add up what was found; without an amount any payment is one in full.

        Of the ways to make up the amount the deepest counts, and of its parts the largest.
        """
        receipts = sorted(found, key=lambda receipt: (-receipt.depth, -receipt.amount))
        total = Sats.sum(receipt.amount for receipt in receipts)
        deep = _enough(receipts, asked or 1)
        if deep is None:
            rest = min((receipt.depth for receipt in receipts), default=0)
            return cls(txids=_largest(receipts), amount=total, rest=rest)
        depth = deep[-1].depth
        parts = _enough(sorted(deep, key=lambda receipt: -receipt.amount), asked or 1) or deep
        txids = tuple(receipt.txid for receipt in parts)
        beyond = _largest(receipt for receipt in receipts if receipt not in parts)
        return cls(txids=txids, amount=total, full=True, depth=depth, beyond=beyond)


def _largest(receipts: Iterable[Receipt]) -> tuple[Txid, ...]:
    largest = sorted(receipts, key=lambda receipt: -receipt.amount)[:MOST_NAMED]
    return tuple(receipt.txid for receipt in largest)


def _enough(receipts: list[Receipt], asked: int) -> list[Receipt] | None:
    """The first of them that add up; None where all do not."""
    so_far = 0
    for count, receipt in enumerate(receipts, start=1):
        so_far += receipt.amount
        if so_far >= asked:
            return receipts[:count]
    return None
