"""The life of an invoice: where it stands, as a function of all that is recorded (ADR 0055).

The record has the terms, the negotiations, the looks at the chain and the marks by hand. Each only
grows. `state_of` reads the record and the clock; nothing else decides a status.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum

from dovetail.bitcoin import Sats, UnixTime
from dovetail.merchant.invoices.credit import PaymentKind
from dovetail.merchant.invoices.invoice import (
    Invoice,
    InvoiceException,
    InvoiceStatus,
    Mark,
    last_mark,
)
from dovetail.merchant.invoices.negotiation import Negotiation
from dovetail.merchant.invoices.payments import Payment, Payments, PaymentTransaction, spent_by


class Cause(StrEnum):
    """Why an invoice stands where it does, or what moved it; the values are stable."""

    WAITING = "waiting"
    """Nothing has come yet, and there is time."""
    PAYMENT_SEEN = "payment-seen"
    CONFIRMED = "confirmed"
    """The payment is deep enough."""
    ACCEPTED_UNCONFIRMED = "accepted-unconfirmed"
    """The payment was seen, and the terms ask for no confirmation."""
    UNDERPAID = "underpaid"
    COMPLETED = "completed"
    """Several payments are enough together."""
    OVERPAID = "overpaid"
    PAID_TWICE = "paid-twice"
    """There are several payments, and one of them is enough alone: two customers may have paid."""
    DIRECT_BESIDE_PROPOSAL = "direct-beside-proposal"
    """The address was paid directly while a proposal is out, which may be paid too."""
    PAID_LATE = "paid-late"
    EXPIRED_UNPAID = "expired-unpaid"
    FALLBACK_DUE = "fallback-due"
    """The invoice expired with a fallback in hand, which the policy broadcasts."""
    FALLBACK_HELD = "fallback-held"
    """The invoice expired with a fallback in hand, about which a person decides."""
    NOT_CONFIRMED = "not-confirmed"
    """The monitoring ended before the payment was deep enough."""
    REPLACED = "replaced"
    """Another transaction spent the coins of a payment."""
    GONE = "gone"
    """A payment left the mempool."""
    REORGANISED = "reorganised"
    """A payment's block left the chain."""
    MARKED_SETTLED = "marked-settled"
    MARKED_INVALID = "marked-invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """The satoshis that an invoice has, by the last look at the chain."""

    gained: Sats
    """What the shop has more by all that stands, in time or late, at any depth."""
    paid: Sats
    """What customers paid in time, at any depth, the shop's part of payjoins' fees included."""
    confirmed: Sats
    """The part of `paid` that is deep enough."""
    late: Sats
    """What customers paid after the expiration, at any depth."""

    @classmethod
    def of(cls, counted: Collection[PaymentTransaction], *, depth: int) -> "Credit":
        """Add up the transactions that are credited."""
        in_time = [each for each in counted if not each.late]
        return cls(
            gained=Sats.sum(each.gain for each in counted),
            paid=Sats.sum(each.value for each in in_time),
            confirmed=Sats.sum(each.value for each in in_time if each.depth >= depth),
            late=Sats.sum(each.value for each in counted if each.late),
        )

    @property
    def total(self) -> Sats:
        """All that customers paid."""
        return self.paid + self.late


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceState:
    """Where an invoice stands, why, and what it has."""

    status: InvoiceStatus
    exception: InvoiceException
    cause: Cause
    by_record: Cause
    """The cause without a person's decision."""
    credit: Credit
    payments: tuple[Payment, ...]
    depth: int
    """The confirmations that its terms ask for."""
    fallback_due: Negotiation | None = None
    """The fallback to broadcast now, by the policy, as too little has come else: one at most (M4).
    Its session looks at the chain first, and gives a proposal that is out its grace."""
    mark: Mark | None = None

    @property
    def counted(self) -> tuple[PaymentTransaction, ...]:
        """The transactions that are credited now."""
        return tuple(each for payment in self.payments for each in payment.counted)

    @property
    def words(self) -> tuple[InvoiceStatus, InvoiceException, Cause]:
        """What is told of it in three words."""
        return self.status, self.exception, self.cause


def state_of(
    invoice: Invoice,
    payments: Payments,
    negotiations: Collection[Negotiation] = (),
    marks: Collection[Mark] = (),
    *,
    now: UnixTime,
) -> InvoiceState:
    """Where an invoice stands at `now`, by its whole record.

    The order of looks, negotiations and marks does not matter. `SETTLED` ends by a mark, or where
    the chain takes the money back: by a reorganisation, or where no confirmation is asked for by
    the loss of an unconfirmed payment.
    """
    records = payments.records(invoice, negotiations)
    counted = tuple(each for payment in records for each in payment.counted)
    credit = Credit.of(counted, depth=invoice.depth)
    waiting = _waiting(payments, negotiations)
    due: Negotiation | None = None
    if credit.paid >= invoice.enough:
        status, cause = _paid(invoice, records, credit, waiting, now)
        over = credit.total > invoice.amount
        exception = InvoiceException.OVER if over else InvoiceException.NONE
    else:
        in_hand = _in_hand(invoice, credit, waiting, now)
        if in_hand and invoice.broadcasts_fallback and now < invoice.monitored_until:
            due = in_hand[0]
        status, cause = _unpaid(invoice, credit, in_hand, due, now)
        exception = _short(invoice, credit)
    state = InvoiceState(
        status=status,
        exception=exception,
        cause=cause,
        by_record=cause,
        credit=credit,
        payments=records,
        depth=invoice.depth,
        fallback_due=due,
    )
    mark = last_mark(marks)
    return state if mark is None else _marked(state, mark)


def _marked(state: InvoiceState, mark: Mark) -> InvoiceState:
    """The same once a person has decided: what came is still told, and nothing is due."""
    return replace(
        state,
        status=mark.status,
        exception=InvoiceException.MARKED,
        cause=Cause.MARKED_SETTLED if mark.settled else Cause.MARKED_INVALID,
        fallback_due=None,
        mark=mark,
    )


def _waiting(payments: Payments, negotiations: Collection[Negotiation]) -> tuple[Negotiation, ...]:
    """The negotiations of which no coin is spent: fallback and payjoin may still come."""
    spent = spent_by(payments.found)
    return tuple(
        sorted(
            (each for each in negotiations if spent.isdisjoint(each.coins)),
            key=lambda each: (each.received_at, each.fallback),
        )
    )


def _in_hand(
    invoice: Invoice, credit: Credit, waiting: tuple[Negotiation, ...], now: UnixTime
) -> tuple[Negotiation, ...]:
    """The fallbacks that were handed over in time, and are undecided now that time is up.

    None is where enough has come late: the customer would pay twice (M4).
    """
    if now < invoice.expires_at or credit.total >= invoice.enough:
        return ()
    return tuple(each for each in waiting if each.held and each.received_at < invoice.expires_at)


def _paid(
    invoice: Invoice,
    records: tuple[Payment, ...],
    credit: Credit,
    waiting: tuple[Negotiation, ...],
    now: UnixTime,
) -> tuple[InvoiceStatus, Cause]:
    """The status of an invoice to which enough came in time, and why."""
    cause = _why_paid(invoice, records, credit, waiting)
    if credit.confirmed >= invoice.enough:
        return InvoiceStatus.SETTLED, cause or settled_by(invoice.depth)
    if now >= invoice.monitored_until:
        return InvoiceStatus.INVALID, Cause.NOT_CONFIRMED
    return InvoiceStatus.PROCESSING, cause or Cause.PAYMENT_SEEN


def _why_paid(
    invoice: Invoice,
    records: tuple[Payment, ...],
    credit: Credit,
    waiting: tuple[Negotiation, ...],
) -> Cause | None:
    """What is particular about the payments; None: one payment of the amount that was asked."""
    values = [
        Sats.sum(each.value for each in record.counted) for record in records if record.counted
    ]
    if len(values) > 1 and max(values) >= invoice.enough:
        return Cause.PAID_TWICE
    if credit.total > invoice.amount:
        return Cause.OVERPAID
    direct = any(each.kind is PaymentKind.DIRECT for record in records for each in record.counted)
    if direct and any(each.pin is not None for each in waiting):
        return Cause.DIRECT_BESIDE_PROPOSAL
    return Cause.COMPLETED if len(values) > 1 else None


def settled_by(depth: int) -> Cause:
    """Why a payment settles that is as deep as the terms ask for."""
    return Cause.CONFIRMED if depth else Cause.ACCEPTED_UNCONFIRMED


def _unpaid(
    invoice: Invoice,
    credit: Credit,
    in_hand: tuple[Negotiation, ...],
    due: Negotiation | None,
    now: UnixTime,
) -> tuple[InvoiceStatus, Cause]:
    """The status of an invoice to which too little came in time, and why."""
    if now < invoice.expires_at:
        return InvoiceStatus.NEW, Cause.UNDERPAID if credit.total else Cause.WAITING
    if due is not None:
        return InvoiceStatus.PROCESSING, Cause.FALLBACK_DUE
    if in_hand:
        return InvoiceStatus.EXPIRED, Cause.FALLBACK_HELD
    if credit.late:
        return InvoiceStatus.EXPIRED, Cause.PAID_LATE
    return InvoiceStatus.EXPIRED, Cause.UNDERPAID if credit.paid else Cause.EXPIRED_UNPAID


def _short(invoice: Invoice, credit: Credit) -> InvoiceException:
    """The exception of an invoice to which too little came in time."""
    if credit.total >= invoice.enough:
        return InvoiceException.LATE
    return InvoiceException.PAID_PARTIALLY if credit.total else InvoiceException.NONE
