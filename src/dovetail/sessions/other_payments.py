"""The payments to an address by transactions that are neither payjoin nor fallback."""

from collections.abc import Iterable
from dataclasses import dataclass

from dovetail.bitcoin.transaction import Txid
from dovetail.bitcoin.units import Sats

_NOTHING = Sats(0)
MOST_NAMED = 8
"""The most transactions that are named where all do not add up to the amount asked for."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One transaction that pays the address, its amount, and its depth: 0 in the mempool."""

    txid: Txid
    amount: Sats
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipts:
    """All that other transactions paid to an address: a payment, its parts, or nothing."""

    txids: tuple[Txid, ...] = ()
    """The transactions that make up the payment; the largest ones where they fall short."""
    amount: Sats = _NOTHING
    """The total received, in satoshis."""
    full: bool = False
    """Whether the total is at least the amount asked for."""
    depth: int = 0
    """The depth of the payment, which is that of its shallowest part; 0 where it falls short."""
    beyond: tuple[Txid, ...] = ()
    """The largest of the transactions that came although others make up the payment."""
    rest: int = 0
    """The depth of all that came where it falls short; another transaction may complete it."""

    @property
    def named(self) -> tuple[Txid, ...]:
        """The transactions that are named, the payment and its parts first."""
        return (*self.txids, *self.beyond)

    def counts_from(self, depth: int) -> bool:
        """Whether the payment, or the part of it that came, lies at least that deep."""
        return (self.depth if self.full else self.rest) >= depth

    @classmethod
    def of(cls, found: Iterable[Receipt], *, asked: int | None) -> "Receipts":
        """Add up what was found; where no amount was asked for, any payment is in full.

        Among the ways to make up the amount the deepest counts, and among its parts the largest.
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
    """The first receipts that add up to the amount; None where even all of them do not."""
    so_far = 0
    for count, receipt in enumerate(receipts, start=1):
        so_far += receipt.amount
        if so_far >= asked:
            return receipts[:count]
    return None
