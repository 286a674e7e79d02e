"""The steps of an invoice's life: two states compared, and what happened between them named."""

from collections.abc import Iterable
from dataclasses import dataclass

from dovetail.merchant.invoices.invoice import InvoiceStatus
from dovetail.merchant.invoices.life import Cause, InvoiceState, settled_by
from dovetail.merchant.invoices.payments import PaymentStatus, PaymentTransaction


@dataclass(frozen=True, slots=True)
class Change:
    """A step of an invoice's life, and what made it."""

    before: InvoiceState | None
    """None: the invoice was created."""
    after: InvoiceState
    cause: Cause


def change_between(before: InvoiceState | None, after: InvoiceState) -> Change | None:
    """The change from a state of an invoice to a later one; None where nothing is to be told.

    To be told are status, exception and cause, the credit, the transactions that it is from, those
    of them that came late and are confirmed, and a person's decision.
    """
    if before is not None and _told(before) == _told(after):
        return None
    return Change(before, after, _cause(before, after))


def _told(state: InvoiceState) -> tuple[object, ...]:
    late = {each.txid for each in state.counted if each.late and each.is_deep(state.depth)}
    return (*state.words, state.credit, {each.txid for each in state.counted}, late, state.mark)


def _cause(before: InvoiceState | None, after: InvoiceState) -> Cause:
    """What happened: a person's decision, a settlement, a loss, or else why it stands there."""
    if before is None or before.mark != after.mark:
        return after.cause
    settled = InvoiceStatus.SETTLED
    if after.status is settled and before.status is not settled:
        return settled_by(after.depth)
    return _loss(before, after) or after.by_record


def _loss(before: InvoiceState, after: InvoiceState) -> Cause | None:
    """How the chain took away what was credited before, or its depth; None: it did not."""
    now = {each.txid: each for payment in after.payments for each in payment.transactions}
    pairs = [(each, now[each.txid]) for each in before.counted if each.txid in now]
    if any(_receded(each, then, after.depth) for each, then in pairs):
        return Cause.REORGANISED
    lost = [then for _, then in pairs if not then.counts]
    return _taken_by(lost) if lost else None


def _receded(before: PaymentTransaction, then: PaymentTransaction, depth: int) -> bool:
    """Whether a reorganisation took a transaction's block, or the depth that is asked for."""
    return then.depth < min(before.depth, max(depth, 1))


def _taken_by(lost: Iterable[PaymentTransaction]) -> Cause:
    if any(each.status is PaymentStatus.REPLACED for each in lost):
        return Cause.REPLACED
    return Cause.GONE
