"""Shop software on another site asks for a key: the browser signs in, allows it, and brings it."""

import html
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlencode

import pytest
import pytest_asyncio
from playwright.async_api import expect
from tests.browser.visits import SECONDS, is_too_wide, shows, violations
from tests.merchant.dashboard.browsing import PASSWORD
from tests.merchant.dashboard.test_consent import PLUGIN
from tests.merchant.pages.site import Pages, opened
from tests.support.scripted_http import Answer, ScriptedServer

from dovetail.merchant.data import api_keys
from dovetail.merchant.data.database import Database
from dovetail.merchant.messages import Role
from dovetail.merchant.messages.access import PLUGIN_SCOPES
from dovetail.merchant.services.users import Users

pytestmark = pytest.mark.asyncio(loop_scope="session")

HTML = (("content-type", "text/html; charset=utf-8"),)
DONE = b"<!doctype html><html lang=en><title>x</title><h1>Connected</h1>"


@pytest_asyncio.fixture(loop_scope="session")
async def pages(tmp_path) -> AsyncIterator[Pages]:
    with Database.open(tmp_path / "shop.db") as database:
        async with opened(database) as made:
            yield made


async def test_software_of_another_site_gets_its_key(browser, pages) -> None:
    Users(pages.database).add("Ada", PASSWORD, Role.OWNER, by="test")
    context = await browser.new_context(locale="en-US", viewport={"width": 320, "height": 640})
    page = await context.new_page()
    page.set_default_timeout(SECONDS)
    troubles: list[str] = []
    page.on("console", lambda each: troubles.append(each.text) if each.type == "error" else None)
    with ScriptedServer() as shop:
        site = shop.url.replace("127.0.0.1", "localhost")  # another site than the server's
        wanted = {
            "permissions": PLUGIN,
            "applicationName": "Tea Press",
            "selectiveStores": "true",
            "redirect": f"{site}/?btcpay-settings-callback",
        }
        asked = f"{pages.url}/greenfield/api-keys/authorize?{urlencode(wanted, doseq=True)}"
        link = f"<!doctype html><title>x</title><a href='{html.escape(asked)}'>Connect</a>"
        shop.answers["/start"] = Answer(200, link.encode(), headers=HTML)
        shop.answers["/?btcpay-settings-callback"] = Answer(200, DONE, headers=HTML)
        await page.goto(f"{site}/start")
        await page.get_by_role("link", name="Connect").click()
        await page.get_by_label("Name").fill("Ada")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await shows(page, "May Tea Press use your shop?")
        # Who has signed in comes to the page at once, though the cookie is for our own pages alone.
        await page.goto(f"{site}/start")
        await page.get_by_role("link", name="Connect").click()
        await shows(page, "May Tea Press use your shop?")
        assert await violations(page) == []
        assert not await is_too_wide(page)
        await page.get_by_label("Tea & Co").check()
        await page.get_by_role("button", name="Allow", exact=True).click()
        await shows(page, "Connected")
        await expect(page).to_have_url(wanted["redirect"])
    await context.close()
    ((headers, body),) = shop.posted
    sent = parse_qs(body.decode())
    assert set(sent) == {"apiKey", "userId", "permissions[]"}
    assert sent["permissions[]"] == [f"{each}:{pages.store.id}" for each in PLUGIN]
    assert "referer" not in headers
    row = pages.database.read(lambda c: api_keys.find(c, sent["apiKey"][0]))
    assert row is not None
    assert row.scopes == PLUGIN_SCOPES
    assert [each for each in troubles if "404" not in each] == []
