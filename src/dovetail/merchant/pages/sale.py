"""The page of a point of sale: it takes what is bought, and leads to the invoice's page."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from types import MappingProxyType

from litestar import Response, get, post
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from dovetail.errors import ConfigurationError
from dovetail.merchant.api.door import too_many
from dovetail.merchant.api.limits import Buckets, Limits
from dovetail.merchant.api.problems import Kind, Refused, not_found
from dovetail.merchant.api.routes.common import ApiRequest, count_guess, invoices_of, parts_of
from dovetail.merchant.data import points_of_sale, stores
from dovetail.merchant.data.idempotency import IdempotencyConflict
from dovetail.merchant.data.points_of_sale import PointRow
from dovetail.merchant.invoices.sales import (
    MOST_OF_ONE,
    Menu,
    Sale,
    SaleRefused,
    Why,
    decimals_of,
    parse_amount,
    sale_of,
)
from dovetail.merchant.pages.forms import WrongFieldError, fields_of
from dovetail.merchant.pages.language import NARROW, Language, phrase
from dovetail.merchant.pages.rendering import language_for, page
from dovetail.merchant.services.rates import RateUnavailable
from dovetail.merchant.services.sales import SaleMade, Sales

PATH = "/pos/"
GATE = "gate"
"""Where the pages find their gate in the state of the application."""
_RANDOM = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)
_BYTES = 16
_MOST_FIELDS = 100
_MOST_TEXT = 20

NO_AMOUNT = phrase("This is no amount: type one such as %(example)s.")
NO_COUNT = phrase("Choose each item at most %(most)s times.")
TOO_MUCH = phrase("The amount is too large: type at most %(most)s.")
NOTHING = phrase("There is nothing to pay yet.")
CHANGED = phrase("What is sold here has changed. Look at it, and choose again.")
NOT_PAYABLE = phrase("This amount cannot be paid with bitcoin: it is too small or too large.")
NO_RATE = phrase("There is no exchange rate now. Try it again in a minute.")
MADE = phrase("This sale was made already. Send the form again to make another one.")
_REFUSALS: Mapping[Why, str] = MappingProxyType(
    {
        Why.NOTHING: NOTHING,
        Why.TOO_MANY: NO_COUNT,
        Why.TOO_MUCH: TOO_MUCH,
        Why.NOT_OFFERED: CHANGED,
    }
)


class Gate:
    """Lets so many sales through."""

    def __init__(self, limits: Limits) -> None:
        """Nobody has bought anything yet."""
        self._clients = Buckets(limits.sales)
        self._points = Buckets(limits.sales_of_one)

    def count(self, request: ApiRequest, row: PointRow) -> None:
        """Count a sale; raises `Refused` for one too many of a network, or of a point of sale."""
        client = request.scope["state"].get("client")
        wait = self._clients.take(client) or self._points.take(row.id)
        if wait:
            raise too_many(wait, "for sales here")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A point of sale, with the name of its shop."""

    row: PointRow
    shop: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a form was filled in with, as it was typed."""

    counts: Mapping[int, str] = field(default_factory=dict[int, str])
    amount: str = ""
    tip: str = ""
    version: str = ""
    form: str = ""

    @classmethod
    def of(cls, fields: Mapping[str, str], menu: Menu) -> "Given":
        """What the fields of a form say."""
        counts = {
            place: fields.get(f"count-{place}", "")[:_MOST_TEXT] for place in range(len(menu.items))
        }
        return cls(
            counts=counts,
            amount=fields.get("amount", "")[:_MOST_TEXT],
            tip=fields.get("tip", "")[:_MOST_TEXT],
            version=fields.get("version", ""),
            form=fields.get("sale", ""),
        )


@get(PATH + "{token:str}", media_type=MediaType.HTML)
async def show_point(request: ApiRequest, token: FromPath[str]) -> Response[str]:
    """Show what is sold at a point of sale."""
    return _page(request, await _found(request, token), Given())


@post(PATH + "{token:str}", media_type=MediaType.HTML)
async def take_sale(request: ApiRequest, token: FromPath[str]) -> Response[str] | Redirect:
    """Make the invoice of a sale, and lead to its page."""
    place = await _found(request, token)
    row = place.row
    given = Given.of(fields_of(request, most=_MOST_FIELDS), row.menu)
    _require_own(request, given)
    try:
        sale = _sale(row, given)
        gate_of(request).count(request, row)
        sales = Sales(parts_of(request), invoices_of(request))
        invoice_id = await sales.sell(row, sale, given.form)
    except WrongFieldError as error:
        kept = Given() if error.words == CHANGED else given
        return _page(request, place, kept, error=error.words)
    except (IdempotencyConflict, SaleMade):
        return _page(request, place, given, error=MADE, status=HTTPStatus.CONFLICT)
    except RateUnavailable:
        status = HTTPStatus.SERVICE_UNAVAILABLE
        return _page(request, place, given, error=NO_RATE, status=status)
    except ConfigurationError:
        return _page(request, place, given, error=NOT_PAYABLE)
    spoken = f"&lang={language_for(request).code}" if "lang" in request.query_params else ""
    return Redirect(f"/i/{invoice_id}?counter=1{spoken}", status_code=303)


def sale_path(row: PointRow) -> str:
    """Where the page of a point of sale is."""
    return PATH + row.token


def gate_of(request: ApiRequest) -> Gate:
    """The gate of the pages."""
    found: Gate = request.app.state[GATE]
    return found


def money(speech: Language, amount: Decimal, currency: str | None) -> str:
    """An amount with its currency, or in satoshis without one."""
    return f"{speech.decimal(str(amount))}{NARROW}{currency or 'sats'}"


def _page(
    request: ApiRequest,
    place: Place,
    given: Given,
    *,
    error: str | None = None,
    status: int = HTTPStatus.UNPROCESSABLE_ENTITY,
) -> Response[str]:
    speech, row = language_for(request), place.row
    decimals = decimals_of(row.currency)

    def shown(amount: Decimal) -> str:
        return money(speech, amount, row.currency)

    def units(amount: Decimal) -> int:
        return int(amount.scaleb(decimals))

    told = {
        "example": f"12{speech.point}50" if decimals else "1250",
        "most": shown(row.menu.most) if error == TOO_MUCH else MOST_OF_ONE,
    }
    return page(
        request,
        "sale.html",
        speech,
        status=HTTPStatus.OK if error is None else status,
        shop=place.shop,
        row=row,
        unit=row.currency or "sats",
        decimals=decimals,
        given=given,
        form=secrets.token_urlsafe(_BYTES),
        error=None if error is None else speech.say(error) % told,
        money=shown,
        units=units,
    )


def _sale(row: PointRow, given: Given) -> Sale:
    """The sale that the form asks for; raises `WrongFieldError`."""
    if given.version != row.version:
        raise WrongFieldError(CHANGED)
    typed = parse_amount(given.amount, row.currency) if given.amount else None
    if given.amount and typed is None:
        raise WrongFieldError(NO_AMOUNT)
    counts = {place: _count(text) for place, text in given.counts.items()}
    try:
        return sale_of(
            row.menu,
            point=str(row.id),
            title=row.title,
            currency=row.currency,
            counts=counts,
            typed=typed,
            tip_percent=_number(given.tip, CHANGED),
        )
    except SaleRefused as refused:
        raise WrongFieldError(_REFUSALS[refused.why]) from None


def _count(text: str) -> int:
    return _number(text, NO_COUNT)


def _number(text: str, refusal: str) -> int:
    """A whole number, 0 where nothing is typed; raises `WrongFieldError` with these words."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise WrongFieldError(refusal)
    return int(text)


def _require_own(request: ApiRequest, given: Given) -> None:
    """Raise `Refused` for what no page of this server has sent (Fetch Metadata)."""
    if request.headers.get("sec-fetch-site") not in (None, "same-origin", "none"):
        raise Refused(Kind.FORBIDDEN, "The form was sent by another site; open the page anew.")
    if not _RANDOM.fullmatch(given.form):
        raise Refused(Kind.MALFORMED)


async def _found(request: ApiRequest, token: str) -> Place:
    """The point of sale at this address; a guess costs its client as much as a wrong key."""

    def read(connection: Connection) -> Place | None:
        row = points_of_sale.point_at(connection, token)
        store = None if row is None else stores.store(connection, row.store_id)
        if row is None or store is None or store.archived_at is not None:
            return None
        return Place(row=row, shop=store.name)

    found = None
    if _RANDOM.fullmatch(token):
        found = await parts_of(request).database.aread(read)
    if found is None:
        count_guess(request)
        raise not_found()
    return found


HANDLERS = (show_point, take_sale)
