"""The payments of an invoice: each transaction that was seen, and one record for the same coins.

Transactions are never forgotten, and what looks at the chain add only ever grows: the earliest
sight, the latest look, the greatest depth. So looks may come twice, late and in any order, from
several processes, and lead to the same record.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from dovetail.bitcoin import OutPoint, Sats, Transaction, Txid, UnixTime
from dovetail.merchant.invoices.credit import PaymentKind, Worth, contributed, worth_of
from dovetail.merchant.invoices.invoice import Invoice
from dovetail.merchant.invoices.negotiation import Negotiation


class PaymentStatus(StrEnum):
    """Where one transaction stands by the last look; the values are stable."""

    SEEN = "seen"
    """It is in the mempool."""
    CONFIRMED = "confirmed"
    REPLACED = "replaced"
    """Another transaction has spent its coins."""
    REORGANISED = "reorganised"
    """It was in a block that the chain no longer has. It may be in the mempool again."""
    GONE = "gone"
    """It left the mempool, and nothing that was seen has spent its coins."""


@dataclass(frozen=True, slots=True)
class Found:
    """A transaction as a look found it; `depth` is its confirmations, 0 in the mempool."""

    transaction: Transaction
    depth: int
    since: UnixTime | None = None
    """When it is known to have been there: the time of its block, or when a server first saw it.
    Give it, so that a customer does not pay late because the shop was down."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the chain for an invoice, whole: what it does not name is not there.

    It names each transaction, in mempool or block, that pays the invoice's script or a pinned
    one, or spends a coin of a known payment or of a negotiation. `number` orders the looks of an
    invoice, from 1; the store gives it before the chain is asked.
    """

    number: int
    at: UnixTime
    found: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """All that the looks say of one transaction."""

    transaction: Transaction
    first_seen: UnixTime
    look: int
    """The number of the last look that found it."""
    depth: int
    """Its depth in that look."""
    deepest: int
    """Its greatest depth in any look."""

    def merged(self, other: "Seen") -> "Seen":
        """This and another sight of the same transaction."""
        later = max(self, other, key=lambda each: (each.look, each.depth))
        return replace(
            later,
            first_seen=min(self.first_seen, other.first_seen),
            deepest=max(self.deepest, other.deepest),
        )


@dataclass(frozen=True, slots=True)
class PaymentTransaction:
    """One transaction of a payment, as it counts now."""

    txid: Txid
    kind: PaymentKind
    status: PaymentStatus
    gain: Sats
    """What it brings the shop while it stands, in satoshis."""
    fees: Sats
    """What the shop spends on its fee, of the customer's money."""
    depth: int
    """Its confirmations; 0 in the mempool, and where it does not stand."""
    stands: bool
    """Whether the chain or the mempool has it, and nothing deeper spends its coins."""
    first_seen: UnixTime
    late: bool
    """Whether it came after the expiration, and not in the place of one that came before."""

    @property
    def value(self) -> Sats:
        """What the customer pays by it."""
        return self.gain + self.fees

    @property
    def counts(self) -> bool:
        """Whether it is credited now."""
        return self.stands and self.gain > 0

    def is_deep(self, depth: int) -> bool:
        """Whether it is as deep as the terms ask for; one that is late needs a confirmation."""
        return self.depth >= (max(1, depth) if self.late else depth)


@dataclass(frozen=True, slots=True)
class Payment:
    """One record: all transactions that spend the same coins of a customer, the first seen first.

    One of them stands at most, unless one had spent the coins of several and is gone again.
    """

    transactions: tuple[PaymentTransaction, ...]

    @property
    def id(self) -> Txid:
        """The transaction by which it became known; a replacement does not change it."""
        return self.transactions[0].txid

    @property
    def counted(self) -> tuple[PaymentTransaction, ...]:
        """The transactions that are credited now."""
        return tuple(each for each in self.transactions if each.counts)


@dataclass(frozen=True, slots=True)
class Payments:
    """All that was seen for an invoice; grow it with `after`."""

    seen: Mapping[Txid, Seen] = field(default_factory=lambda: MappingProxyType({}))
    looked: int = 0
    """The number of the last look; 0 before the first."""

    def after(self, look: Look) -> "Payments":
        """These payments and one more look, whether it comes in its turn or not."""
        seen = dict(self.seen)
        for found in look.found:
            txid = found.transaction.txid
            since = look.at if found.since is None else min(look.at, found.since)
            sight = Seen(found.transaction, since, look.number, found.depth, found.depth)
            seen[txid] = sight.merged(seen.get(txid, sight))
        return Payments(MappingProxyType(seen), max(self.looked, look.number))

    def records(
        self, invoice: Invoice, negotiations: Collection[Negotiation] = ()
    ) -> tuple[Payment, ...]:
        """All that was seen, as payments of `invoice`, the oldest first; nothing is left out."""
        known = tuple(sorted(self.seen.values(), key=_age))
        worths = {
            each.transaction.txid: worth_of(
                each.transaction, script=invoice.script, negotiations=negotiations
            )
            for each in known
        }
        standing = self._standing(known, worths)
        spent = spent_by(self.seen[txid] for txid in standing)
        judge = _Judge(worths, standing, spent, frozenset(contributed(negotiations)))
        return tuple(
            Payment(tuple(judge.judged(each, group, invoice) for each in group))
            for group in _groups(known, judge)
        )

    @property
    def found(self) -> tuple[Seen, ...]:
        """The transactions that the last look found."""
        return tuple(each for each in self.seen.values() if each.look == self.looked)

    def _standing(self, known: Iterable[Seen], worths: Mapping[Txid, Worth]) -> frozenset[Txid]:
        """The transactions that the last look found, of which no two spend one coin.

        A source that is asked in several calls may name a transaction and its replacement: then
        the deeper one counts, and of two equal ones the one that brings less.
        """
        here = sorted(
            (each for each in known if each.look == self.looked),
            key=lambda each: (-each.depth, worths[each.transaction.txid].gain),
        )
        taken: set[OutPoint] = set()
        standing: set[Txid] = set()
        for each in here:
            spent = each.transaction.contested()
            if taken.isdisjoint(spent):
                taken.update(spent)
                standing.add(each.transaction.txid)
        return frozenset(standing)


@dataclass(frozen=True, slots=True)
class _Judge:
    """What is known of all transactions of an invoice, to judge each."""

    worths: Mapping[Txid, Worth]
    standing: frozenset[Txid]
    spent: frozenset[OutPoint]
    """The outpoints that what stands has spent."""
    contributed: frozenset[OutPoint]

    def coins(self, seen: Seen) -> frozenset[OutPoint]:
        """The customer's coins that a transaction spends: without those that the shop added."""
        return frozenset(seen.transaction.contested()) - self.contributed

    def judged(self, seen: Seen, group: Iterable[Seen], invoice: Invoice) -> PaymentTransaction:
        """A transaction as it counts, beside those that spend the same coins."""
        txid = seen.transaction.txid
        worth = self.worths[txid]
        stands = txid in self.standing
        return PaymentTransaction(
            txid=txid,
            kind=worth.kind,
            status=self._status(seen, stands=stands),
            gain=worth.gain,
            fees=worth.fees,
            depth=seen.depth if stands else 0,
            stands=stands,
            first_seen=self._handed_over(seen),
            late=not self._is_in_time(seen, group, invoice),
        )

    def _status(self, seen: Seen, *, stands: bool) -> PaymentStatus:
        if stands and seen.depth:
            return PaymentStatus.CONFIRMED
        if not stands and not self.spent.isdisjoint(seen.transaction.contested()):
            return PaymentStatus.REPLACED
        if seen.deepest:
            return PaymentStatus.REORGANISED
        return PaymentStatus.SEEN if stands else PaymentStatus.GONE

    def _handed_over(self, seen: Seen) -> UnixTime:
        """When the customer had done their part: posted the Original, or sent the payment."""
        received_at = self.worths[seen.transaction.txid].received_at
        return seen.first_seen if received_at is None else min(seen.first_seen, received_at)

    def _is_in_time(self, seen: Seen, group: Iterable[Seen], invoice: Invoice) -> bool:
        """Whether it came in time, or in the place of one that did and paid no less.

        Else a customer could send one satoshi in time, and decide about the rest at a better rate.
        """
        coins, value = self.coins(seen), self.worths[seen.transaction.txid].value
        return any(
            self._handed_over(each) < invoice.expires_at
            and self.worths[each.transaction.txid].value >= value
            for each in group
            if each is seen or not coins.isdisjoint(self.coins(each))
        )


def spent_by(transactions: Iterable[Seen]) -> frozenset[OutPoint]:
    """The outpoints that these transactions spend."""
    return frozenset(outpoint for each in transactions for outpoint in each.transaction.contested())


def _age(seen: Seen) -> tuple[int, Txid]:
    return seen.first_seen, seen.transaction.txid


def _groups(known: Iterable[Seen], judge: _Judge) -> list[list[Seen]]:
    """The transactions that are linked by customers' coins, each group and all in it by age."""
    groups: dict[Txid, list[Seen]] = {}
    group_of: dict[OutPoint, Txid] = {}
    for each in known:
        linked = {group_of[coin] for coin in judge.coins(each) if coin in group_of}
        group = sorted([each, *(one for txid in linked for one in groups.pop(txid))], key=_age)
        first = group[0].transaction.txid
        groups[first] = group
        group_of.update((coin, first) for one in group for coin in judge.coins(one))
    return sorted(groups.values(), key=lambda group: _age(group[0]))
