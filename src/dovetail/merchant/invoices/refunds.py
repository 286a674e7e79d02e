"""The rules of a refund: how much may go back, and which step follows which; no I/O (ADR 0062)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from dovetail.bitcoin import Address, Network, Sats, Script, ScriptType, Transaction
from dovetail.errors import UsageError
from dovetail.merchant.invoices.invoice import InvoiceStatus
from dovetail.merchant.invoices.life import InvoiceState

LEAST = Sats(546)
"""The least refund: an output of every standard kind is relayed from this amount on."""

DEEP = 6
"""Confirmations after which a payment is final: the engine looks at it no longer."""

_STANDARD = frozenset(
    {
        ScriptType.P2PKH,
        ScriptType.P2SH,
        ScriptType.P2WPKH,
        ScriptType.P2WSH,
        ScriptType.P2TR,
    }
)


class RefundStatus(StrEnum):
    """Where a refund stands; the values are stable."""

    OPEN = "open"
    """The claim link is out, and the customer has given no address."""
    CLAIMED = "claimed"
    """The customer has given an address, and may change it until the approval."""
    APPROVED = "approved"
    """The shop pays it as soon as it has the coins."""
    QUEUED = "queued"
    """The one transaction is made, and waits at the signer for the owner."""
    PAYING = "paying"
    """The signed transaction is kept, and on its way."""
    PAID = "paid"
    """A block has it."""
    DECLINED = "declined"
    """The shop pays nothing, by a decision of somebody who may approve."""
    CANCELLED = "cancelled"
    """Who asked for it took it back."""
    EXPIRED = "expired"
    """The customer gave no address in time."""
    FAILED = "failed"
    """Its coins were spent otherwise, so that the transaction can never pay."""


class RefundStep(StrEnum):
    """What moves a refund, or made it; the values are stable."""

    CREATE = "create"
    CLAIM = "claim"
    APPROVE = "approve"
    QUEUE = "queue"
    """The transaction is pinned: no other one ever pays this refund, but for a higher fee."""
    SIGN = "sign"
    """The owner has approved it at the signer, and the signed transaction is kept."""
    BUMP = "bump"
    """A transaction with a higher fee takes the first one's place."""
    CONFIRM = "confirm"
    REORGANISE = "reorganise"
    """The block that had it has left the chain."""
    DECLINE = "decline"
    CANCEL = "cancel"
    EXPIRE = "expire"
    FAIL = "fail"


class Move(NamedTuple):
    """From which statuses a step leads to which one."""

    sources: frozenset[RefundStatus]
    target: RefundStatus


_S = RefundStatus
BEFORE_PAYING = frozenset({_S.OPEN, _S.CLAIMED, _S.APPROVED, _S.QUEUED})
"""The statuses in which nothing is signed that somebody keeps: it can still be called off."""

TRANSITIONS: Mapping[RefundStep, Move] = MappingProxyType(
    {
        RefundStep.CLAIM: Move(frozenset({_S.OPEN, _S.CLAIMED}), _S.CLAIMED),
        RefundStep.APPROVE: Move(frozenset({_S.CLAIMED}), _S.APPROVED),
        RefundStep.QUEUE: Move(frozenset({_S.APPROVED}), _S.QUEUED),
        RefundStep.SIGN: Move(frozenset({_S.QUEUED}), _S.PAYING),
        RefundStep.BUMP: Move(frozenset({_S.PAYING}), _S.PAYING),
        RefundStep.CONFIRM: Move(frozenset({_S.PAYING}), _S.PAID),
        RefundStep.REORGANISE: Move(frozenset({_S.PAID}), _S.PAYING),
        RefundStep.DECLINE: Move(BEFORE_PAYING, _S.DECLINED),
        RefundStep.CANCEL: Move(BEFORE_PAYING, _S.CANCELLED),
        RefundStep.EXPIRE: Move(frozenset({_S.OPEN}), _S.EXPIRED),
        RefundStep.FAIL: Move(frozenset({_S.QUEUED, _S.PAYING}), _S.FAILED),
    }
)
"""Every step of a refund that exists; each step that is not here is refused."""

NOTHING_PAID = frozenset({_S.DECLINED, _S.CANCELLED, _S.EXPIRED, _S.FAILED})
"""The statuses in which a refund takes nothing of the credit, for good."""

FINAL = NOTHING_PAID | {_S.PAID}
"""The statuses in which nothing is expected any more, but for a reorganisation."""

_REFUSED: Mapping[RefundStatus, str] = MappingProxyType(
    {
        _S.OPEN: "The customer has given no address yet: send them the claim page.",
        _S.CLAIMED: "The refund is not approved yet: approve it first.",
        _S.APPROVED: "The refund is approved already: decline it, and make another one.",
        _S.QUEUED: "The refund waits at the signer already: decline it, and make another one.",
        _S.PAYING: "The refund is being paid: it cannot be changed now.",
        _S.PAID: "The refund was paid: it cannot be changed.",
        _S.DECLINED: "The refund was declined: make another one.",
        _S.CANCELLED: "The refund was cancelled: make another one.",
        _S.EXPIRED: "The refund has expired: make another one.",
        _S.FAILED: "The refund's payment has failed: make another one.",
    }
)


class RefundRefused(UsageError):
    """The rules of refunds do not allow it; the sentence says what to do."""


class StepRefused(RefundRefused):
    """As the refund stands, the step does not follow."""


class NotCovered(StepRefused):
    """The invoice's credit does not cover its refunds now."""


def after(status: RefundStatus, step: RefundStep) -> RefundStatus:
    """Return where a step leads from here; raises `StepRefused` for one that does not follow."""
    move = TRANSITIONS.get(step)
    if move is None or status not in move.sources:
        raise StepRefused(_REFUSED[status])
    return move.target


@dataclass(frozen=True, slots=True)
class Taken:
    """What one refund takes of an invoice's credit."""

    status: RefundStatus
    amount: Sats

    @property
    def counts(self) -> bool:
        """Whether it was paid or may still be."""
        return self.status not in NOTHING_PAID


def credited(state: InvoiceState) -> Sats:
    """Return what customers have paid for good: in time or late, and deep enough.

    A payment without a confirmation counts never: its sender can take it back, and the refund
    would be a gift.
    """
    depth = max(1, state.depth)
    return Sats.sum(each.value for each in state.counted if each.depth >= depth)


def refundable(state: InvoiceState, taken: Iterable[Taken]) -> Sats:
    """Return what may still be refunded: the credit without all refunds that are open or paid."""
    left = int(credited(state)) - sum(int(each.amount) for each in taken if each.counts)
    return Sats(max(0, left))


def is_covered(state: InvoiceState, taken: Iterable[Taken]) -> bool:
    """Whether the credit covers all refunds: a reorganisation may have taken it away."""
    return int(credited(state)) >= sum(int(each.amount) for each in taken if each.counts)


def amount_of(
    state: InvoiceState, asked: Sats, taken: Iterable[Taken], wanted: Sats | None
) -> Sats:
    """Return the amount of a new refund; `asked` is the invoice's, and `wanted` None the usual one.

    The usual one is what was paid too much where the invoice is settled, and all that is left of
    the credit where it expired or is invalid. The customer gets the whole amount: the shop pays the
    miner's fee. Raises `RefundRefused`.
    """
    left = refundable(state, taken)
    amount = _usual(state, asked, left) if wanted is None else wanted
    if amount > left:
        raise RefundRefused(
            f"Only {int(left):,} sats can be refunded: that much is confirmed, and no other refund"
            " has it. Name a smaller amount."
        )
    if amount < LEAST:
        raise RefundRefused(
            f"A refund is at least {int(LEAST):,} sats: nodes relay no smaller payment."
        )
    return amount


def _usual(state: InvoiceState, asked: Sats, left: Sats) -> Sats:
    if state.status in (InvoiceStatus.EXPIRED, InvoiceStatus.INVALID):
        return left
    over = int(credited(state)) - int(asked)
    if state.status is not InvoiceStatus.SETTLED or over <= 0:
        raise RefundRefused("The customer has not paid too much: name the amount to refund.")
    return min(left, Sats(over))


def payable(text: str, network: Network, amount: Sats) -> Address:
    """Return the address of a claim; raises `RefundRefused` for one that cannot be paid.

    It must be of the shop's network and of a usual kind, and nodes must relay the amount to it.
    """
    try:
        address = Address.parse(text)
    except ValueError:
        raise RefundRefused("This is no Bitcoin address: copy it again from your wallet.") from None
    if not address.is_for(network):
        raise RefundRefused(f"The address is not for {network}: give one of that network.")
    script = address.script_pubkey
    if script.type not in _STANDARD:
        raise RefundRefused("This kind of address cannot be paid here: give another one.")
    if amount < script.dust_limit:
        raise RefundRefused("The amount is too small for this kind of address: give another one.")
    return address


def require_replacement(before: Transaction, after_: Transaction, change: Script | None) -> None:
    """Raise `RefundRefused` unless one transaction only raises the other's fee.

    Both spend the same coins, so that at most one is ever mined, and pay the same to everybody but
    to the change, which pays the difference.
    """
    same = [each for each in before.outputs if each.script_pubkey != change]
    if set(before.contested()) != set(after_.contested()) or same != [
        each for each in after_.outputs if each.script_pubkey != change
    ]:
        raise RefundRefused("A higher fee must leave the coins and the recipient as they are.")
    if Sats.sum(each.value for each in after_.outputs) >= Sats.sum(
        each.value for each in before.outputs
    ):
        raise RefundRefused("A replacement must pay a higher fee than the one before.")
