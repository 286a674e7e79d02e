"""Messages about invoices: how one is asked for, how it stands, and what moved it."""

from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, field

from dovetail.merchant.invoices.credit import PaymentKind
from dovetail.merchant.invoices.invoice import InvoiceException, InvoiceStatus
from dovetail.merchant.invoices.life import Cause
from dovetail.merchant.invoices.payments import PaymentStatus
from dovetail.merchant.messages.base import (
    END,
    Amount,
    Answer,
    Back,
    Count,
    Hex32,
    Line,
    Request,
    Seconds,
    Sum,
)

Currency = Annotated[
    str, Meta(pattern=r"^[A-Z]{3}" + END, description="A currency code (ISO 4217).")
]
Price = Annotated[
    str,
    Meta(
        pattern=r"^(0|[1-9][0-9]{0,14})(\.[0-9]{1,8})?" + END,
        description="A decimal number of at most 8 decimals.",
    ),
]


MAX_METADATA = 10_000
"""Bytes of an invoice's metadata as JSON."""


class NewInvoice(Request, frozen=True, kw_only=True):
    """What an invoice is to ask for: `amount_sats`, or `price` with or without `currency`.

    The store's policy gives all that is left out.
    """

    amount_sats: Amount | None = None
    price: Price | None = None
    """An amount in a currency. The rate is fixed when the invoice is created."""
    currency: Currency | None = None
    """The currency of `price`; None: the store's."""
    label: Line = ""
    """What the customer's wallet shows."""
    order_id: Annotated[Line, Meta(min_length=1)] | None = None
    """The shop's own id of the order."""
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    """Whatever the shop wants to keep with it, up to 10,000 bytes of JSON. It is not searched."""
    redirect_url: Back | None = None
    """Where the customer goes after the payment: a page of the shop, or its app. A wallet on the
    same device opens the app by itself, with proof of the payment (BIP 321, `pop`)."""
    expires_in: Annotated[int, Meta(ge=60, le=30 * 86_400)] | None = None
    """Seconds in which it is to be paid."""


class PayjoinOffer(Answer, frozen=True, kw_only=True):
    """Whether an invoice offers payjoin, and if not, why not."""

    offered: bool
    reason: str | None = None
    """A stable code of the reason why not, such as `no-coin`; None if it is offered."""
    words: str = ""
    """The same for people."""


class Invoice(Answer, frozen=True, kw_only=True):
    """An invoice and where it stands."""

    id: UUID
    store_id: UUID
    status: InvoiceStatus
    exception: InvoiceException
    cause: Cause
    """Why it stands there."""
    amount_sats: Amount
    currency: str | None = None
    price: str | None = None
    rate: str | None = None
    """The price of one bitcoin in the currency, as fixed at the creation."""
    paid_sats: Sum
    """What customers paid in time, at any depth."""
    gained_sats: Sum
    """What the shop has more by it."""
    label: str
    order_id: str | None = None
    metadata: dict[str, Any]
    redirect_url: str | None = None
    checkout_url: str | None = None
    """The page on which the customer pays. None: the server is older than this field."""
    address: str
    payment_uri: str | None = None
    """What to show the customer (BIP 321); it stays the same. None: it is made on the first
    `GET` of the invoice by itself."""
    payjoin: PayjoinOffer
    created_at: Seconds
    expires_at: Seconds
    monitored_until: Seconds
    """Until when payments are waited for and confirmations counted."""
    sequence: Count
    """The number of its latest event."""


class PaymentTransaction(Answer, frozen=True, kw_only=True):
    """One transaction of a payment, as it counts now."""

    txid: Hex32
    kind: PaymentKind
    status: PaymentStatus
    gain_sats: Sum
    """What it brings the shop while it stands."""
    fees_sats: Sum
    """What the shop spends on its fee, of the customer's money."""
    depth: Count
    """Its confirmations."""
    counts: bool
    """Whether it is credited now."""
    first_seen: Seconds
    late: bool
    """Whether it came after the expiration."""


class Payment(Answer, frozen=True, kw_only=True):
    """One payment: all transactions that spend the same coins of a customer, the oldest first."""

    id: Hex32
    """The txid of the first of them. A replacement does not change it."""
    kind: PaymentKind
    """The kind of the transaction that is credited, or else of the first one."""
    status: PaymentStatus
    """The status of the same."""
    value_sats: Sum
    """What the customer pays by what is credited now."""
    transactions: tuple[PaymentTransaction, ...]


class SessionStep(Answer, frozen=True, kw_only=True):
    """One event of a receiver session."""

    number: Count
    kind: str
    """The event's name, such as `PostedProposal`."""
    words: str


class SessionView(Answer, frozen=True, kw_only=True):
    """The payjoin session of an invoice: its timeline, and the reason where there is no payjoin."""

    payjoin: PayjoinOffer
    status: str | None = None
    """A stable code, such as `waiting`; None: there is no session."""
    words: str
    """Where it stands, in a sentence."""
    outcome: str | None = None
    """A stable code of how it ended; None while it is open."""
    reason: str | None = None
    """A stable code why the payment was no payjoin, where that is known."""
    reason_words: str | None = None
    txid: Hex32 | None = None
    """The transaction that was seen or broadcast last."""
    expires_at: Seconds | None = None
    steps: tuple[SessionStep, ...] = ()


class NewMark(Request, frozen=True, kw_only=True):
    """A person's decision about an invoice."""

    settled: bool
    """Whether it counts as settled; else as invalid."""


class CloseRequest(Answer, frozen=True, kw_only=True):
    """A request to close an invoice early. A payment that is under way still counts."""

    asked_at: Seconds
    status_then: InvoiceStatus
    done_at: Seconds | None = None
    result: str | None = None


class Event(Answer, frozen=True, kw_only=True):
    """One step of an invoice's life; webhooks deliver the same."""

    id: UUID
    invoice_id: UUID
    store_id: UUID
    sequence: Annotated[int, Meta(ge=1)]
    """Its number among the invoice's events, without gaps."""
    type: str
    """Such as `invoice.settled`."""
    status: InvoiceStatus
    exception: InvoiceException
    cause: Cause
    at: Seconds
    data: dict[str, Any]
