"""What a sale comes to, and what of it an invoice keeps."""

from decimal import Decimal
from itertools import product

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovetail.merchant.invoices import sales
from dovetail.merchant.invoices.sales import (
    MOST_ITEMS,
    MOST_NAME,
    MOST_OF_ONE,
    Item,
    Line,
    Menu,
    Sale,
    SaleRefused,
    Why,
    decimals_of,
    metadata_of,
    parse_amount,
    sale_in,
    sale_of,
)
from dovetail.merchant.messages.invoices import MAX_METADATA

MENU = Menu(
    items=(
        Item(name="Tea", price=Decimal("4.50")),
        Item(name="Cake", price=Decimal("3.25")),
        Item(name="Mochi", price=Decimal("2.00"), available=False),
    ),
    most=Decimal("200.00"),
    tips=(5, 10),
)


def sold(menu=MENU, currency="EUR", **given) -> Sale:
    usual = {"counts": {}, "point": "p", "title": "Counter"}
    return sale_of(menu, currency=currency, **(usual | given))


def test_items_an_amount_and_a_tip_are_added_up() -> None:
    sale = sold(counts={1: 1, 0: 2}, typed=Decimal("1.30"), tip_percent=10)
    assert sale.lines == (
        Line(name="Tea", count=2, price=Decimal("4.50"), total=Decimal("9.00")),
        Line(name="Cake", count=1, price=Decimal("3.25"), total=Decimal("3.25")),
    )
    assert (sale.typed, sale.tip, sale.total) == (
        Decimal("1.30"),
        Decimal("1.36"),  # 1.355, half up
        Decimal("14.91"),
    )


def test_satoshis_have_no_decimals() -> None:
    menu = Menu(most=Decimal(1_000_000), tips=(5,))
    sale = sold(menu, None, typed=Decimal(1_250), tip_percent=5)
    assert (str(sale.tip), str(sale.total)) == ("63", "1313")


def test_what_is_typed_without_an_amount_is_not_noted() -> None:
    assert sold(counts={0: 1}, typed=Decimal(0)).typed is None


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, Why.NOTHING),
        ({"counts": {0: 0}, "tip_percent": 10}, Why.NOTHING),
        ({"typed": Decimal(0)}, Why.NOTHING),
        ({"counts": {0: MOST_OF_ONE + 1}}, Why.TOO_MANY),
        ({"counts": {0: -1, 1: 2}}, Why.TOO_MANY),
        ({"counts": {2: 1}}, Why.NOT_OFFERED),
        ({"counts": {3: 1}}, Why.NOT_OFFERED),
        ({"counts": {-1: 1}}, Why.NOT_OFFERED),
        ({"counts": {0: 1}, "tip_percent": 7}, Why.NOT_OFFERED),
        ({"counts": {0: 1}, "tip_percent": -5}, Why.NOT_OFFERED),
        ({"typed": Decimal("200.01")}, Why.TOO_MUCH),
    ],
)
def test_what_is_not_sold_is_refused(given, why) -> None:
    with pytest.raises(SaleRefused) as refused:
        sold(**given)
    assert refused.value.why is why


def test_no_amount_is_taken_without_a_keypad() -> None:
    menu = msgspec.structs.replace(MENU, keypad=False)
    with pytest.raises(SaleRefused, match="open the page anew"):
        sold(menu, typed=Decimal(1))
    assert sold(menu, counts={0: 1}).total == Decimal("4.50")


def test_as_much_as_may_be_typed_is_taken() -> None:
    assert sold(typed=Decimal("200.00")).total == Decimal("200.00")


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("12", "EUR", "12.00"),
        ("12.5", "EUR", "12.50"),
        ("12,50", "EUR", "12.50"),
        ("12.", "EUR", "12.00"),
        ("007", "EUR", "7.00"),
        ("0", "EUR", "0.00"),
        ("0.125", "KWD", "0.125"),
        ("1250", None, "1250"),
        ("1250.", "JPY", "1250"),
        ("999999999", None, "999999999"),
    ],
)
def test_an_amount_is_read_as_people_type_it(text, currency, amount) -> None:
    assert str(parse_amount(text, currency)) == amount


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        (text, currency)
        for text, currency in product(
            (
                "",
                ".",
                ".5",
                "-1",
                "+1",
                "1e3",
                "NaN",
                "1.234",
                "1,234.00",
                "1 000",
                "½",
                "٣",
                "1\n",
            ),
            ("EUR", None),
        )
    ]
    + [("12.5", None), ("1.5", "JPY"), ("1000000000", "EUR"), ("9" * 50, None)],
)
def test_what_is_no_amount_is_none(text, currency) -> None:
    assert parse_amount(text, currency) is None


def test_currencies_have_the_decimals_of_iso_4217() -> None:
    assert [decimals_of(each) for each in (None, "JPY", "EUR", "USD", "KWD")] == [0, 0, 2, 2, 3]


@given(
    st.dictionaries(st.integers(0, 1), st.integers(0, MOST_OF_ONE)),
    st.decimals(0, 200, places=2),
    st.sampled_from([0, 5, 10]),
)
def test_the_parts_of_a_sale_are_its_total(counts, typed, tip) -> None:
    if not typed and not any(counts.values()):
        with pytest.raises(SaleRefused, match="nothing to pay"):
            sold(counts=counts, typed=typed, tip_percent=tip)
        return
    sale = sold(counts=counts, typed=typed, tip_percent=tip)
    before = sum((each.total for each in sale.lines), sale.typed or Decimal(0))
    assert sale.total == before + sale.tip
    assert abs(sale.tip - before * tip / 100) <= Decimal("0.005")
    assert sale_in(msgspec.json.encode(metadata_of(sale))) == sale


def test_the_largest_sale_fits_an_invoices_metadata() -> None:
    item = Item(name="\N{PINEAPPLE}" * MOST_NAME, price=Decimal("999999999.999"))
    menu = Menu(items=(item,) * MOST_ITEMS, most=item.price, tips=(100,))
    sale = sale_of(
        menu,
        point="0" * 36,
        title=item.name,
        currency="KWD",
        counts=dict.fromkeys(range(MOST_ITEMS), MOST_OF_ONE),
        typed=item.price,
        tip_percent=100,
    )
    assert len(msgspec.json.encode(metadata_of(sale))) <= MAX_METADATA


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        b"{}",
        b'{"point_of_sale": 7}',
        b'{"point_of_sale": {"total": "x"}}',
        b'{"note": "point_of_sale"}',
        b'["point_of_sale"]',
        b"point_of_sale",
    ],
)
def test_metadata_of_others_have_no_sale(metadata) -> None:
    assert sale_in(metadata) is None


def test_the_shops_other_data_beside_a_sale_is_left_alone() -> None:
    noted = metadata_of(sold(counts={0: 1})) | {"note": "table 4"}
    assert sale_in(msgspec.json.encode(noted)) == sold(counts={0: 1})
    assert sales.NOTE in noted
