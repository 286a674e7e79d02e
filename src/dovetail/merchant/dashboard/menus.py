"""The form of a point of sale: its fields as they were typed, and what they mean."""

from dataclasses import dataclass
from decimal import Decimal

from dovetail.merchant.dashboard.access import Form
from dovetail.merchant.data.points_of_sale import PointRow
from dovetail.merchant.invoices.sales import (
    MOST_DESCRIPTION,
    MOST_ITEMS,
    MOST_NAME,
    MOST_PERCENT,
    MOST_TIPS,
    Item,
    Menu,
    decimals_of,
    parse_amount,
)
from dovetail.merchant.pages.forms import WrongFieldError
from dovetail.merchant.pages.language import phrase

EMPTY_ROWS = 3
"""Rows for new items below those that are there."""

NO_TITLE = phrase("Give it a title of 1 to 40 characters in one line.")
NO_CURRENCY = phrase(
    "Give the currency as a code of three letters, such as EUR, or none for satoshis."
)
NO_MOST = phrase("Give the most that can be typed as an amount of the currency.")
NO_TIPS = phrase("Give up to 5 tips as whole numbers from 1 to 100, such as 5 10 15.")
NO_SALE = phrase("Add an item, or show the keypad: there is nothing to sell.")
NO_NAME = phrase("Item %(number)s: give a name of 1 to 40 characters in one line.")
NO_PRICE = phrase("Item %(number)s: give a price that is more than 0, such as %(example)s.")
NO_DESCRIPTION = phrase("Item %(number)s: shorten the description to 80 characters in one line.")
TOO_MANY = phrase("Keep to 40 items.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The fields of one item."""

    name: str = ""
    price: str = ""
    description: str = ""
    available: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether it stands for no item."""
        return not (self.name or self.price or self.description)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The fields of a point of sale."""

    title: str = ""
    currency: str = ""
    keypad: bool = True
    most: str = ""
    tips: str = ""
    rows: tuple[Row, ...] = ()

    @property
    def shown_rows(self) -> tuple[Row, ...]:
        """The rows of the form: those of items, and empty ones for more."""
        return (*self.rows, *(Row() for _ in range(EMPTY_ROWS)))[:MOST_ITEMS]

    @property
    def code(self) -> str | None:
        """The currency; None: satoshis. Raises `WrongFieldError`."""
        text = self.currency.upper()
        if text in ("", "SAT", "SATS"):
            return None
        if len(text) != 3 or not (text.isascii() and text.isalpha()) or text == "BTC":
            raise WrongFieldError(NO_CURRENCY)
        return text

    @property
    def checked_title(self) -> str:
        """The title; raises `WrongFieldError`."""
        return _line(self.title, MOST_NAME, NO_TITLE)

    @property
    def menu(self) -> Menu:
        """What is sold; raises `WrongFieldError`."""
        currency = self.code
        most = parse_amount(self.most, currency) or Decimal(0)
        if self.keypad and not most:
            raise WrongFieldError(NO_MOST)
        if not self.keypad and not self.rows:
            raise WrongFieldError(NO_SALE)
        if len(self.rows) > MOST_ITEMS:
            raise WrongFieldError(TOO_MANY)
        return Menu(
            items=tuple(_item(row, at, currency) for at, row in enumerate(self.rows, 1)),
            keypad=self.keypad,
            most=most,
            tips=_tips(self.tips),
        )


def fields_in(form: Form) -> Fields:
    """The fields of a form that was sent; rows without a word are left out."""
    available = set(form.all("item-available"))
    columns = (form.all(f"item-{name}") for name in ("name", "price", "description"))
    rows = (
        Row(
            name=name.strip(),
            price=price.strip(),
            description=description.strip(),
            available=str(at) in available,
        )
        for at, (name, price, description) in enumerate(zip(*columns, strict=False))
    )
    return Fields(
        title=form.one("title"),
        currency=form.one("currency"),
        keypad=form.one("keypad") == "on",
        most=form.one("most"),
        tips=form.one("tips"),
        rows=tuple(row for row in rows if not row.is_empty),
    )


def fields_of(row: PointRow) -> Fields:
    """The fields for a point of sale as it is."""
    menu = row.menu
    return Fields(
        title=row.title,
        currency=row.currency or "",
        keypad=menu.keypad,
        most=str(menu.most) if menu.most else "",
        tips=" ".join(map(str, menu.tips)),
        rows=tuple(
            Row(
                name=each.name,
                price=str(each.price),
                description=each.description,
                available=each.available,
            )
            for each in menu.items
        ),
    )


def first_menu(currency: str | None) -> Menu:
    """What a new point of sale has: a keypad alone."""
    decimals = decimals_of(currency)
    most = Decimal(1000) if decimals else Decimal(1_000_000)
    return Menu(most=most.quantize(Decimal(1).scaleb(-decimals)))


def _item(row: Row, number: int, currency: str | None) -> Item:
    price = parse_amount(row.price, currency)
    if not price:
        example = "2.50" if decimals_of(currency) else "2500"
        raise WrongFieldError(NO_PRICE, number=number, example=example)
    description = row.description
    if description:
        description = _line(description, MOST_DESCRIPTION, NO_DESCRIPTION, number=number)
    return Item(
        name=_line(row.name, MOST_NAME, NO_NAME, number=number),
        price=price,
        description=description,
        available=row.available,
    )


def _tips(text: str) -> tuple[int, ...]:
    """The tips of a text, with blanks, commas or per cent signs between them."""
    found = text.replace(",", " ").replace("%", " ").split()
    numbers = {int(each) for each in found if each.isascii() and each.isdigit() and len(each) < 4}
    is_whole = len(numbers) == len(found) <= MOST_TIPS
    if not is_whole or not all(1 <= each <= MOST_PERCENT for each in numbers):
        raise WrongFieldError(NO_TIPS)
    return tuple(sorted(numbers))


def _line(text: str, most: int, refusal: str, **values: int) -> str:
    if not 0 < len(text) <= most or not text.isprintable():
        raise WrongFieldError(refusal, **values)
    return text
