"""A purchase in a real browser: a wallet pays what the page offers, and the page tells of it."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from playwright.async_api import expect
from tests.browser.visits import SECONDS, shows, visiting
from tests.merchant.till import customer, open_till
from tests.support.loopback import open_loopback

from dovetail.merchant.data.database import Database
from dovetail.merchant.server import serving
from dovetail.sessions.outcomes import Success

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_customer_pays_by_payjoin_while_the_page_watches(browser, tmp_path) -> None:
    with open_loopback(tmp_path) as world, Database.open(tmp_path / "shop.db") as database:
        async with AsyncExitStack() as opened:
            till = await opened.enter_async_context(open_till(world, database))
            url = await opened.enter_async_context(serving(till.parts, "127.0.0.1", 0))
            row = await till.ask()
            page = await opened.enter_async_context(visiting(browser, f"{url}/i/{row.id}"))
            await shows(page, "Waiting for your payment")
            wallet = page.get_by_role("link", name="Open in wallet")
            assert await wallet.get_attribute("href") == row.uri
            await expect(page.get_by_text("A wallet that knows payjoin")).to_be_visible()
            paid = await opened.enter_async_context(customer(till, row))
            await shows(page, "Payment received")
            await asyncio.to_thread(world.regtest.node.mine)
            await shows(page, "Paid")
            async with asyncio.timeout(SECONDS / 1000):
                outcome = await paid.wait_closed()
    assert isinstance(outcome, Success)
