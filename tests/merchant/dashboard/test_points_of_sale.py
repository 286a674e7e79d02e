"""Points of sale in the dashboard: made, changed, closed, and what was bought there."""

import html
import re
from decimal import Decimal

import msgspec
import pytest
from tests.merchant.counter import CAFE, FixedRates, add_point
from tests.merchant.dashboard.browsing import BOTH
from tests.merchant.shop import add_one, add_shop

from dovetail.merchant.dashboard import menus
from dovetail.merchant.dashboard import points_of_sale as pages
from dovetail.merchant.data import audit, points_of_sale
from dovetail.merchant.data.schema import stores as stores_table
from dovetail.merchant.invoices.sales import (
    MOST_DESCRIPTION,
    MOST_ITEMS,
    MOST_NAME,
    MOST_PERCENT,
    MOST_TIPS,
    metadata_of,
    sale_of,
)
from dovetail.merchant.messages import Role

VERSION = re.compile(r'name="version" value="([0-9a-f]{16})"')
VALUE = re.compile(r'name="item-(name|price|description)" value="([^"]*)"')


@pytest.fixture
def store(office):
    return office.database.write(add_shop)


@pytest.fixture
def point(office, store):
    return office.database.write(lambda c: add_point(c, store, currency=None, menu=SATS))


SATS = msgspec.structs.replace(
    CAFE,
    items=tuple(
        msgspec.structs.replace(each, price=Decimal(int(each.price * 1000))) for each in CAFE.items
    ),
    most=Decimal(100_000),
)


def now(office, row):
    return office.database.read(lambda c: points_of_sale.point(c, row.id))


def acts(office, count: int) -> list[tuple[str, str]]:
    found = office.database.read(lambda c: audit.page(c, limit=count))
    return [(each.what, each.who) for each in found]


def fields(page: str) -> dict[str, list[str]]:
    """The fields of the form on a page as a browser sends them."""
    found: dict[str, list[str]] = {}
    for tag in re.findall(r"<input [^>]*>", page):
        told = {
            name: html.unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)
        }
        if told.get("name") in (None, "form", "archived"):
            continue
        if told.get("type") != "checkbox" or " checked" in tag:
            found.setdefault(told["name"], []).append(told.get("value", ""))
    return found


async def opened(office, row, role=Role.MANAGER):
    browser = await office.user(role)
    shown = await browser.get(f"{pages.LIST}/{row.id}")
    assert shown.status == 200
    return browser, fields(shown.text)


@BOTH
async def test_a_manager_makes_a_point_of_sale_and_says_what_it_sells(office, store) -> None:
    browser = await office.user(Role.MANAGER)
    assert "There is no point of sale yet." in (await browser.get(pages.LIST)).said
    made = await browser.post(pages.LIST, {"title": "Bar", "store": store.id, "currency": ""})
    (row,) = office.database.read(points_of_sale.all_points)
    assert made.header("location") == f"{pages.LIST}/{row.id}?done=point-made"
    shown = await browser.get(f"{pages.LIST}/{row.id}?done=point-made")
    assert "The point of sale was made. Say now what it sells." in shown.said
    given = fields(shown.text) | {
        "item-name": ["Tea", "", "Cake"],
        "item-price": ["450", "", "320"],
        "item-description": ["A pot", "", ""],
        "item-available": ["0", "1"],
        "tips": "10, 5 %",
        "most": "50000",
    }
    saved = await browser.post(f"{pages.LIST}/{row.id}", given)
    assert saved.header("location") == f"{pages.LIST}/{row.id}?done=point-saved"
    menu = now(office, row).menu
    assert [
        (each.name, str(each.price), each.description, each.available) for each in menu.items
    ] == [
        ("Tea", "450", "A pot", True),
        ("Cake", "320", "", False),
    ]
    assert (menu.tips, menu.most, menu.keypad) == ((5, 10), Decimal(50_000), True)
    listed = await browser.get(pages.LIST)
    assert "2 items, any amount" in listed.said
    assert f'href="/pos/{row.token}"' in listed.text
    who = acts(office, 1)[0][1]
    assert acts(office, 2) == [("point-of-sale.change", who), ("point-of-sale.create", who)]
    assert who.startswith("user ")


async def test_a_form_that_is_saved_as_it_is_changes_nothing(office, point) -> None:
    browser, given = await opened(office, point)
    await browser.post(f"{pages.LIST}/{point.id}", given)
    assert now(office, point) == point


async def test_there_are_free_rows_for_more_items_up_to_the_most(office, store) -> None:
    first = SATS.items[0]
    items = tuple(msgspec.structs.replace(first, name=str(n)) for n in range(MOST_ITEMS - 1))
    row = office.database.write(
        lambda c: add_point(
            c, store, currency=None, menu=msgspec.structs.replace(SATS, items=items)
        )
    )
    browser, given = await opened(office, row)
    assert len(given["item-name"]) == MOST_ITEMS
    given["item-name"] = [f"Item {n}" for n in range(MOST_ITEMS + 1)]
    given["item-price"] = given["item-description"] = ["1"] * (MOST_ITEMS + 1)
    answer = await browser.post(f"{pages.LIST}/{row.id}", given)
    assert (answer.status, menus.TOO_MANY in answer.said) == (422, True)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"title": ""}, menus.NO_TITLE),
        ({"title": "x" * 41}, menus.NO_TITLE),
        ({"title": "a\nb"}, menus.NO_TITLE),
        ({"currency": "EURO"}, menus.NO_CURRENCY),
        ({"currency": "12E"}, menus.NO_CURRENCY),
        ({"currency": "BTC"}, menus.NO_CURRENCY),
        ({"most": ""}, menus.NO_MOST),
        ({"most": "0"}, menus.NO_MOST),
        ({"most": "1.5"}, menus.NO_MOST),
        ({"tips": "5 10 15 20 25 30"}, menus.NO_TIPS),
        ({"tips": "5 5"}, menus.NO_TIPS),
        ({"tips": "0"}, menus.NO_TIPS),
        ({"tips": "101"}, menus.NO_TIPS),
        ({"tips": "much"}, menus.NO_TIPS),
        ({"item-name": ["", "b", "c"]}, menus.NO_NAME % {"number": 1}),
        ({"item-name": ["a", "x" * 41, "c"]}, menus.NO_NAME % {"number": 2}),
        ({"item-price": ["1", "2", "free"]}, menus.NO_PRICE % {"number": 3, "example": "2500"}),
        ({"item-price": ["1", "0", "2"]}, menus.NO_PRICE % {"number": 2, "example": "2500"}),
        ({"item-description": ["x" * 81, "", ""]}, menus.NO_DESCRIPTION % {"number": 1}),
        ({"keypad": [], "item-name": [], "most": ""}, menus.NO_SALE),
    ],
)
async def test_what_makes_no_sense_is_told_and_typed_again(office, point, wrong, words) -> None:
    browser, given = await opened(office, point)
    answer = await browser.post(f"{pages.LIST}/{point.id}", given | wrong)
    assert answer.status == 422
    assert words in answer.said
    kept = fields(answer.text)
    for name, value in wrong.items():
        if isinstance(value, str) and "\n" not in value:
            assert kept[name] == [value]
    assert now(office, point) == point


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"title": ""}, "Titel"),
        ({"item-price": ["1", "2", "free"]}, "Artikel 3: Geben Sie einen Preis über 0 an, etwa 2"),
        ({"item-name": ["", "b", "c"]}, "Artikel 1: Geben Sie einen Namen von 1 bis 40 Zeichen"),
        ({"item-description": ["x" * 81, "", ""]}, "Artikel 1: Kürzen Sie die Beschreibung"),
    ],
)
async def test_what_makes_no_sense_is_told_in_german(office, point, wrong, words) -> None:
    browser, given = await opened(office, point)
    path = f"{pages.LIST}/{point.id}"
    answer = await browser.post(path, given | wrong, accept_language="de")
    assert answer.status == 422
    (told,) = re.findall(r'role="alert">([^<]+)<', answer.text)
    assert words in html.unescape(told)


async def test_a_point_of_sale_without_a_keypad_needs_no_most(office, point) -> None:
    browser, given = await opened(office, point)
    await browser.post(f"{pages.LIST}/{point.id}", given | {"keypad": [], "most": ""})
    assert not now(office, point).menu.keypad
    _, given = await opened(office, point)
    assert ("keypad" in given, given["most"]) == (False, [""])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"title": ""}, menus.NO_TITLE),
        ({"currency": "EURO"}, menus.NO_CURRENCY),
        ({"store": "nothing"}, pages.NO_STORE),
        ({"store": "0193e5ad-0000-7000-8000-000000000000"}, pages.NO_STORE),
    ],
)
async def test_what_cannot_be_made_is_told(office, store, wrong, words) -> None:
    browser = await office.user()
    await browser.get(pages.LIST)
    given = {"title": "Bar", "store": store.id, "currency": ""}
    answer = await browser.post(pages.LIST, given | wrong)
    assert (answer.status, words in answer.said) == (422, True)
    assert office.database.read(points_of_sale.all_points) == ()


async def test_an_archived_store_gets_no_point_of_sale(office, store) -> None:
    browser = await office.user()
    await browser.get(pages.LIST)
    office.database.write(lambda c: c.execute(stores_table.update().values(archived_at=1)))
    answer = await browser.post(pages.LIST, {"title": "Bar", "store": store.id, "currency": ""})
    assert answer.status == 422
    assert "New point of sale" not in answer.said


async def test_of_two_changes_at_once_the_second_is_told(office, point) -> None:
    browser, given = await opened(office, point)
    await browser.post(f"{pages.LIST}/{point.id}", given | {"title": "First"})
    answer = await browser.post(f"{pages.LIST}/{point.id}", given | {"title": "Second"})
    assert (answer.status, pages.MEANWHILE in answer.said) == (409, True)
    assert now(office, point).title == "First"


async def test_a_point_of_sale_is_closed_and_opened_again(office, point) -> None:
    browser, _ = await opened(office, point)
    for archived, done, page in (("on", "closed", 404), ("off", "opened", 200)):
        answer = await browser.post(f"{pages.LIST}/{point.id}/archive", {"archived": archived})
        assert answer.header("location") == f"{pages.LIST}/{point.id}?done=point-{done}"
        assert (await browser.get(f"/pos/{point.token}")).status == page
        shown = await browser.get(pages.LIST)
        assert ("Closed" in shown.said) is (archived == "on")
        await browser.get(f"{pages.LIST}/{point.id}")


async def test_a_point_of_sale_gets_another_address(office, point) -> None:
    browser, _ = await opened(office, point)
    answer = await browser.post(f"{pages.LIST}/{point.id}/address")
    assert answer.header("location") == f"{pages.LIST}/{point.id}?done=point-moved"
    token = now(office, point).token
    assert token != point.token
    assert (await browser.get(f"/pos/{point.token}")).status == 404
    assert (await browser.get(f"/pos/{token}")).status == 200
    assert [what for what, _ in acts(office, 1)] == ["point-of-sale.address"]


async def test_an_unknown_point_of_sale_is_no_page(office, point) -> None:
    browser, given = await opened(office, point)
    for unknown in ("x", point.store_id):
        assert (await browser.get(f"{pages.LIST}/{unknown}")).status == 404
        for rest in ("", "/archive", "/address"):
            assert (await browser.post(f"{pages.LIST}/{unknown}{rest}", given)).status == 404


async def test_a_viewer_sees_the_list_and_no_form(office, point) -> None:
    shown = await (await office.user(Role.VIEWER)).get(pages.LIST)
    assert "Counter" in shown.said
    assert "New point of sale" not in shown.said
    assert f"{pages.LIST}/{point.id}" not in shown.text


async def test_a_currency_without_a_rate_is_told(office, store) -> None:
    row = office.database.write(lambda c: add_point(c, store))
    browser = await office.user()
    rates = FixedRates()
    object.__setattr__(office.parts, "rates", rates)
    assert "no exchange rate" not in (await browser.get(f"{pages.LIST}/{row.id}")).said
    rates.known.clear()
    assert "no exchange rate for EUR now" in (await browser.get(f"{pages.LIST}/{row.id}")).said


@BOTH
async def test_an_invoice_shows_what_was_bought(office, store) -> None:
    row = office.database.write(lambda c: add_point(c, store, title="Bar <i>"))
    sale = sale_of(
        CAFE,
        point=str(row.id),
        title=row.title,
        currency="EUR",
        counts={0: 2},
        typed=Decimal("1.30"),
        tip_percent=10,
    )
    metadata = msgspec.json.encode(metadata_of(sale))
    bought = office.database.write(
        lambda c: add_one(c, store, now=int(office.database.now()), metadata=metadata)
    )
    shown = await (await office.user(Role.VIEWER)).get(f"/dashboard/invoices/{bought.id}")
    for words in (
        "Bought at Bar <i>",
        "Sencha, a pot 2 \N{MULTIPLICATION SIGN} 4.50 9.00",
        "Amount that was typed 1.30",
        "Tip of 10 per cent 1.03",
        "Total 11.33",
    ):
        assert words in shown.said
    assert "Bar <i>" not in shown.text
    german = await (await office.user()).get(
        f"/dashboard/invoices/{bought.id}", accept_language="de"
    )
    assert "4,50 9,00" in german.said
    assert "11,33" in german.said


def test_the_sentences_name_the_limits() -> None:
    for words, limits in (
        (menus.NO_TITLE, [MOST_NAME]),
        (menus.NO_NAME, [MOST_NAME]),
        (menus.NO_DESCRIPTION, [MOST_DESCRIPTION]),
        (menus.NO_TIPS, [MOST_TIPS, MOST_PERCENT]),
        (menus.TOO_MANY, [MOST_ITEMS]),
    ):
        assert all(str(each) in words for each in limits), words
