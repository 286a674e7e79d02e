"""Passkeys in a real browser, with an authenticator that the browser pretends to have."""

from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect
from tests.browser.visits import PHONE, SECONDS, is_too_wide, visiting
from tests.merchant.dashboard.browsing import PASSWORD, QUICK
from tests.merchant.pages.site import Pages, opened

from dovetail.merchant.data import passkeys, users
from dovetail.merchant.data.database import Database
from dovetail.merchant.messages import Role
from dovetail.merchant.services.users import Users

pytestmark = pytest.mark.asyncio(loop_scope="session")

INTERNAL: dict[str, Any] = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest_asyncio.fixture(loop_scope="session")
async def pages(tmp_path):
    with Database.open(tmp_path / "shop.db") as database:
        Users(database, QUICK).add("Ada", PASSWORD, Role.OWNER, by="test")
        async with opened(database) as made:
            yield made


def account(pages: Pages) -> str:
    """The page of the user's account; browsers make no passkeys for an address of digits."""
    return pages.url.replace("127.0.0.1", "localhost") + "/dashboard/account"


async def plug(page: Page, **other: Any) -> None:
    """Give the browser an authenticator."""
    device = await page.context.new_cdp_session(page)
    await device.send("WebAuthn.enable")
    await device.send("WebAuthn.addVirtualAuthenticator", {"options": INTERNAL | other})


async def sign_in(page: Page) -> None:
    await page.get_by_label("Name").fill("Ada")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your account")


async def add(page: Page) -> None:
    form = page.locator("form[data-passkey]")
    await form.get_by_label("Name of the new passkey").fill("Laptop")
    await form.get_by_label("Present password").fill(PASSWORD)
    await form.get_by_role("button", name="Add a passkey").click()


async def token(page: Page) -> str:
    """The cookie of the sign-in, empty if there is none."""
    found = {each["name"]: each["value"] for each in await page.context.cookies()}
    return found.get("dovetail", "")


def kept(pages: Pages) -> list[str]:
    def read(connection):
        row = users.user_of_name(connection, "Ada")
        assert row is not None
        return [each.name for each in passkeys.passkeys_of(connection, row.id)]

    return pages.database.read(read)


async def test_a_user_makes_a_passkey_signs_in_with_it_and_removes_it(browser, pages) -> None:
    async with visiting(browser, account(pages)) as page:
        await plug(page)
        await sign_in(page)
        by_password = await token(page)
        await add(page)
        await expect(page.get_by_role("status")).to_contain_text("The passkey was made")
        assert kept(pages) == ["Laptop"]
        await page.get_by_role("button", name="Sign out", exact=True).click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        assert await token(page) == ""
        await page.get_by_role("button", name="Sign in with a passkey").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
        assert await token(page) not in ("", by_password)
        await page.get_by_role("link", name="Ada").click()
        listed = page.get_by_role("region", name="Your sign-ins")
        await expect(listed).to_contain_text("by passkey")
        await expect(listed).to_contain_text("Chrome, ")
        await page.get_by_text("Remove", exact=True).click()
        row = page.get_by_role("region", name="Your passkeys")
        await row.get_by_label("Present password").fill(PASSWORD)
        await row.get_by_role("button", name="Remove the passkey").click()
        await expect(page.get_by_role("status")).to_contain_text("The passkey was removed")
        assert kept(pages) == []


async def test_a_removed_passkey_opens_nothing(browser, pages) -> None:
    context = await browser.new_context(locale="en-US")
    page = await context.new_page()
    page.set_default_timeout(SECONDS)
    await page.goto(account(pages))
    await plug(page)
    await sign_in(page)
    await add(page)
    await expect(page.get_by_role("status")).to_contain_text("The passkey was made")
    now = pages.database.now()

    def remove(connection):
        row = users.user_of_name(connection, "Ada")
        assert row is not None
        (each,) = passkeys.passkeys_of(connection, row.id)
        passkeys.remove(connection, row.id, each.id, by="test", now=now)

    pages.database.write(remove)
    await page.get_by_role("button", name="Sign out", exact=True).click()
    await page.get_by_role("button", name="Sign in with a passkey").click()
    await expect(page.get_by_role("alert")).to_contain_text("The passkey was not accepted")
    assert await token(page) == ""
    await context.close()


async def test_a_device_that_does_not_know_its_user_makes_no_passkey(browser, pages) -> None:
    async with visiting(browser, account(pages)) as page:
        await plug(page, isUserVerified=False)
        await sign_in(page)
        await add(page)
        trouble = page.locator("form[data-passkey] .error")
        await expect(trouble).to_have_text("The device has made no passkey. Try again.")
        assert kept(pages) == []


async def test_without_a_script_the_password_signs_in(browser, pages) -> None:
    async with visiting(browser, account(pages), java_script_enabled=False) as page:
        await expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
        await sign_in(page)
        await expect(page.get_by_role("button", name="Add a passkey")).to_be_hidden()
        await expect(page.locator("noscript p")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_use_the_pages_with_passkeys(browser, pages, scheme) -> None:
    async with visiting(browser, account(pages), color_scheme=scheme, viewport=PHONE) as page:
        await plug(page)
        await expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_visible()
        await looks_right(page)
        await sign_in(page)
        await add(page)
        await expect(page.get_by_role("status")).to_contain_text("The passkey was made")
        for each in await page.locator("details").all():
            await each.evaluate("each => { each.open = true }")
        await looks_right(page)


async def looks_right(page: Page) -> None:
    """It is not wider than a phone, and axe finds nothing."""
    assert not await is_too_wide(page)
    found = await Axe().run(page)
    assert [each["id"] for each in found.response["violations"]] == []
