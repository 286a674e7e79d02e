"""`make demo-shop`: a browser buys in an example shop while server and worker are killed."""

import asyncio
import tempfile
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from playwright.async_api import Browser, async_playwright, expect
from tests.shop import interrupted
from tests.shop.example_shop import Example, open_example
from tests.shop.interrupted import say
from tests.support.chromium import launched

PATIENCE = 60_000
"""Milliseconds for the page to tell what has happened."""


def main() -> None:
    """Run the demo, and print what happens."""
    say("A chain, a mailroom, PostgreSQL, a signer, a server, two workers and an example shop.")
    with (
        tempfile.TemporaryDirectory(prefix="dovetail-shop-") as folder,
        open_example(Path(folder)) as example,
    ):
        line = asyncio.run(_visit(example))
    say(line)


async def _visit(example: Example) -> str:
    async with async_playwright() as playwright:
        browser = await launched(playwright)
        try:
            return await _buy(browser, example)
        finally:
            await browser.close()


async def _buy(browser: Browser, example: Example) -> str:
    page = await browser.new_page(locale="en-US")
    page.set_default_timeout(PATIENCE)
    title = page.get_by_role("heading", level=1)
    await page.goto(example.url)
    await page.get_by_role("button", name="Buy").last.click()
    await expect(title).to_have_text("Waiting for your payment")
    invoice_id = UUID(urlsplit(page.url).path.rsplit("/", 1)[1])
    say(f"The browser bought a bag of beans; its page says: {await title.inner_text()}.")
    uri = await page.get_by_role("link", name="Open in wallet").get_attribute("href")
    await interrupted.pay(example.till, invoice_id, uri or "")
    await expect(title).to_have_text("Paid", timeout=PATIENCE)
    line = await asyncio.to_thread(interrupted.verdict, example.till, invoice_id, example.accepted)
    say("The page, which was never loaded again, says: Paid.")
    await page.get_by_role("link", name="Back to").click()
    said = page.get_by_text("is paid. Thank you!")
    await expect(said).to_be_visible()
    say(f"The example shop says: {(await said.inner_text()).split(' Buy')[0]}")
    return line


if __name__ == "__main__":
    main()
