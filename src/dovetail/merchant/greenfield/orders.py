"""What an invoice of the Greenfield API asks for, in the words of the till.

What the till has it does. What would change the money in silence is refused, and the rest is left
aside: `docs/reference/greenfield.md` has the list.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import msgspec

from dovetail.bitcoin import UnixTime
from dovetail.merchant import messages as ours
from dovetail.merchant.api.problems import invalid
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.data.stores import StoreRow, Terms
from dovetail.merchant.greenfield.amounts import plain, sats_of
from dovetail.merchant.greenfield.errors import converted
from dovetail.merchant.greenfield.mapping import SAME_METHOD, SPEEDS
from dovetail.merchant.greenfield.messages import Checkout, NewInvoice, SpeedPolicy
from dovetail.merchant.invoices.btcpay import BTC, UNITS
from dovetail.merchant.messages.invoices import MAX_METADATA

_PATHS = {
    "price": "amount",
    "order_id": "metadata.orderId",
    "redirect_url": "checkout.redirectURL",
    "expires_in": "checkout.expirationMinutes",
}
_MOST_MINUTES = 30 * 1_440
_LABEL = 200


def wanted(given: NewInvoice, store: StoreRow) -> ours.NewInvoice:
    """Return the invoice that is asked for; `in_full` has the rest. Raises `Refused`."""
    checkout = given.checkout or Checkout()
    _require_method(checkout.payment_methods)
    metadata = given.metadata or {}
    kept(metadata)
    values: dict[str, Any] = {
        **_amount(given, currency_of(given, store)),
        "metadata": metadata,
        "label": _label(metadata.get("itemDesc")),
        "order_id": _order_id(metadata.get("orderId")),
        "redirect_url": checkout.redirect_url or None,
    }
    if checkout.expiration_minutes is not None:
        values["expires_in"] = _seconds(
            checkout.expiration_minutes, "checkout.expirationMinutes", least=1
        )
    return converted(values, ours.NewInvoice, _PATHS)


def kept(metadata: dict[str, Any]) -> bytes:
    """Return the data of an invoice as they are kept; raises `Refused`."""
    found = msgspec.json.encode(metadata)
    if len(found) > MAX_METADATA:
        raise invalid("metadata", f"Send at most {MAX_METADATA:,} bytes of JSON.")
    return found


def order_of(metadata: dict[str, Any]) -> str | None:
    """Return the id of the order that the data of an invoice name; raises `Refused`."""
    given = {"order_id": _order_id(metadata.get("orderId"))}
    return converted(given, ours.NewInvoice, _PATHS).order_id


def in_full(draft: InvoiceRow, given: NewInvoice, store: StoreRow) -> InvoiceRow:
    """Return a drafted invoice with its own terms; raises `Refused` for impossible ones."""
    checkout = given.checkout or Checkout()
    currency = currency_of(given, store)
    if currency in UNITS and given.amount is not None:
        draft = replace(
            draft, currency=currency, price=plain(given.amount), rate=str(UNITS[currency])
        )
    if checkout.monitoring_minutes is not None:
        seconds = _seconds(checkout.monitoring_minutes, "checkout.monitoringMinutes", least=0)
        draft = replace(draft, monitored_until=UnixTime(draft.expires_at + seconds))
    terms = draft.terms
    if checkout.payment_tolerance is not None:
        tolerance = _permille(checkout.payment_tolerance)
        terms = msgspec.structs.replace(terms, tolerance=tolerance)
    if checkout.speed_policy is not None:
        terms = _as_deep(terms, draft, checkout.speed_policy)
    return replace(draft, terms=terms, redirect_url=_filled(draft))


def currency_of(given: NewInvoice, store: StoreRow) -> str:
    """Return the currency of an invoice, in capitals."""
    return (given.currency or store.policy.currency or BTC).upper()


def _require_method(methods: list[str] | None) -> None:
    """Raise `Refused` for an invoice that is to be paid in no way that there is."""
    if methods and SAME_METHOD.isdisjoint(methods):
        raise invalid(
            "checkout.paymentMethods", "This server takes `BTC-CHAIN` alone: leave it out."
        )


def _amount(given: NewInvoice, currency: str) -> dict[str, Any]:
    if given.amount is None:
        raise invalid("amount", "This server makes no invoice without an amount: give one.")
    if not given.amount.is_finite() or given.amount <= 0:
        raise invalid("amount", "Give an amount of more than 0.")
    if currency in UNITS:
        return {"amount_sats": sats_of(given.amount, currency, "amount")}
    return {"price": plain(given.amount), "currency": currency}


def _label(description: Any) -> str:
    """What the customer's wallet shows: the item, where it is a short line."""
    text = description if isinstance(description, str) else ""
    return text if len(text) <= _LABEL and text.isprintable() else ""


def _order_id(given: Any) -> str | None:
    """The order's id as it is searched for; a number is one too."""
    if given is None or given == "":
        return None
    if isinstance(given, str | int) and not isinstance(given, bool):
        return str(given)
    raise invalid("metadata.orderId", "Give a text or a whole number.")


def _seconds(minutes: Decimal, path: str, *, least: int) -> int:
    if not minutes.is_finite() or not least <= minutes <= _MOST_MINUTES:
        raise invalid(path, f"Give {least} to {_MOST_MINUTES:,} minutes.")
    return int(minutes * 60)


def _permille(percent: Decimal) -> int:
    permille = percent * 10
    if not 0 <= permille < 1000 or permille != permille.to_integral_value():
        raise invalid(
            "checkout.paymentTolerance", "Give 0 to 99.9 percent, of at most one decimal."
        )
    return int(permille)


def _as_deep(terms: Terms, draft: InvoiceRow, speed: SpeedPolicy) -> Terms:
    """The terms with the confirmations that a policy asks for, never less than the store's."""
    least, depth = terms.depths.of(draft.amount), SPEEDS[speed]
    if depth < least:
        raise invalid(
            "checkout.speedPolicy",
            f"The store waits for {least} confirmations at this amount: ask for no less, or change"
            " the store's policy.",
        )
    tiers = tuple((amount, max(known, depth)) for amount, known in terms.confirmations)
    return msgspec.structs.replace(terms, confirmations=tiers)


def _filled(draft: InvoiceRow) -> str | None:
    """The address to which the customer returns, with the ids in the place of their names."""
    if draft.redirect_url is None:
        return None
    filled = draft.redirect_url.replace("{InvoiceId}", str(draft.id))
    return filled.replace("{OrderId}", quote(draft.order_id or "", safe=""))
