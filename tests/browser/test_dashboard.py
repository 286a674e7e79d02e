"""The dashboard in a real browser: an owner works with it, and everybody can use each page."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from playwright.async_api import Browser, Page, expect
from tests.browser.visits import (
    PHONE,
    is_too_wide,
    open_details,
    shows,
    violations,
    visiting,
)
from tests.merchant.dashboard.browsing import PASSWORD, QUICK
from tests.merchant.dashboard.showroom import Rooms, furnish
from tests.merchant.pages.site import opened
from tests.merchant.refunds import CUSTOMER

from dovetail.merchant.data import refunds, user_codes, users
from dovetail.merchant.data.database import Database
from dovetail.merchant.invoices.refunds import RefundStatus
from dovetail.merchant.messages import Role
from dovetail.merchant.pages.view import Stage
from dovetail.merchant.services.users import Users

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = b"s" * 20


@dataclass
class Office:
    """A served shop with its owner, who has set up codes."""

    url: str
    rooms: Rooms

    @property
    def dashboard(self) -> str:
        return f"{self.url}/dashboard"

    async def sign_in(self, page: Page) -> None:
        await page.get_by_label("Name").fill("Ada")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await shows(page, "One more step")
        shown = TOTP(SECRET, 6, SHA1(), 30)  # noqa: S303 - RFC 6238
        await page.get_by_label("Code").fill(shown.generate(int(time.time())).decode())
        await page.get_by_role("button", name="Continue").click()

    async def signed_in(self, browser: Browser) -> Any:
        """The cookies of a browser in which the owner has signed in."""
        async with visiting(browser, self.dashboard) as page:
            await self.sign_in(page)
            await shows(page, "Overview")
            return await page.context.storage_state()

    @property
    def pages(self) -> list[str]:
        """One of each page."""
        rooms = self.rooms
        paths = ("", "/invoices", "/refunds", "/coins", "/webhooks", "/keys", "/users")
        invoices = (rooms.payjoin, rooms.overpaid, rooms.stages[Stage.HELD])
        return [
            f"{self.dashboard}{path}"
            for path in (
                *paths,
                *(f"/invoices/{each.id}" for each in invoices),
                f"/refunds/{rooms.refunds[RefundStatus.CLAIMED]}",
                f"/webhooks/{rooms.endpoint}",
                "/points-of-sale",
                f"/points-of-sale/{rooms.point}",
                "/account",
                "/check",
            )
        ]


@pytest_asyncio.fixture(loop_scope="session")
async def office(tmp_path) -> AsyncIterator[Office]:
    with Database.open(tmp_path / "shop.db") as database:
        Users(database, QUICK).add("Ada", PASSWORD, Role.OWNER, by="test")

        def write(connection: Any) -> None:
            row = users.user_of_name(connection, "Ada")
            assert row is not None
            user_codes.propose(connection, row.id, SECRET)
            user_codes.confirm(connection, row.id, by="test", now=database.now())

        database.write(write)
        async with opened(database) as made:
            yield Office(made.url, furnish(database, made.store, str(CUSTOMER)))


@pytest.mark.parametrize("scripted", [True, False])
async def test_an_owner_signs_in_finds_an_invoice_and_approves_a_refund(
    browser, office, scripted
) -> None:
    rooms = office.rooms
    async with visiting(browser, office.dashboard, java_script_enabled=scripted) as page:
        await shows(page, "Sign in")
        await office.sign_in(page)
        await shows(page, "Overview")
        await expect(page.get_by_text("settled invoices were paid by payjoin")).to_be_visible()
        await expect(page.get_by_text("of miner's fees for")).to_be_visible()

        await page.get_by_role("link", name="Invoices", exact=True).click()
        await page.get_by_label("Search").fill(str(rooms.payjoin.order_id))
        await page.get_by_role("button", name="Search").click()
        await expect(page.locator("tbody tr")).to_have_count(1)
        await page.locator("tbody tr").get_by_role("link").click()
        await shows(page, str(rooms.payjoin.order_id))
        await expect(
            page.get_by_text("The payment has all its confirmations.").first
        ).to_be_visible()
        await expect(page.get_by_role("img", name="The transaction's inputs")).to_be_visible()

        await page.get_by_role("link", name="Refunds", exact=True).click()
        waiting = page.locator("tbody tr").filter(has_text="Waits for approval")
        await waiting.get_by_role("link").click()
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_role("status")).to_contain_text("The refund was approved.")

        await page.get_by_role("link", name="Deutsch").click()
        await shows(page, "Rückerstattung über 20.000 sats".replace(" sats", "\xa0sats"))
        await page.get_by_role("button", name="Abmelden").click()
        await shows(page, "Anmelden")
    found = rooms.database.read(lambda c: refunds.refund(c, rooms.refunds[RefundStatus.CLAIMED]))
    assert found is not None
    assert found.status is RefundStatus.APPROVED


async def test_axe_finds_nothing_on_any_page(browser, office) -> None:
    cookies, found = await office.signed_in(browser), []
    async with visiting(browser, office.dashboard, storage_state=cookies) as page:
        for url in (*office.pages, f"{office.dashboard}/sign-in"):
            await page.emulate_media(color_scheme="light")
            await page.goto(url)
            await open_details(page)
            found += await violations(page)
            await page.emulate_media(color_scheme="dark")
            found += await violations(page, runOnly=["color-contrast"])
    assert found == []


@pytest.mark.parametrize("locale", ["en-US", "de-DE"])
async def test_each_page_fits_a_phone_and_twice_its_letters(browser, office, locale) -> None:
    cookies = await office.signed_in(browser)
    about = {"storage_state": cookies, "locale": locale, "viewport": PHONE}
    async with visiting(browser, office.dashboard, **about) as page:
        for url in office.pages:
            await page.set_viewport_size(PHONE)
            await page.goto(url)
            assert await page.locator("html").get_attribute("lang") == locale[:2]
            await open_details(page)
            assert not await is_too_wide(page), url
            await page.set_viewport_size({"width": 640, "height": 640})
            await page.evaluate("document.documentElement.style.fontSize = '200%'")
            assert not await is_too_wide(page), url


async def test_the_keyboard_skips_to_the_content(browser, office) -> None:
    cookies = await office.signed_in(browser)
    async with visiting(browser, f"{office.dashboard}/keys", storage_state=cookies) as page:
        await page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to the content")
        await expect(skip).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_be_focused()
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("region", name="API keys")).to_be_focused()
