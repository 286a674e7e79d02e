"""Messages about refunds: how one is asked for, how it stands, and what its customer sees."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta

from dovetail.merchant.invoices.refunds import RefundStatus, RefundStep
from dovetail.merchant.messages.base import (
    Amount,
    Answer,
    Count,
    Hex32,
    Line,
    Request,
    Seconds,
)

_DAY = 86_400

ClaimAddress = Annotated[
    str, Meta(min_length=1, max_length=120, description="A Bitcoin address of the customer's.")
]


class NewRefund(Request, frozen=True, kw_only=True):
    """A refund that is to be made."""

    amount_sats: Amount | None = None
    """What the customer gets; None: what was paid too much, or all of an invoice that expired or
    is invalid. The shop pays the miner's fee."""
    reason: Line = ""
    """For the shop alone: the customer does not see it."""
    expires_in: Annotated[int, Meta(ge=3600, le=365 * _DAY)] = 30 * _DAY
    """Seconds in which the customer may give an address."""


class RefundEntry(Answer, frozen=True, kw_only=True):
    """One step of a refund."""

    number: Count
    step: RefundStep
    status: RefundStatus
    """Where it stood then."""
    who: str
    at: Seconds


class Refund(Answer, frozen=True, kw_only=True):
    """A refund and where it stands."""

    id: UUID
    invoice_id: UUID
    store_id: UUID
    status: RefundStatus
    amount_sats: Amount
    reason: str = ""
    address: str | None = None
    """Where the customer wants to be paid."""
    created_at: Seconds
    expires_at: Seconds
    """Until when the customer may give an address."""
    asked_by: str
    decided_by: str | None = None
    txid: Hex32 | None = None
    """The transaction that pays it; a higher fee may put another one in its place until it is
    confirmed."""
    confirmations: Count = 0
    """Those of the last look, up to 6."""
    trouble: str | None = None
    """A stable code of what keeps it from being paid, such as `no-coins`."""
    trouble_words: str = ""
    """The same for people, and what to do."""
    claim_token: str | None = None
    """The secret of the customer's claim link; it is told only when the refund is made. If it is
    lost, cancel the refund and make another one."""
    claim_url: str | None = None
    """The customer's claim link itself, told like its secret."""
    steps: tuple[RefundEntry, ...] = ()
    """What happened to it, where it was asked for by itself."""


class NewClaim(Request, frozen=True, kw_only=True):
    """The customer's address."""

    address: ClaimAddress


class Claim(Answer, frozen=True, kw_only=True):
    """What the holder of a claim link sees: nothing of the invoice."""

    store: str
    """The shop's name."""
    network: str
    """The Bitcoin network of the address to give."""
    amount_sats: Amount
    status: RefundStatus
    expires_at: Seconds
    txid: Hex32 | None = None
    """The transaction that pays it, once it is on its way."""
