"""The customer's pages in a real browser: they follow the payment, and everybody can use them."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import expect
from tests.browser.visits import (
    PHONE,
    SECONDS,
    is_too_wide,
    open_details,
    read_code,
    shows,
    violations,
    visiting,
)
from tests.merchant.pages import gallery
from tests.merchant.pages.site import Pages, opened
from tests.merchant.refunds import CUSTOMER
from tests.support.clock import Clock

from dovetail.merchant.data import refunds
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.invoices import InvoiceRow
from dovetail.merchant.invoices.refunds import RefundStatus
from dovetail.merchant.pages import view
from dovetail.merchant.pages.view import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

FULL: dict[str, Any] = {
    "label": "Sencha, 2 bags of 100 g",
    "order_id": "A-1047",
    "price": "27.50",
    "currency": "EUR",
    "rate": "55000.00",
    "redirect_url": "https://shop.example/orders/A-1047",
}


@pytest_asyncio.fixture(loop_scope="session")
async def pages(tmp_path, clock) -> AsyncIterator[Pages]:
    with Database.open(tmp_path / "shop.db", clock=clock) as database:
        async with opened(database) as made:
            yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


def checkout(pages: Pages, row: InvoiceRow) -> str:
    return f"{pages.url}/i/{row.id}"


def each_page(pages: Pages) -> Iterator[str]:
    """An invoice in each stage, one that was overpaid, and a refund in each status."""
    row = pages.add(gallery.overpaid, **FULL)
    yield checkout(pages, row)
    for status in RefundStatus:
        steps = gallery.WAYS[status]
        _, token = gallery.refund(pages.database, row, *steps, address=str(CUSTOMER))
        yield f"{pages.url}/claims/{token}"
    for stage in Stage:
        if stage in gallery.HOLDS:
            pages.open_store(broadcasts_fallback=False)
        yield checkout(pages, pages.add(gallery.STAGES[stage], **FULL))


async def test_the_page_follows_a_payment_without_being_loaded_again(browser, pages) -> None:
    row = pages.add(gallery.add, **FULL)
    async with visiting(browser, checkout(pages, row)) as page:
        await shows(page, "Waiting for your payment")
        await page.evaluate("document.body.dataset.same = 'yes'")
        await expect(page.get_by_role("link", name="Back to Tea & Co")).to_have_count(0)
        pages.look(row, 20_000)
        await shows(page, "A part is still missing")
        assert "amount=0.0003" in await read_code(page)
        pages.look(row, 30_000)
        await shows(page, "Payment received")
        await expect(page.locator(".code")).to_have_count(0)
        pages.look(row, depth=1)
        await shows(page, "Paid")
        assert await page.title() == "Paid · Tea & Co"
        back = page.get_by_role("link", name="Back to Tea & Co")
        assert await back.get_attribute("href") == FULL["redirect_url"]
        assert await page.evaluate("document.body.dataset.same") == "yes"


async def test_the_page_asks_from_time_to_time_where_it_gets_no_stream(browser, tmp_path) -> None:
    with Database.open(tmp_path / "shop.db") as database:
        async with opened(database, visitor_streams=0) as pages:
            row = pages.add(gallery.add)
            context = await browser.new_context(locale="en-US")
            page = await context.new_page()
            await page.goto(checkout(pages, row))
            pages.look(row, gallery.AMOUNT)
            await shows(page, "Payment received")
            await context.close()


async def test_the_time_runs_out_on_the_page(browser, pages, clock) -> None:
    row = pages.add(gallery.add)
    clock.pass_by(897)
    async with visiting(browser, checkout(pages, row)) as page:
        await expect(page.get_by_role("timer")).to_have_text("0:01", timeout=SECONDS)
        clock.pass_by(3)
        await shows(page, "The time to pay is over")


async def test_what_is_copied_is_what_a_wallet_takes(browser, pages) -> None:
    row = pages.add(gallery.add)
    permissions = ["clipboard-read", "clipboard-write"]
    async with visiting(browser, checkout(pages, row), permissions=permissions) as page:
        uri = pages.row(row).uri
        for name, text in (
            ("Copy payment request", uri),
            ("Copy the address", row.address),
            ("Copy the amount", "0.00050000"),
        ):
            if name == "Copy the address":
                await page.get_by_text("Address and amount").click()
            await page.get_by_role("button", name=name).click()
            await expect(page.locator("#said")).to_have_text("Copied")
            assert await page.evaluate("navigator.clipboard.readText()") == text
        wallet = page.get_by_role("link", name="Open in wallet")
        assert await wallet.get_attribute("href") == uri


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_code_on_the_screen_is_the_payment_uri(browser, pages, scheme) -> None:
    row = pages.add(gallery.add, **FULL)
    async with visiting(
        browser, checkout(pages, row), color_scheme=scheme, viewport=PHONE, device_scale_factor=2
    ) as page:
        body, mark, rest = (pages.row(row).uri or "").partition("?")
        assert await read_code(page) == body.upper() + mark + rest


async def test_the_page_is_dark_for_who_wants_it_but_for_the_code(browser, pages) -> None:
    found = {}
    for scheme in ("light", "dark"):
        async with visiting(
            browser, checkout(pages, pages.add(gallery.add)), color_scheme=scheme
        ) as page:
            found[scheme] = [
                await page.locator(each).evaluate("each => getComputedStyle(each).backgroundColor")
                for each in ("body", ".code")
            ]
    assert found["light"][0] != found["dark"][0]
    assert found["light"][1] == found["dark"][1] == "rgb(255, 255, 255)"


async def test_without_a_script_the_page_follows_by_itself(browser, pages, monkeypatch) -> None:
    monkeypatch.setattr(view, "QUICK", 1)
    row = pages.add(gallery.add, **FULL)
    async with visiting(browser, checkout(pages, row), java_script_enabled=False) as page:
        told = page.locator("noscript p")
        await expect(told).to_have_text("This page loads itself again every 1 seconds.")
        await expect(told).to_be_visible()
        await expect(page.get_by_role("link", name="Open in wallet")).to_be_visible()
        await expect(page.get_by_role("button", name="Copy payment request")).to_be_hidden()
        pages.look(row, gallery.AMOUNT)
        await shows(page, "Payment received")


@pytest.mark.parametrize("scripted", [True, False])
async def test_a_customer_claims_a_refund(browser, pages, scripted) -> None:
    row = pages.add(gallery.overpaid)
    refund, token = gallery.refund(pages.database, row)
    url = f"{pages.url}/claims/{token}"
    async with visiting(browser, url, java_script_enabled=scripted) as page:
        await shows(page, "The shop wants to send you 20,000 sats")
        await page.get_by_label("Your address").fill(str(CUSTOMER))
        await page.get_by_role("button", name="Send address").click()
        await shows(page, "The shop has your address")
    found = pages.database.read(lambda c: refunds.refund(c, refund.id))
    assert found is not None
    assert (found.status, found.address) == (RefundStatus.CLAIMED, str(CUSTOMER))


@pytest.mark.parametrize("locale", ["en-US", "de-DE"])
async def test_each_page_fits_a_phone_and_twice_its_letters(browser, pages, locale) -> None:
    for url in each_page(pages):
        async with visiting(browser, url, viewport=PHONE, locale=locale) as page:
            assert not await is_too_wide(page), await page.title()
            await open_details(page)
            assert not await is_too_wide(page), await page.title()
            await page.set_viewport_size({"width": 640, "height": 640})
            await page.evaluate("document.documentElement.style.fontSize = '200%'")
            assert not await is_too_wide(page), await page.title()


async def test_the_keyboard_reaches_all_and_shows_where_it_is(browser, pages) -> None:
    async with visiting(browser, checkout(pages, pages.add(gallery.add))) as page:
        reached = []
        for _ in range(4):
            await page.keyboard.press("Tab")
            reached.append(await page.evaluate("document.activeElement.textContent.trim()"))
            outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid"
        assert reached == [
            "Open in wallet",
            "Copy payment request",
            "Address and amount",
            "Deutsch",
        ]


@pytest.mark.timeout(300)
async def test_axe_finds_nothing_on_any_page(browser, pages) -> None:
    for url in each_page(pages):
        async with visiting(browser, url, color_scheme="light") as page:
            await open_details(page)
            found = await violations(page)
            await page.emulate_media(color_scheme="dark")
            found += await violations(page, runOnly=["color-contrast"])
            assert found == []


async def test_axe_finds_nothing_on_a_refused_address(browser, pages) -> None:
    _, token = gallery.refund(pages.database, pages.add(gallery.overpaid))
    context = await browser.new_context(locale="de-DE")
    page = await context.new_page()
    await page.goto(f"{pages.url}/claims/{token}")
    await page.get_by_label("Ihre Adresse").fill("nothing")
    await page.get_by_role("button", name="Adresse senden").click()
    await expect(page.get_by_role("alert")).to_contain_text("Das ist keine Bitcoin-Adresse")
    assert await violations(page) == []
    await context.close()
