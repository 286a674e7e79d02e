"""A shop's page on another origin shows an invoice over itself, by the script of `modal/`."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Browser, FrameLocator, Page, expect
from tests.browser.test_customer_pages import checkout
from tests.browser.visits import PHONE, SECONDS, is_too_wide, violations, visiting
from tests.merchant.pages import gallery
from tests.merchant.pages.site import Pages, opened
from tests.support.scripted_http import Answer, ScriptedServer

from dovetail.merchant.data.database import Database
from dovetail.merchant.data.invoices import InvoiceRow

pytestmark = pytest.mark.asyncio(loop_scope="session")

HTML = (("content-type", "text/html; charset=utf-8"),)
THANKS = b"<!doctype html><title>x</title><h1>Thanks</h1>"
SHOP = """<!doctype html>
<html lang="en"><title>Shop</title>
<h1>Tea</h1><button id="buy">Buy</button>
<script src="{script}"></script>
<script>
  window.heard = [];
  btcpay.setApiUrlPrefix("{base}/");
  btcpay.onModalWillEnter(() => heard.push("enter"));
  btcpay.onModalWillLeave(() => heard.push("leave"));
  btcpay.onModalReceiveMessage((event) => heard.push(event.data));
  document.getElementById("buy").onclick = () => btcpay.showInvoice("{invoice}");
</script>"""


@pytest_asyncio.fixture(loop_scope="session")
async def pages(tmp_path) -> AsyncIterator[Pages]:
    with Database.open(tmp_path / "shop.db") as database:
        async with opened(database) as made:
            yield made


@pytest.fixture
def shop() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@asynccontextmanager
async def shopping(
    browser: Browser, pages: Pages, shop: ScriptedServer, back: str
) -> AsyncIterator[tuple[Page, InvoiceRow]]:
    """A page of the shop that shows an invoice, which leads back to this address."""
    row = pages.add(gallery.add, redirect_url=back)
    base = f"{pages.url}/greenfield"
    told = SHOP.format(script=f"{base}/modal/btcpay.js?ver=2.8.0", base=base, invoice=row.id)
    shop.answers["/"] = Answer(200, told.encode(), headers=HTML)
    shop.answers["/thanks"] = Answer(200, THANKS, headers=HTML)
    context = await browser.new_context(locale="en-US")
    page = await context.new_page()
    page.set_default_timeout(SECONDS)
    await page.goto(shop.url)
    await page.get_by_role("button", name="Buy").click()
    try:
        yield page, row
    finally:
        await context.close()


async def shows(frame: FrameLocator, title: str) -> None:
    await expect(frame.get_by_role("heading", level=1)).to_have_text(title, timeout=SECONDS)


async def told(page: Page, *expected: object) -> None:
    await page.wait_for_function(f"heard.length >= {len(expected)}", timeout=SECONDS)
    assert await page.evaluate("heard") == list(expected)


async def test_the_shop_hears_of_the_payment_and_of_the_end(browser, pages, shop) -> None:
    async with shopping(browser, pages, shop, f"{shop.url}/thanks") as (page, row):
        frame = page.frame_locator("iframe[name=btcpay]")
        await shows(frame, "Waiting for your payment")
        new = {"invoiceId": str(row.id), "status": "new"}
        await told(page, "enter", "loaded", new)
        pages.look(row, gallery.AMOUNT)
        await shows(frame, "Payment received")
        processing = {"invoiceId": str(row.id), "status": "processing"}
        await told(page, "enter", "loaded", new, processing)
        pages.look(row, depth=1)
        await shows(frame, "Paid")
        settled = {"invoiceId": str(row.id), "status": "settled"}
        await told(page, "enter", "loaded", new, processing, settled)
        await frame.get_by_role("button", name="Close").click()
        await expect(page.locator("iframe[name=btcpay]")).to_be_hidden()
        await told(page, "enter", "loaded", new, processing, settled, "leave", "close")
        assert await page.evaluate("document.activeElement.id") == "buy"
        await page.evaluate("btcpay.showFrame()")
        await frame.get_by_role("link", name="Back to Tea & Co").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Thanks")


async def test_the_keyboard_closes_it_and_the_shop_can_too(browser, pages, shop) -> None:
    async with shopping(browser, pages, shop, f"{shop.url}/thanks") as (page, _):
        framed = page.locator("iframe[name=btcpay]")
        await shows(page.frame_locator("iframe[name=btcpay]"), "Waiting for your payment")
        await page.wait_for_function("heard.includes('loaded')")
        await page.keyboard.press("Escape")
        await expect(framed).to_be_hidden()
        assert (await page.evaluate("heard"))[-2:] == ["leave", "close"]
        await page.evaluate("btcpay.showFrame()")
        await expect(framed).to_be_visible()
        await page.evaluate("btcpay.hideFrame()")
        await expect(framed).to_be_hidden()
        assert (await page.evaluate("heard"))[-2:] == ["enter", "leave"]


async def test_everybody_can_use_the_framed_page(browser, pages) -> None:
    for scheme in ("light", "dark"):
        for make in (gallery.add, gallery.overpaid):
            row = pages.add(make, redirect_url="https://tea.example/thanks")
            url = f"{checkout(pages, row)}?view=modal"
            async with visiting(browser, url, viewport=PHONE, color_scheme=scheme) as page:
                assert not await is_too_wide(page)
                assert await violations(page) == []


async def test_another_site_cannot_show_it(browser, pages, shop) -> None:
    async with shopping(browser, pages, shop, "https://tea.example/thanks") as (page, _):
        await expect(page.locator("iframe[name=btcpay]")).to_be_visible()
        await page.wait_for_timeout(1_000)
        assert await page.evaluate("heard") == ["enter"]
        (frame,) = [each for each in page.frames if each.name == "btcpay"]
        assert frame.url.startswith("chrome-error:")


async def test_no_page_is_framed_without_being_opened_for_that(browser, pages, shop) -> None:
    async with shopping(browser, pages, shop, f"{shop.url}/thanks") as (page, row):
        await page.evaluate(
            f"document.querySelector('iframe').src = '{pages.url}/i/{row.id}?lang=en'"
        )
        await page.wait_for_timeout(1_000)
        (frame,) = [each for each in page.frames if each.name == "btcpay"]
        assert frame.url.startswith("chrome-error:")
