"""Messages about refunds."""

from enum import StrEnum
from uuid import UUID

from dovetail.merchant.messages.base import Amount, Answer, Hex32, Request, Seconds


class RefundStatus(StrEnum):
    """Where a refund stands; the values are stable."""

    OPEN = "open"
    """The customer has not given an address yet."""
    CLAIMED = "claimed"
    """There is an address; the owner has to approve."""
    APPROVED = "approved"
    PAID = "paid"
    DECLINED = "declined"


class NewRefund(Request, frozen=True, kw_only=True):
    """A refund that is to be offered to the customer of an invoice."""

    amount_sats: Amount


class Refund(Answer, frozen=True, kw_only=True):
    """A refund."""

    id: UUID
    invoice_id: UUID
    amount_sats: Amount
    status: RefundStatus
    address: str | None = None
    """The customer's."""
    asked_by: str
    approved_by: str | None = None
    txid: Hex32 | None = None
    created_at: Seconds
    claim_token: str | None = None
    """What lets the customer give an address; it is told only when the refund is made."""
