"""Routes about pull payments, which are refunds of invoices here."""

import re
from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal
from uuid import UUID

from litestar import delete, post
from litestar.params import FromPath

from dovetail.bitcoin import Sats, UnixTime
from dovetail.merchant import messages as ours
from dovetail.merchant.api.problems import Kind, Refused, invalid, not_found
from dovetail.merchant.api.routes.common import (
    ApiRequest,
    caller,
    in_thread,
    origin_of,
    parts_of,
    visible_store,
)
from dovetail.merchant.api.views import claim_url
from dovetail.merchant.data import invoices
from dovetail.merchant.data import refunds as rows
from dovetail.merchant.data.invoices import InvoiceFilter, InvoiceRow
from dovetail.merchant.greenfield import mapping, messages
from dovetail.merchant.greenfield.access import Permitted
from dovetail.merchant.greenfield.amounts import asked_for, plain, sats_of
from dovetail.merchant.greenfield.common import body_of, invoice_in
from dovetail.merchant.greenfield.errors import asked, converted
from dovetail.merchant.invoices.btcpay import UNITS
from dovetail.merchant.messages import Scope
from dovetail.merchant.messages.base import MAX_PAGE
from dovetail.merchant.services.rates import satoshis
from dovetail.merchant.services.refunds import Refunds

EXPIRES_IN = 30 * 86_400
"""Seconds in which the customer claims a refund."""

MOST_SECONDS = 365 * 86_400
MOST_REASON = 200

_WORD = re.compile(r"[^\s;,#]+")


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
    _require_method([each for each in (given.payout_method_id, given.payment_method) if each])
    amount = await _amount(request, row, given)
    return await _made(request, row, amount, name=given.name, description=given.description)


@post(
    "/stores/{store_id:uuid}/pull-payments",
    guards=[Permitted(Scope.REFUNDS_WRITE)],
    status_code=200,
)
async def create_pull_payment(
    request: ApiRequest, store_id: FromPath[UUID]
) -> messages.PullPayment:
    """Refund the invoice whose order the name tells, as plugins do; else it is refused.

    What is paid back is bound to the credit of an invoice. The amount is fixed now, in bitcoin.
    """
    await visible_store(request, store_id)
    given = asked(body_of(request), messages.NewPullPayment)
    _require_method([*(given.payout_methods or ()), *(given.payment_methods or ())])
    row = await _named(request, store_id, given.name)
    _require_plain(given, parts_of(request).clock())
    amount = await _sats(request, given.amount, given.currency.upper(), "amount")
    return await _made(
        request,
        row,
        amount,
        name=given.name,
        description=given.description,
        expires_at=given.expires_at,
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
                raise invalid("subtractPercentage", "Leave it out: what was too much goes back.")
            return None
        case "Custom":
            full = await _custom(request, given)
        case _:
            raise invalid(
                "refundVariant",
                "Give RateThen, CurrentRate, OverpaidAmount or Custom: a refund is in bitcoin, with"
                " its amount fixed now.",
            )
    return _less(full, given.subtract_percentage)


async def _price_now(request: ApiRequest, row: InvoiceRow) -> Sats:
    """What an invoice asks for, at the rate of now."""
    amount, currency = asked_for(row)
    return await _sats(request, Decimal(amount), currency, "refundVariant")


async def _sats(request: ApiRequest, amount: Decimal, currency: str, path: str) -> Sats:
    """An amount in satoshis, at the rate of now; raises `Refused`, and `RateUnavailable`."""
    if currency in UNITS:
        return Sats(sats_of(amount, currency, path))
    if not amount.is_finite() or amount <= 0:
        raise invalid(path, "Give an amount of more than 0.")
    values = {"price": plain(amount), "currency": currency}
    converted(values, ours.NewInvoice, {"price": path})
    rate = await parts_of(request).rates.rate(currency)
    return satoshis(amount, rate, spread=0)


async def _custom(request: ApiRequest, given: messages.NewRefund) -> Sats:
    if given.custom_amount is None or not given.custom_currency:
        raise invalid("customAmount", "Give the amount to refund, and its currency.")
    currency = given.custom_currency.upper()
    return await _sats(request, given.custom_amount, currency, "customAmount")


def _less(full: Sats, percent: Decimal | None) -> Sats:
    if not percent:
        return full
    if not 0 <= percent < 100:
        raise invalid("subtractPercentage", "Give 0 to less than 100 percent.")
    return Sats(int((int(full) * (100 - percent) / 100).to_integral_value(ROUND_DOWN)))


def _require_method(methods: Sequence[str]) -> None:
    """Raise `Refused` for what is to be paid in no way that there is."""
    if methods and mapping.SAME_METHOD.isdisjoint(methods):
        raise invalid("payoutMethods", "This server pays by `BTC-CHAIN` alone.")


def _require_plain(given: messages.NewPullPayment, now: UnixTime) -> None:
    """Raise `Refused` for a pull payment that is more than one refund."""
    if given.period:
        raise invalid("period", "A refund is paid once: leave it out.")
    if given.auto_approve_claims:
        raise invalid("autoApproveClaims", "A person approves each refund: leave it out.")
    if given.starts_at is not None and given.starts_at > now:
        raise invalid("startsAt", "A refund can be claimed from now on: leave it out.")
    if given.expires_at is not None and not now < given.expires_at <= now + MOST_SECONDS:
        raise invalid("expiresAt", "Give a time within a year from now, or none.")


async def _named(request: ApiRequest, store_id: UUID, name: str) -> InvoiceRow:
    """The one paid invoice whose order the name tells before its first semicolon."""
    words = tuple(_WORD.findall(name.partition(";")[0]))
    chosen = InvoiceFilter(store_ids=(store_id,), order_ids=words)
    found = await parts_of(request).database.aread(
        lambda c: invoices.page(c, chosen, limit=MAX_PAGE)
    )
    paid = [row for row in found if row.paid]
    if len(paid) != 1:
        raise Refused(
            Kind.MALFORMED,
            "A refund belongs to an invoice, and the name tells the order of no paid one, or of"
            " several: use `POST …/invoices/{invoiceId}/refund`.",
        )
    return paid[0]


async def _made(
    request: ApiRequest,
    row: InvoiceRow,
    amount: Sats | None,
    *,
    name: str | None,
    description: str | None,
    expires_at: int | None = None,
) -> messages.PullPayment:
    parts = parts_of(request)
    made, token = await Refunds(parts.database, parts.clock).create(
        row.id,
        by=caller(request).who,
        amount=amount,
        reason=(description or name or "")[:MOST_REASON] or None,
        expires_in=EXPIRES_IN if expires_at is None else expires_at - parts.clock(),
    )
    page = claim_url(origin_of(request), token)
    return mapping.pull_payment(made, name, description, page)
