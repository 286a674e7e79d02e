"""What the shopkeeper reads for the codes of the shop."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from dovetail.merchant.data.sign_ins import Way
from dovetail.merchant.invoices.credit import PaymentKind
from dovetail.merchant.invoices.invoice import InvoiceException, InvoiceStatus
from dovetail.merchant.invoices.life import Cause
from dovetail.merchant.invoices.payments import PaymentStatus
from dovetail.merchant.invoices.refunds import RefundStatus, RefundStep
from dovetail.merchant.messages import Role


class Badge(NamedTuple):
    """A word and its tone: good, open, bad, or none."""

    words: str
    tone: str


STATUSES: Mapping[InvoiceStatus, Badge] = MappingProxyType(
    {
        InvoiceStatus.NEW: Badge("Waiting", ""),
        InvoiceStatus.PROCESSING: Badge("Processing", "open"),
        InvoiceStatus.SETTLED: Badge("Settled", "good"),
        InvoiceStatus.EXPIRED: Badge("Expired", ""),
        InvoiceStatus.INVALID: Badge("Invalid", "bad"),
    }
)

EXCEPTIONS: Mapping[InvoiceException, Badge] = MappingProxyType(
    {
        InvoiceException.NONE: Badge("", ""),
        InvoiceException.PAID_PARTIALLY: Badge("Paid partially", "bad"),
        InvoiceException.LATE: Badge("Paid late", "bad"),
        InvoiceException.OVER: Badge("Overpaid", "open"),
        InvoiceException.MARKED: Badge("By hand", ""),
    }
)

CAUSES: Mapping[Cause, str] = MappingProxyType(
    {
        Cause.WAITING: "Nothing has come yet, and there is time.",
        Cause.PAYMENT_SEEN: "Enough has come. It waits for its confirmations.",
        Cause.CONFIRMED: "The payment has all its confirmations.",
        Cause.ACCEPTED_UNCONFIRMED: "The payment was seen. The store's terms ask for no more.",
        Cause.UNDERPAID: "Less came than was asked for.",
        Cause.COMPLETED: "Several payments are enough together.",
        Cause.OVERPAID: "More came than was asked for. You can send the rest back.",
        Cause.PAID_TWICE: "Two payments came, and one was enough. Look whether to send one back.",
        Cause.DIRECT_BESIDE_PROPOSAL: "The address was paid directly while a payjoin is under way."
        " The payjoin may come, too.",
        Cause.PAID_LATE: "The payment came after the time was over. Decide whether it counts.",
        Cause.EXPIRED_UNPAID: "Nothing came in time.",
        Cause.FALLBACK_DUE: "Time is up. The ordinary payment that the customer signed is sent.",
        Cause.FALLBACK_HELD: "Time is up, and the shop holds a payment that the customer signed."
        " Decide whether to send it.",
        Cause.NOT_CONFIRMED: "The payment had too few confirmations when its time was over.",
        Cause.REPLACED: "The customer has spent the coins of the payment otherwise.",
        Cause.GONE: "The payment has left the waiting transactions of the network.",
        Cause.REORGANISED: "The block with the payment has left the chain.",
        Cause.MARKED_SETTLED: "Somebody of the shop has decided that it is settled.",
        Cause.MARKED_INVALID: "Somebody of the shop has decided that it is invalid.",
    }
)

EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "invoice.created": "Created",
        "invoice.changed": "Changed",
        "invoice.new": "Waiting again",
        "invoice.processing": "Payment received",
        "invoice.settled": "Settled",
        "invoice.expired": "Expired",
        "invoice.invalid": "Invalid",
        "refund.created": "Refund asked for",
        "refund.claimed": "Refund: address given",
        "refund.approved": "Refund approved",
        "refund.queued": "Refund waits at the signer",
        "refund.paying": "Refund sent",
        "refund.paid": "Refund confirmed",
        "refund.declined": "Refund declined",
        "refund.cancelled": "Refund taken back",
        "refund.expired": "Refund expired",
        "refund.failed": "Refund failed",
    }
)

KINDS: Mapping[PaymentKind, str] = MappingProxyType(
    {
        PaymentKind.PAYJOIN: "Payjoin",
        PaymentKind.FALLBACK: "Ordinary payment, handed over for a payjoin",
        PaymentKind.DIRECT: "Ordinary payment",
        PaymentKind.UNRECOGNIZED: "Pays this invoice nothing",
    }
)

PAYMENTS: Mapping[PaymentStatus, Badge] = MappingProxyType(
    {
        PaymentStatus.SEEN: Badge("Seen", "open"),
        PaymentStatus.CONFIRMED: Badge("Confirmed", "good"),
        PaymentStatus.REPLACED: Badge("Replaced", "bad"),
        PaymentStatus.REORGANISED: Badge("Left the chain", "bad"),
        PaymentStatus.GONE: Badge("Gone", "bad"),
    }
)

REFUNDS: Mapping[RefundStatus, Badge] = MappingProxyType(
    {
        RefundStatus.OPEN: Badge("Waits for the customer", "open"),
        RefundStatus.CLAIMED: Badge("Waits for approval", "open"),
        RefundStatus.APPROVED: Badge("Approved", "open"),
        RefundStatus.QUEUED: Badge("Waits at the signer", "open"),
        RefundStatus.PAYING: Badge("On its way", "open"),
        RefundStatus.PAID: Badge("Paid", "good"),
        RefundStatus.DECLINED: Badge("Declined", ""),
        RefundStatus.CANCELLED: Badge("Taken back", ""),
        RefundStatus.EXPIRED: Badge("Expired", ""),
        RefundStatus.FAILED: Badge("Failed", "bad"),
    }
)

STEPS: Mapping[RefundStep, str] = MappingProxyType(
    {
        RefundStep.CREATE: "Asked for",
        RefundStep.CLAIM: "Address given",
        RefundStep.APPROVE: "Approved",
        RefundStep.QUEUE: "Handed to the signer",
        RefundStep.SIGN: "Signed",
        RefundStep.BUMP: "Sent again with a higher fee",
        RefundStep.CONFIRM: "Confirmed",
        RefundStep.REORGANISE: "Its block has left the chain",
        RefundStep.DECLINE: "Declined",
        RefundStep.CANCEL: "Taken back",
        RefundStep.EXPIRE: "Expired",
        RefundStep.FAIL: "Failed",
    }
)

DELIVERIES: Mapping[str, Badge] = MappingProxyType(
    {
        "pending": Badge("Waits", "open"),
        "accepted": Badge("Accepted", "good"),
        "given-up": Badge("Given up", "bad"),
        "cancelled": Badge("Cancelled", ""),
    }
)

ROLES: Mapping[Role, str] = MappingProxyType(
    {
        Role.OWNER: "Owner: may do everything",
        Role.MANAGER: "Manager: may handle invoices, refunds and webhooks",
        Role.VIEWER: "Viewer: may look, and change nothing",
    }
)

WAYS: Mapping[Way | None, str] = MappingProxyType(
    {
        None: "",
        Way.PASSWORD: "by password",
        Way.CODE: "by password and code",
        Way.PASSKEY: "by passkey",
    }
)
