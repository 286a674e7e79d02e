"""A sale at a counter: what items, an amount that was typed, and a tip come to; without I/O."""

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

import msgspec

from dovetail.errors import UsageError

MOST_ITEMS = 40
MOST_OF_ONE = 99
"""How often one item may be in a sale."""
MOST_NAME = 40
MOST_DESCRIPTION = 80
MOST_DIGITS = 9
"""Digits before the decimals of a price or an amount."""
MOST_TIPS = 5
MOST_PERCENT = 100

NOTE = "point_of_sale"
"""The key of a sale in its invoice's metadata."""

_NO_DECIMALS = frozenset(
    (
        *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"),
        *("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"),
    )
)
_THREE_DECIMALS = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])
_AMOUNT = re.compile(r"([0-9]+)(?:[.,]([0-9]*))?", re.ASCII)
_NOTHING = Decimal(0)


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is sold at a fixed price."""

    name: str
    price: Decimal
    description: str = ""
    available: bool = True


class Menu(msgspec.Struct, frozen=True, kw_only=True):
    """What a point of sale offers."""

    items: tuple[Item, ...] = ()
    keypad: bool = True
    """Whether an amount can be typed."""
    most: Decimal
    """The most that can be typed."""
    tips: tuple[int, ...] = ()
    """The tips to choose from, in per cent."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """So many of an item, as its name and price were."""

    name: str
    count: int
    price: Decimal
    total: Decimal


class Sale(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be paid, and what for; amounts are in the currency, or in satoshis without one."""

    point: str
    """The id of the point of sale."""
    title: str
    currency: str | None = None
    lines: tuple[Line, ...] = ()
    typed: Decimal | None = None
    """The amount that was typed beside the items."""
    tip_percent: int = 0
    tip: Decimal = _NOTHING
    total: Decimal


class _Metadata(msgspec.Struct, frozen=True):
    """The part of an invoice's metadata that a point of sale writes."""

    point_of_sale: Sale


class Why(StrEnum):
    """Why a sale is refused; the values are stable."""

    NOTHING = "nothing"
    TOO_MANY = "too-many"
    TOO_MUCH = "too-much"
    NOT_OFFERED = "not-offered"


class SaleRefused(UsageError):
    """The point of sale does not sell this."""

    def __init__(self, why: Why) -> None:
        """Say why by a code; the page has the words."""
        self.why = why
        super().__init__(_WORDS[why])


_WORDS: Mapping[Why, str] = {
    Why.NOTHING: "There is nothing to pay: choose an item, or type an amount.",
    Why.TOO_MANY: f"An item can be sold {MOST_OF_ONE} times at once: choose fewer.",
    Why.TOO_MUCH: "The amount is more than can be typed here: type a smaller one.",
    Why.NOT_OFFERED: "This is not sold here now: open the page anew.",
}


def decimals_of(currency: str | None) -> int:
    """Return the decimals of a currency (ISO 4217); satoshis, which None stands for, have none."""
    if currency is None or currency in _NO_DECIMALS:
        return 0
    return 3 if currency in _THREE_DECIMALS else 2


def parse_amount(text: str, currency: str | None) -> Decimal | None:
    """Return the amount that a person typed, with point or comma; None where it is none."""
    found = _AMOUNT.fullmatch(text)
    if found is None:
        return None
    whole, part, decimals = found[1].lstrip("0") or "0", found[2] or "", decimals_of(currency)
    if len(whole) > MOST_DIGITS or len(part) > decimals:
        return None
    return Decimal(f"{whole}.{part:0<{decimals}}" if decimals else whole)


def sale_of(
    menu: Menu,
    *,
    point: str,
    title: str,
    currency: str | None,
    counts: Mapping[int, int],
    typed: Decimal | None = None,
    tip_percent: int = 0,
) -> Sale:
    """Return what a customer has to pay; `counts` are by the items' places in the menu.

    A tip is rounded to the unit of the currency, half of it up. Raises `SaleRefused`.
    """
    if tip_percent not in (0, *menu.tips) or (typed is not None and not menu.keypad):
        raise SaleRefused(Why.NOT_OFFERED)
    lines = tuple(_line(menu, place, count) for place, count in sorted(counts.items()) if count)
    if typed is not None and typed > menu.most:
        raise SaleRefused(Why.TOO_MUCH)
    before = sum((each.total for each in lines), typed or _NOTHING)
    if before <= 0:
        raise SaleRefused(Why.NOTHING)
    tip = (before * tip_percent / 100).quantize(_unit(currency), ROUND_HALF_UP)
    return Sale(
        point=point,
        title=title,
        currency=currency,
        lines=lines,
        typed=typed or None,
        tip_percent=tip_percent,
        tip=tip,
        total=before + tip,
    )


def metadata_of(sale: Sale) -> dict[str, object]:
    """Return the metadata of a sale's invoice."""
    noted: dict[str, object] = msgspec.to_builtins({NOTE: sale})
    return noted


def sale_in(metadata: bytes | None) -> Sale | None:
    """Return the sale in an invoice's metadata; None where there is none."""
    if metadata is None or NOTE.encode() not in metadata:
        return None
    try:
        return msgspec.json.decode(metadata, type=_Metadata).point_of_sale
    except msgspec.DecodeError:
        return None


def _line(menu: Menu, place: int, count: int) -> Line:
    if not 0 <= place < len(menu.items) or not menu.items[place].available:
        raise SaleRefused(Why.NOT_OFFERED)
    if not 0 < count <= MOST_OF_ONE:
        raise SaleRefused(Why.TOO_MANY)
    item = menu.items[place]
    return Line(name=item.name, count=count, price=item.price, total=item.price * count)


def _unit(currency: str | None) -> Decimal:
    return Decimal(1).scaleb(-decimals_of(currency))
