"""Routes about pull payments, which are refunds of invoices here."""

from decimal import ROUND_DOWN, Decimal
from uuid import UUID

from litestar import delete, post
from litestar.params import FromPath

from dovetail.bitcoin import Sats
from dovetail.merchant.api.problems import Kind, Refused, invalid, not_found
from dovetail.merchant.api.routes.common import (
    ApiRequest,
    caller,
    in_thread,
    parts_of,
    visible_store,
)
from dovetail.merchant.data import refunds as rows
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.greenfield import mapping, messages
from dovetail.merchant.greenfield.access import Permitted
from dovetail.merchant.greenfield.amounts import BTC, UNITS, asked_for, sats_of
from dovetail.merchant.greenfield.common import base_of, body_of, invoice_in
from dovetail.merchant.greenfield.errors import asked
from dovetail.merchant.messages import Scope
from dovetail.merchant.services.rates import satoshis
from dovetail.merchant.services.refunds import Refunds

EXPIRES_IN = 30 * 86_400
"""Seconds in which the customer claims a refund."""


@post(
    "/stores/{store_id:uuid}/invoices/{invoice_id:uuid}/refund",
    guards=[Permitted(Scope.REFUNDS_WRITE)],
    status_code=200,
)
async def refund_invoice(
    request: ApiRequest, store_id: FromPath[UUID], invoice_id: FromPath[UUID]
) -> messages.PullPayment:
    """Make a refund; the customer claims it at `viewLink`, which is told in this answer alone."""
    row = await invoice_in(request, store_id, invoice_id)
    given = asked(body_of(request), messages.NewRefund)
    for path in ("payout_method_id", "payment_method"):
        method = getattr(given, path)
        if method is not None and method not in mapping.SAME_METHOD:
            raise invalid("payoutMethodId", "This server pays by `BTC-CHAIN` alone.")
    parts = parts_of(request)
    made, token = await Refunds(parts.database, parts.clock).create(
        invoice_id,
        by=caller(request).who,
        amount=await _amount(request, row, given),
        reason=given.description or given.name or None,
        expires_in=EXPIRES_IN,
    )
    return mapping.pull_payment(
        made, given.name, given.description, f"{base_of(request)}/refund/{token}"
    )


@post(
    "/stores/{store_id:uuid}/pull-payments",
    guards=[Permitted(Scope.REFUNDS_WRITE)],
    status_code=200,
)
async def create_pull_payment(request: ApiRequest, store_id: FromPath[UUID]) -> None:
    """Refuse: what is paid back is bound to the credit of an invoice."""
    await visible_store(request, store_id)
    raise Refused(
        Kind.MALFORMED,
        "A refund belongs to an invoice: make it by `POST …/invoices/{invoiceId}/refund`, or in"
        " the shop's own dashboard.",
    )


@delete(
    "/stores/{store_id:uuid}/pull-payments/{refund_id:uuid}",
    guards=[Permitted(Scope.REFUNDS_WRITE)],
    status_code=200,
)
async def archive_pull_payment(
    request: ApiRequest, store_id: FromPath[UUID], refund_id: FromPath[UUID]
) -> None:
    """Take a refund back, before it is being paid."""
    await visible_store(request, store_id)
    parts = parts_of(request)
    row = await parts.database.aread(lambda c: rows.refund(c, refund_id))
    if row is None or row.store_id != store_id:
        raise not_found()
    who, service = caller(request).who, Refunds(parts.database, parts.clock)
    await in_thread(lambda: service.cancel(refund_id, by=who))


ROUTES = (refund_invoice, create_pull_payment, archive_pull_payment)


async def _amount(request: ApiRequest, row: InvoiceRow, given: messages.NewRefund) -> Sats | None:
    """The satoshis to refund; None: what was paid too much. Raises `Refused`."""
    match given.refund_variant:
        case "RateThen":
            full = row.amount
        case "CurrentRate":
            full = await _price_now(request, row)
        case "OverpaidAmount":
            if given.subtract_percentage:
                raise invalid("subtractPercentage", "Leave it away: what was too much goes back.")
            return None
        case "Custom":
            full = _custom(given)
        case _:
            raise invalid(
                "refundVariant",
                "Give RateThen, CurrentRate, OverpaidAmount or Custom: a refund is in bitcoin, with"
                " its amount fixed now.",
            )
    return _less(full, given.subtract_percentage)


async def _price_now(request: ApiRequest, row: InvoiceRow) -> Sats:
    amount, currency = asked_for(row)
    if currency in UNITS:
        return row.amount
    rate = await parts_of(request).rates.rate(currency)
    return satoshis(Decimal(amount), rate, spread=0)


def _custom(given: messages.NewRefund) -> Sats:
    currency = (given.custom_currency or "").upper()
    if currency not in UNITS:
        raise invalid("customCurrency", f"Give {BTC} or SATS: a refund is in bitcoin.")
    if given.custom_amount is None:
        raise invalid("customAmount", "Give the amount to refund.")
    return Sats(sats_of(given.custom_amount, currency, "customAmount"))


def _less(full: Sats, percent: Decimal | None) -> Sats:
    if not percent:
        return full
    if not 0 <= percent < 100:
        raise invalid("subtractPercentage", "Give 0 to less than 100 percent.")
    return Sats(int((int(full) * (100 - percent) / 100).to_integral_value(ROUND_DOWN)))
