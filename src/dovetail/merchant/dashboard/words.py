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
from dovetail.merchant.pages.language import phrase


class Badge(NamedTuple):
    """A word and its tone: good, open, bad, or none."""

    words: str
    tone: str


STATUSES: Mapping[InvoiceStatus, Badge] = MappingProxyType(
    {
        InvoiceStatus.NEW: Badge(phrase("Waiting"), ""),
        InvoiceStatus.PROCESSING: Badge(phrase("Processing"), "open"),
        InvoiceStatus.SETTLED: Badge(phrase("Settled"), "good"),
        InvoiceStatus.EXPIRED: Badge(phrase("Expired"), ""),
        InvoiceStatus.INVALID: Badge(phrase("Invalid"), "bad"),
    }
)

EXCEPTIONS: Mapping[InvoiceException, Badge] = MappingProxyType(
    {
        InvoiceException.NONE: Badge("", ""),
        InvoiceException.PAID_PARTIALLY: Badge(phrase("Paid partially"), "bad"),
        InvoiceException.LATE: Badge(phrase("Paid late"), "bad"),
        InvoiceException.OVER: Badge(phrase("Overpaid"), "open"),
        InvoiceException.MARKED: Badge(phrase("By hand"), ""),
    }
)

CAUSES: Mapping[Cause, str] = MappingProxyType(
    {
        Cause.WAITING: phrase("Nothing has come yet, and there is time."),
        Cause.PAYMENT_SEEN: phrase("Enough has come. It waits for its confirmations."),
        Cause.CONFIRMED: phrase("The payment has all its confirmations."),
        Cause.ACCEPTED_UNCONFIRMED: phrase(
            "The payment was seen. The store's terms ask for no more."
        ),
        Cause.UNDERPAID: phrase("Less came than was asked for."),
        Cause.COMPLETED: phrase("Several payments are enough together."),
        Cause.OVERPAID: phrase("More came than was asked for. You can send the rest back."),
        Cause.PAID_TWICE: phrase(
            "Two payments came, and one was enough. Look whether to send one back."
        ),
        Cause.DIRECT_BESIDE_PROPOSAL: phrase(
            "The address was paid directly while a payjoin is under way. The payjoin may come, too."
        ),
        Cause.PAID_LATE: phrase(
            "The payment came after the time was over. Decide whether it counts."
        ),
        Cause.EXPIRED_UNPAID: phrase("Nothing came in time."),
        Cause.FALLBACK_DUE: phrase(
            "Time is up. The ordinary payment that the customer signed is sent."
        ),
        Cause.FALLBACK_HELD: phrase(
            "Time is up, and the shop holds a payment that the customer signed."
            " Decide whether to send it."
        ),
        Cause.NOT_CONFIRMED: phrase(
            "The payment had too few confirmations when its time was over."
        ),
        Cause.REPLACED: phrase("The customer has spent the coins of the payment otherwise."),
        Cause.GONE: phrase("The payment has left the waiting transactions of the network."),
        Cause.REORGANISED: phrase("The block with the payment has left the chain."),
        Cause.MARKED_SETTLED: phrase("Somebody of the shop has decided that it is settled."),
        Cause.MARKED_INVALID: phrase("Somebody of the shop has decided that it is invalid."),
    }
)

EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "invoice.created": phrase("Created"),
        "invoice.changed": phrase("Changed"),
        "invoice.new": phrase("Waiting again"),
        "invoice.processing": phrase("Payment received"),
        "invoice.settled": phrase("Settled"),
        "invoice.expired": phrase("Expired"),
        "invoice.invalid": phrase("Invalid"),
        "refund.created": phrase("Refund asked for"),
        "refund.claimed": phrase("Refund: address given"),
        "refund.approved": phrase("Refund approved"),
        "refund.queued": phrase("Refund waits at the signer"),
        "refund.paying": phrase("Refund sent"),
        "refund.paid": phrase("Refund confirmed"),
        "refund.declined": phrase("Refund declined"),
        "refund.cancelled": phrase("Refund taken back"),
        "refund.expired": phrase("Refund expired"),
        "refund.failed": phrase("Refund failed"),
    }
)

KINDS: Mapping[PaymentKind, str] = MappingProxyType(
    {
        PaymentKind.PAYJOIN: phrase("Payjoin"),
        PaymentKind.FALLBACK: phrase("Ordinary payment, handed over for a payjoin"),
        PaymentKind.DIRECT: phrase("Ordinary payment"),
        PaymentKind.UNRECOGNIZED: phrase("Pays this invoice nothing"),
    }
)

PAYMENTS: Mapping[PaymentStatus, Badge] = MappingProxyType(
    {
        PaymentStatus.SEEN: Badge(phrase("Seen"), "open"),
        PaymentStatus.CONFIRMED: Badge(phrase("Confirmed"), "good"),
        PaymentStatus.REPLACED: Badge(phrase("Replaced"), "bad"),
        PaymentStatus.REORGANISED: Badge(phrase("Left the chain"), "bad"),
        PaymentStatus.GONE: Badge(phrase("Gone"), "bad"),
    }
)

REFUNDS: Mapping[RefundStatus, Badge] = MappingProxyType(
    {
        RefundStatus.OPEN: Badge(phrase("Waits for the customer"), "open"),
        RefundStatus.CLAIMED: Badge(phrase("Waits for approval"), "open"),
        RefundStatus.APPROVED: Badge(phrase("Approved"), "open"),
        RefundStatus.QUEUED: Badge(phrase("Waits at the signer"), "open"),
        RefundStatus.PAYING: Badge(phrase("On its way"), "open"),
        RefundStatus.PAID: Badge(phrase("Paid"), "good"),
        RefundStatus.DECLINED: Badge(phrase("Declined"), ""),
        RefundStatus.CANCELLED: Badge(phrase("Taken back"), ""),
        RefundStatus.EXPIRED: Badge(phrase("Expired"), ""),
        RefundStatus.FAILED: Badge(phrase("Failed"), "bad"),
    }
)

STEPS: Mapping[RefundStep, str] = MappingProxyType(
    {
        RefundStep.CREATE: phrase("Asked for"),
        RefundStep.CLAIM: phrase("Address given"),
        RefundStep.APPROVE: phrase("Approved"),
        RefundStep.QUEUE: phrase("Handed to the signer"),
        RefundStep.SIGN: phrase("Signed"),
        RefundStep.BUMP: phrase("Sent again with a higher fee"),
        RefundStep.CONFIRM: phrase("Confirmed"),
        RefundStep.REORGANISE: phrase("Its block has left the chain"),
        RefundStep.DECLINE: phrase("Declined"),
        RefundStep.CANCEL: phrase("Taken back"),
        RefundStep.EXPIRE: phrase("Expired"),
        RefundStep.FAIL: phrase("Failed"),
    }
)

DELIVERIES: Mapping[str, Badge] = MappingProxyType(
    {
        "pending": Badge(phrase("Waits"), "open"),
        "accepted": Badge(phrase("Accepted"), "good"),
        "given-up": Badge(phrase("Given up"), "bad"),
        "cancelled": Badge(phrase("Cancelled"), ""),
    }
)

ROLES: Mapping[Role, str] = MappingProxyType(
    {
        Role.OWNER: phrase("Owner: may do everything"),
        Role.MANAGER: phrase("Manager: may handle invoices, refunds and webhooks"),
        Role.VIEWER: phrase("Viewer: may look, and change nothing"),
    }
)

ROLE_NAMES: Mapping[Role, str] = MappingProxyType(
    {
        Role.OWNER: phrase("Owner"),
        Role.MANAGER: phrase("Manager"),
        Role.VIEWER: phrase("Viewer"),
    }
)

WAYS: Mapping[Way | None, str] = MappingProxyType(
    {
        None: "",
        Way.PASSWORD: phrase("by password"),
        Way.CODE: phrase("by password and code"),
        Way.PASSKEY: phrase("by passkey"),
    }
)
