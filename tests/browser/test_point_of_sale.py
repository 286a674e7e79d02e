"""A point of sale in a real browser: sales by items, by keypad and without a script."""

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, ViewportSize, expect
from tests.browser.visits import (
    PHONE,
    is_too_wide,
    read_code,
    shows,
    violations,
    visiting,
)
from tests.merchant.counter import CAFE, KEYPAD, Counter, open_counter
from tests.merchant.dashboard.browsing import PASSWORD, QUICK
from tests.merchant.pages import gallery
from tests.support.clock import Clock

from dovetail.merchant.data import invoices
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.invoices import InvoiceFilter, InvoiceRow
from dovetail.merchant.data.points_of_sale import PointRow
from dovetail.merchant.invoices.sales import sale_in
from dovetail.merchant.messages import Role
from dovetail.merchant.pages.view import Stage
from dovetail.merchant.services.users import Users

pytestmark = pytest.mark.asyncio(loop_scope="session")

TABLET: ViewportSize = {"width": 1024, "height": 700}
UPRIGHT: ViewportSize = {"width": 768, "height": 1024}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture(loop_scope="session")
async def counter(tmp_path, clock) -> AsyncIterator[Counter]:
    with Database.open(tmp_path / "shop.db", clock=clock) as database:
        async with open_counter(database) as made:
            yield made


def url(counter: Counter, row: PointRow) -> str:
    return f"{counter.url}/pos/{row.token}"


def bought(counter: Counter) -> InvoiceRow:
    (row,) = counter.database.read(lambda c: invoices.page(c, InvoiceFilter()))
    return row


async def total(page: Page) -> str:
    return (await page.locator("#total").inner_text()).replace("\N{NO-BREAK SPACE}", " ")


async def submit(page: Page) -> None:
    await page.get_by_role("button", name="Show the payment").click()


async def test_a_sale_by_items_and_a_tip(browser: Browser, counter: Counter) -> None:
    row = counter.point()
    async with visiting(browser, url(counter, row), viewport=TABLET) as page:
        assert await total(page) == "0.00 EUR"
        for name in ("Sencha, a pot", "Sencha, a pot", "Matcha cake"):
            await page.get_by_role("button", name=f"One more: {name}").click()
        await page.get_by_role("button", name="One less: Matcha cake").click()
        assert await total(page) == "9.00 EUR"
        await page.get_by_label("10 %").check()
        assert await total(page) == "9.90 EUR"
        await submit(page)
        await shows(page, "Waiting for your payment")
        await expect(page.locator(".large")).to_have_text("9.90\N{NO-BREAK SPACE}EUR")
        sale = bought(counter)
        body, mark, rest = (sale.uri or "").partition("?")
        assert await read_code(page) == body.upper() + mark + rest
        await expect(page.get_by_role("link", name="New sale")).to_have_count(0)
        counter.look(sale, int(sale.amount))
        await shows(page, "Payment received")
        await page.get_by_role("link", name="New sale").click()
        await shows(page, "Counter")
        assert await total(page) == "0.00 EUR"
        assert await page.get_by_role("textbox", name="Sencha, a pot").input_value() == ""
    noted = sale_in(sale.metadata)
    assert noted is not None
    assert (noted.tip, noted.total) == (Decimal("0.90"), Decimal("9.90"))


async def test_a_sale_by_keypad(browser: Browser, counter: Counter) -> None:
    row = counter.point()
    async with visiting(browser, url(counter, row), viewport=PHONE) as page:

        async def press(*keys: str) -> None:
            for key in keys:
                await page.get_by_role("button", name=key, exact=True).click()

        await press("0", "1", "2", "Decimal point", "Decimal point", "5", "9", "0")
        assert await page.locator("#amount").input_value() == "12.59"
        await press("Delete the last digit", "0")
        assert await total(page) == "12.50 EUR"
        await submit(page)
        await shows(page, "Waiting for your payment")
    assert bought(counter).price == "12.50"


async def test_satoshis_by_keypad(browser: Browser, counter: Counter) -> None:
    row = counter.point(currency=None, menu=KEYPAD)
    async with visiting(browser, url(counter, row), locale="de-DE") as page:
        for key in ("00", "2", "1", "00", "0", "0", "0", "0", "0"):
            await page.get_by_role("button", name=key, exact=True).click()
        assert await total(page) == "210.000.000 sats"
        for _ in range(6):
            await page.get_by_role("button", name="Letzte Ziffer löschen").click()
        await page.locator("#amount").press("End")
        await page.locator("#amount").press_sequentially("50")
        assert await total(page) == "21.050 sats"
        await page.get_by_role("button", name="Zahlung anzeigen").click()
        await shows(page, "Wir warten auf Ihre Zahlung")
    assert bought(counter).amount == 21_050


async def test_a_sale_without_a_script(browser: Browser, counter: Counter) -> None:
    row = counter.point()
    async with visiting(browser, url(counter, row), java_script_enabled=False) as page:
        await expect(page.get_by_role("button", name="One more: Matcha cake")).to_be_hidden()
        await expect(page.get_by_role("group", name="Keypad")).to_be_hidden()
        await page.get_by_role("textbox", name="Sencha, a pot").fill("2")
        await page.get_by_label("Another amount in EUR").fill("1,30")
        await page.get_by_label("15 %").check()
        await submit(page)
        await shows(page, "Waiting for your payment")
        sale = bought(counter)
        assert sale.price == "11.85"
        counter.look(sale, int(sale.amount))
        await page.reload()
        await page.get_by_role("link", name="New sale").click()
        await shows(page, "Counter")


async def test_two_clicks_make_one_invoice(browser: Browser, counter: Counter) -> None:
    row = counter.point()
    async with visiting(browser, url(counter, row)) as page:
        await page.get_by_role("button", name="One more: Matcha cake").click()
        await page.get_by_role("button", name="Show the payment").dblclick()
        await shows(page, "Waiting for your payment")
    assert bought(counter).price == "3.20"


async def test_what_is_refused_is_told_where_it_is_read_first(
    browser: Browser, counter: Counter
) -> None:
    context = await browser.new_context(locale="de-DE", viewport=PHONE)
    page = await context.new_page()
    await page.goto(url(counter, counter.point()))
    await page.get_by_role("textbox", name="Sencha, a pot").fill("2")
    await page.locator("#amount").fill("1.2.3")
    await page.get_by_role("button", name="Zahlung anzeigen").click()
    await expect(page.get_by_role("alert")).to_contain_text("Das ist kein Betrag")
    await expect(page.get_by_role("alert")).to_be_in_viewport()
    assert await page.get_by_role("textbox", name="Sencha, a pot").input_value() == "2"
    assert await total(page) == "9,00 EUR"
    assert not await is_too_wide(page)
    assert await violations(page) == []
    await context.close()


def screens(counter: Counter) -> Iterator[str]:
    """Each kind of a point of sale, and an invoice at a counter in each stage."""
    yield url(counter, counter.point())
    yield url(counter, counter.point(currency=None, menu=KEYPAD))
    for stage in Stage:
        if stage in gallery.HOLDS:
            counter.open_store(broadcasts_fallback=False)
        row = counter.add(gallery.STAGES[stage], label="Counter", price="27.50", currency="EUR")
        yield f"{counter.url}/i/{row.id}?counter=1"


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en-US"), ("dark", "de-DE")])
async def test_each_screen_fits_a_phone_and_has_no_violations(
    browser: Browser, counter: Counter, scheme: str, locale: str
) -> None:
    for each in screens(counter):
        async with visiting(
            browser, each, viewport=PHONE, color_scheme=scheme, locale=locale
        ) as page:
            assert not await is_too_wide(page), await page.title()
            assert await violations(page) == []
            await page.set_viewport_size({"width": 640, "height": 640})
            await page.evaluate("document.documentElement.style.fontSize = '200%'")
            assert not await is_too_wide(page), await page.title()


@pytest.mark.parametrize(("size", "share"), [(TABLET, 0.75), (UPRIGHT, 0.6), (PHONE, 0.4)])
async def test_the_code_fills_the_screen_and_is_read(
    browser: Browser, counter: Counter, size: ViewportSize, share: float
) -> None:
    row = counter.add(gallery.add, label="Counter", price="27.50", currency="EUR")
    there = f"{counter.url}/i/{row.id}?counter=1"
    async with visiting(
        browser, there, viewport=size, color_scheme="dark", device_scale_factor=2
    ) as page:
        box = await page.locator(".code").bounding_box()
        assert box is not None
        assert box["width"] == pytest.approx(box["height"], abs=3)
        assert box["height"] >= share * size["height"]
        await expect(page.get_by_role("timer")).to_be_in_viewport(ratio=1)
        body, mark, rest = (row_uri(counter, row)).partition("?")
        assert await read_code(page) == body.upper() + mark + rest


def row_uri(counter: Counter, row: InvoiceRow) -> str:
    return counter.row(row).uri or ""


async def test_the_keyboard_reaches_each_choice(browser: Browser, counter: Counter) -> None:
    row = counter.point(menu=CAFE)
    async with visiting(browser, url(counter, row)) as page:
        reached = []
        for _ in range(6):
            await page.keyboard.press("Tab")
            reached.append(
                await page.evaluate(
                    "document.activeElement.getAttribute('aria-label') || document.activeElement.id"
                )
            )
            outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid"
        assert reached == [
            "One less: Sencha, a pot",
            "count-0",
            "One more: Sencha, a pot",
            "One less: Matcha cake",
            "count-1",
            "One more: Matcha cake",
        ]
        await page.locator("[name=tip]").first.focus()
        await page.keyboard.press("ArrowRight")
        assert await page.get_by_label("5 %", exact=True).is_checked()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_dashboard_makes_one_on_a_phone(
    browser: Browser, counter: Counter, scheme: Literal["light", "dark"]
) -> None:
    users = Users(counter.database, QUICK)
    users.add("Ada", PASSWORD, Role.MANAGER, by="test")
    there = f"{counter.url}/dashboard/sign-in?next=%2Fdashboard%2Fpoints-of-sale"
    async with visiting(browser, there, viewport=PHONE, color_scheme=scheme) as page:
        await page.get_by_label("Name").fill("Ada")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await shows(page, "Points of sale")
        assert await violations(page) == []
        await page.get_by_label("Title, which customers see").fill("Bar")
        await page.get_by_role("button", name="Make point of sale").click()
        await shows(page, "Bar")
        item = page.get_by_role("group", name="Item 1")
        await item.get_by_label("Name").fill("Lemonade")
        await item.get_by_label("Price").fill("4000")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_text("The point of sale was saved.")).to_be_visible()
        assert await violations(page) == []
        assert not await is_too_wide(page)
        await page.get_by_role("link", name="Open its page").click()
        await shows(page, "Bar")
        await page.get_by_role("button", name="One more: Lemonade").click()
        assert await total(page) == "4,000 sats"
        await submit(page)
        await shows(page, "Waiting for your payment")
        await page.goto(f"{counter.url}/dashboard/invoices/{bought(counter).id}")
        await expect(page.get_by_role("heading", name="Bought at Bar")).to_be_visible()
        assert await violations(page) == []
        assert not await is_too_wide(page)
