"""The bodies of deliveries in the words of BTCPay Server's webhooks (Greenfield API, version 1)."""

from typing import Any

import msgspec

from dovetail.bitcoin import Sats, UnixTime
from dovetail.merchant.data.deliveries import DeliveryRow
from dovetail.merchant.data.events import EventRow
from dovetail.merchant.data.record import Record
from dovetail.merchant.invoices import btcpay
from dovetail.merchant.invoices.invoice import InvoiceException
from dovetail.merchant.invoices.payments import PaymentTransaction

PAYMENT_METHOD = "BTC-CHAIN"
"""BTCPay Server's name of payments on the chain."""


def body_of(delivery: DeliveryRow, told: EventRow, known: Record, now: UnixTime) -> bytes:
    """Return the JSON of a delivery; what a payment has is as of `now`."""
    row, name = known.row, delivery.name or ""
    common: dict[str, Any] = {
        "deliveryId": str(delivery.id),
        "webhookId": str(delivery.endpoint_id),
        "originalDeliveryId": str(delivery.original_id or delivery.id),
        "isRedelivery": delivery.original_id is not None,
        "type": name,
        "timestamp": told.at,
        "storeId": str(row.store_id),
        "invoiceId": str(row.id),
        "metadata": msgspec.json.decode(row.metadata) if row.metadata else {},
    }
    return msgspec.json.encode(common | _more(name, delivery, told, known, now))


def _more(
    name: str, delivery: DeliveryRow, told: EventRow, known: Record, now: UnixTime
) -> dict[str, Any]:
    """What events of this name have beside the common fields."""
    marked = told.exception == InvoiceException.MARKED
    paid = told.data.get("paid", 0) + told.data.get("late", 0)
    match name:
        case btcpay.RECEIVED | btcpay.PAYMENT_SETTLED:
            return _payment(delivery.subject, known, now)
        case btcpay.PROCESSING:
            return {"overPaid": paid > known.row.amount}
        case btcpay.SETTLED:
            return {"manuallyMarked": marked, "overPaid": paid > known.row.amount}
        case btcpay.INVALID:
            return {"manuallyMarked": marked}
        case btcpay.EXPIRED:
            return {"partiallyPaid": paid > 0}
        case _:
            return {}


def _payment(txid: str | None, known: Record, now: UnixTime) -> dict[str, Any]:
    state = known.state(now)
    found = [
        each
        for payment in state.payments
        for each in payment.transactions
        if str(each.txid) == txid
    ]
    return {
        "afterExpiration": any(each.late for each in found),
        "paymentMethodId": PAYMENT_METHOD,
        "payment": payment_of(found[0], known.row.address, state.depth) if found else None,
    }


def payment_of(each: PaymentTransaction, address: str, depth: int) -> dict[str, Any]:
    """Return a payment as BTCPay Server shows it; amounts are bitcoins in decimal text."""
    status = "Settled" if each.is_deep(depth) else "Processing"
    return {
        "id": str(each.txid),
        "receivedDate": int(each.first_seen),
        "value": bitcoins(each.value),
        "fee": "0",
        "status": status if each.counts else "Invalid",
        "destination": address,
    }


def bitcoins(amount: Sats | int) -> str:
    """Return satoshis as bitcoins in decimal text, such as `-0.00050000`."""
    whole, rest = divmod(abs(int(amount)), 100_000_000)
    return f"{'-' if amount < 0 else ''}{whole}.{rest:08}"
