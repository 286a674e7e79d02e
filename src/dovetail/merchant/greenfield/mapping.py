"""Rows of the shop as the Greenfield API shows them."""

from typing import Any

import msgspec

from dovetail.merchant.api.views import checkout_url
from dovetail.merchant.data.deliveries import ACCEPTED, DeliveryRow
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.refunds import RefundRow
from dovetail.merchant.data.stores import StoreRow, Terms, terms_of
from dovetail.merchant.data.webhooks import EndpointRow
from dovetail.merchant.greenfield import messages
from dovetail.merchant.greenfield.amounts import asked_for, paid_for, rate_of
from dovetail.merchant.greenfield.messages import SpeedPolicy
from dovetail.merchant.invoices import btcpay
from dovetail.merchant.invoices.btcpay import BTC
from dovetail.merchant.invoices.life import InvoiceState
from dovetail.merchant.webhooks.btcpay_body import PAYMENT_METHOD, bitcoins, payment_of

SPEEDS: dict[SpeedPolicy, int] = {
    "HighSpeed": 0,
    "MediumSpeed": 1,
    "LowMediumSpeed": 2,
    "LowSpeed": 6,
}
"""The confirmations that each policy asks for."""

PAYMENT_METHODS = (PAYMENT_METHOD,)
SAME_METHOD = frozenset({PAYMENT_METHOD, "BTC", "BTC-OnChain", "BTC_CHAIN"})
"""The names under which clients ask for payments on the chain, those of earlier releases too."""

MARKS = ("Settled", "Invalid")
"""How a person can decide about an invoice."""


def invoice(row: InvoiceRow, state: InvoiceState | None, origin: str) -> messages.Invoice:
    """An invoice; `state` is its state now where it was paid late, and `origin` its page's."""
    amount, currency = asked_for(row)
    status = btcpay.STATUSES[row.status]
    return messages.Invoice(
        id=str(row.id),
        store_id=str(row.store_id),
        amount=amount,
        paid_amount=paid_for(row),
        currency=currency,
        checkout_link=checkout_url(origin, row.id),
        created_time=int(row.created_at),
        expiration_time=int(row.expires_at),
        monitoring_expiration=int(row.monitored_until),
        monitoring_time=int(row.monitored_until),
        status=status,
        additional_status=btcpay.additional_status(row.exception, state, row.invoice().enough),
        available_statuses_for_manual_marking=tuple(each for each in MARKS if each != status),
        archived=row.archived_at is not None,
        metadata=_object(row.metadata),
        checkout=messages.CheckoutView(
            speed_policy=_speed(row.terms.depths.of(row.amount)),
            payment_methods=PAYMENT_METHODS,
            default_payment_method=PAYMENT_METHOD,
            expiration_minutes=(row.expires_at - row.created_at) // 60,
            monitoring_minutes=(row.monitored_until - row.expires_at) // 60,
            payment_tolerance=row.terms.tolerance / 10,
            redirect_url=row.redirect_url,
        ),
    )


def payment_method(
    row: InvoiceRow, state: InvoiceState, *, only_accounted: bool
) -> messages.InvoicePaymentMethod:
    """What came for an invoice; `only_accounted` leaves out what is not credited."""
    found = [each for payment in state.payments for each in payment.transactions]
    return messages.InvoicePaymentMethod(
        payment_method_id=PAYMENT_METHOD,
        payment_method=PAYMENT_METHOD,
        destination=row.address,
        payment_link=row.uri,
        rate=rate_of(row),
        payment_method_paid=bitcoins(state.credit.total),
        total_paid=bitcoins(state.credit.total),
        due=bitcoins(int(row.amount) - int(state.credit.total)),
        amount=bitcoins(row.amount),
        payments=tuple(
            payment_of(each, row.address, state.depth)
            for each in found
            if each.counts or not only_accounted
        ),
        additional_data={"payjoinEnabled": row.session_id is not None},
    )


def store(row: StoreRow) -> messages.Store:
    """A store."""
    policy = row.policy
    terms: Terms = terms_of(policy)
    return messages.Store(
        id=str(row.id),
        name=row.name,
        default_currency=policy.currency or BTC,
        invoice_expiration=policy.expiry_seconds,
        monitoring_expiration=policy.monitoring_seconds,
        speed_policy=_speed(terms.confirmations[0][1]),
        payment_tolerance=policy.tolerance_permille / 10,
        default_payment_method=PAYMENT_METHOD,
        archived=row.archived_at is not None,
    )


def webhook(row: EndpointRow, secret: str | None = None) -> messages.Webhook:
    """An endpoint; failed deliveries are always tried again."""
    return messages.Webhook(
        id=str(row.id),
        enabled=row.active,
        automatic_redelivery=True,
        url=row.url,
        authorized_events=messages.WebhookEvents(
            everything=row.kinds is None, specific_events=row.kinds or ()
        ),
        secret=secret,
    )


def delivery(row: DeliveryRow) -> messages.Delivery:
    """A delivery."""
    status: Any = "Pending"
    if row.status == ACCEPTED:
        status = "HttpSuccess"
    elif row.last_code is not None:
        status = "HttpError"
    elif row.last_error is not None:
        status = "Failed"
    return messages.Delivery(
        id=str(row.id),
        timestamp=row.created_at,
        http_code=row.last_code,
        error_message=row.last_error,
        status=status,
    )


def pull_payment(
    row: RefundRow, name: str | None, description: str | None, view_link: str
) -> messages.PullPayment:
    """A refund that was just made."""
    return messages.PullPayment(
        id=str(row.id),
        name=name or f"Refund {row.invoice_id}",
        description=description or "",
        amount=bitcoins(row.amount),
        starts_at=int(row.created_at),
        expires_at=int(row.expires_at),
        view_link=view_link,
    )


def _speed(depth: int) -> SpeedPolicy:
    """The policy that asks for most without asking for more than this."""
    return max((name for name in SPEEDS if SPEEDS[name] <= depth), key=SPEEDS.__getitem__)


def _object(entry: bytes | None) -> dict[str, Any]:
    return {} if entry is None else msgspec.json.decode(entry, type=dict[str, Any])
