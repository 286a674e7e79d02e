"""Messages of the Greenfield API, with its names: what is asked for, and what is answered.

A request may have fields that are not named here; they change nothing. Amounts in answers are
decimal text in the currency that is named beside them.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

SpeedPolicy = Literal["HighSpeed", "MediumSpeed", "LowMediumSpeed", "LowSpeed"]


class Asked(Struct, frozen=True, kw_only=True, rename="camel"):
    """A request's body; the repr shows no field (P4)."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Told(Struct, frozen=True, kw_only=True, rename="camel"):
    """An answer's body; the repr shows no field (P4)."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Checkout(Asked, frozen=True, kw_only=True):
    """What an invoice asks for beside its amount; None: as the store has it."""

    speed_policy: SpeedPolicy | None = None
    payment_methods: list[str] | None = None
    default_payment_method: str | None = None
    expiration_minutes: Decimal | None = None
    monitoring_minutes: Decimal | None = None
    payment_tolerance: Decimal | None = None
    """Percent."""
    redirect_url: str | None = field(default=None, name="redirectURL")


class NewInvoice(Asked, frozen=True, kw_only=True):
    """An invoice that is to be made."""

    amount: Decimal | None = None
    currency: str | None = None
    """None: the store's."""
    metadata: dict[str, Any] | None = None
    checkout: Checkout | None = None


class ChangedInvoice(Asked, frozen=True, kw_only=True):
    """What of an invoice is to be otherwise from now on."""

    metadata: dict[str, Any] | None = None
    """In place of all that it had; None: nothing changes."""


class NewStatus(Asked, frozen=True, kw_only=True):
    """A person's decision about an invoice."""

    status: str
    """`Settled` or `Invalid`, in capitals or not."""


class NewRefund(Asked, frozen=True, kw_only=True):
    """A refund that is to be made of an invoice."""

    name: str | None = None
    description: str | None = None
    payment_method: str | None = None
    payout_method_id: str | None = None
    refund_variant: (
        Literal["RateThen", "CurrentRate", "OverpaidAmount", "Fiat", "Custom"] | None
    ) = None
    subtract_percentage: Decimal | None = None
    custom_amount: Decimal | None = None
    custom_currency: str | None = None


class NewPullPayment(Asked, frozen=True, kw_only=True):
    """A pull payment that is to be made; its name tells the order whose invoice it refunds."""

    name: str = ""
    description: str | None = None
    amount: Decimal
    currency: str
    period: int | None = None
    starts_at: int | None = None
    expires_at: int | None = None
    auto_approve_claims: bool | None = None
    payment_methods: list[str] | None = None
    payout_methods: list[str] | None = None


class AuthorizedEvents(Asked, frozen=True, kw_only=True):
    """Which events an endpoint hears of."""

    everything: bool = True
    specific_events: list[str] = field(default_factory=list[str])


class NewWebhook(Asked, frozen=True, kw_only=True):
    """An endpoint that is to hear of a store's invoices, or how one is to be from now on."""

    url: str
    enabled: bool = True
    authorized_events: AuthorizedEvents = AuthorizedEvents()
    secret: Annotated[str, Meta(max_length=200)] | None = None


class CheckoutView(Told, frozen=True, kw_only=True):
    """The terms of an invoice."""

    speed_policy: SpeedPolicy
    payment_methods: tuple[str, ...]
    default_payment_method: str
    expiration_minutes: int
    monitoring_minutes: int
    payment_tolerance: float
    redirect_url: str | None = field(default=None, name="redirectURL")
    redirect_automatically: bool = False
    lazy_payment_methods: bool = False
    default_language: str | None = None


class Invoice(Told, frozen=True, kw_only=True):
    """An invoice and where it stands."""

    id: str
    store_id: str
    amount: str
    paid_amount: str
    currency: str
    type: str = "Standard"
    checkout_link: str
    created_time: int
    expiration_time: int
    monitoring_expiration: int
    monitoring_time: int
    """The same, under the name of earlier releases."""
    status: str
    additional_status: str
    available_statuses_for_manual_marking: tuple[str, ...]
    archived: bool
    metadata: dict[str, Any]
    checkout: CheckoutView


class InvoicePaymentMethod(Told, frozen=True, kw_only=True):
    """What came for an invoice on the chain, in bitcoins."""

    payment_method_id: str
    payment_method: str
    """The same, under the name of earlier releases."""
    currency: str = "BTC"
    crypto_code: str = "BTC"
    destination: str
    payment_link: str | None
    rate: str
    payment_method_paid: str
    total_paid: str
    due: str
    """Less than 0 where too much came."""
    amount: str
    payment_method_fee: str = "0"
    network_fee: str = "0"
    payments: tuple[dict[str, Any], ...]
    activated: bool = True
    additional_data: dict[str, Any]


class StorePaymentMethod(Told, frozen=True, kw_only=True):
    """How a store is paid."""

    payment_method_id: str
    crypto_code: str = "BTC"
    """What it is paid in, which earlier releases told."""
    enabled: bool = True


class Store(Told, frozen=True, kw_only=True):
    """A store; times are in seconds, and the tolerance is in percent."""

    id: str
    name: str
    website: str | None = None
    default_currency: str
    invoice_expiration: int
    monitoring_expiration: int
    speed_policy: SpeedPolicy
    payment_tolerance: float
    default_payment_method: str
    default_lang: str = "en"
    network_fee_mode: str = "Never"
    pay_join_enabled: bool = True
    anyone_can_create_invoice: bool = False
    requires_refund_email: bool = False
    lightning_amount_in_satoshi: bool = False
    lightning_private_route_hints: bool = False
    on_chain_with_ln_invoice_fallback: bool = False
    redirect_automatically: bool = False
    show_recommended_fee: bool = False
    recommended_fee_block_target: int = 1
    lazy_payment_methods: bool = False
    archived: bool


class WebhookEvents(Told, frozen=True, kw_only=True):
    """Which events an endpoint hears of."""

    everything: bool
    specific_events: tuple[str, ...]


class Webhook(Told, frozen=True, kw_only=True, omit_defaults=True):
    """An endpoint; `secret` is told when it is made, and never again."""

    id: str
    enabled: bool
    automatic_redelivery: bool
    url: str
    authorized_events: WebhookEvents
    secret: str | None = None


class Delivery(Told, frozen=True, kw_only=True):
    """One event on its way to an endpoint."""

    id: str
    timestamp: int
    http_code: int | None
    error_message: str | None
    status: Literal["Pending", "HttpSuccess", "HttpError", "Failed"]


class PullPayment(Told, frozen=True, kw_only=True):
    """A refund, which its customer claims at `view_link`."""

    id: str
    name: str
    description: str
    currency: str = "BTC"
    amount: str
    period: int | None = None
    bolt11_expiration: str = field(default="0", name="BOLT11Expiration")
    auto_approve_claims: bool = False
    starts_at: int
    expires_at: int
    archived: bool = False
    view_link: str


class ApiKey(Told, frozen=True, kw_only=True):
    """The key that asks, as it was sent."""

    api_key: str
    label: str
    permissions: tuple[str, ...]


class SyncStatus(Told, frozen=True, kw_only=True):
    """How the chain is seen."""

    payment_method_id: str
    crypto_code: str = "BTC"
    available: bool


class ServerInfo(Told, frozen=True, kw_only=True):
    """What the server is."""

    version: str
    """The release of BTCPay Server whose API is spoken."""
    onion: str | None = None
    supported_payment_methods: tuple[str, ...]
    fully_synched: bool
    sync_status: tuple[SyncStatus, ...]


class ValidationError(Told, frozen=True, kw_only=True):
    """A field of a request that is wrong."""

    path: str
    message: str


class Problem(Told, frozen=True, kw_only=True):
    """Why a request was refused or failed."""

    code: str
    message: str
