"""Visits to a page in Chromium, and what must hold for every page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import zxingcpp
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, ViewportSize, expect
from tests.support.png import grey_rows

PHONE: ViewportSize = {"width": 320, "height": 640}
SECONDS = 20_000


@asynccontextmanager
async def visiting(browser: Browser, url: str, **options: Any) -> AsyncIterator[Page]:
    """Open a page; nothing may be refused by its policy, fail, or go to another host."""
    context = await browser.new_context(**({"locale": "en-US"} | options))
    page = await context.new_page()
    page.set_default_timeout(SECONDS)
    asked: list[str] = []
    troubles: list[str] = []
    page.on("request", lambda each: asked.append(each.url))
    page.on("console", lambda each: troubles.append(each.text) if each.type == "error" else None)
    page.on("pageerror", lambda each: troubles.append(str(each)))
    await page.goto(url)
    try:
        yield page
    finally:
        await context.close()
    assert troubles == []
    hosts = {urlsplit(each).netloc for each in asked if not each.startswith("data:")}
    assert hosts == {urlsplit(url).netloc}


async def shows(page: Page, title: str) -> None:
    """Wait until the page has this heading."""
    await expect(page.get_by_role("heading", level=1)).to_have_text(title, timeout=SECONDS)


async def open_details(page: Page) -> None:
    """Unfold all that is folded."""
    for each in await page.locator("details").all():
        await each.evaluate("each => { each.open = true }")


async def is_too_wide(page: Page) -> bool:
    """Whether the page scrolls sideways."""
    return bool(
        await page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )
    )


async def violations(page: Page, **options: Any) -> list[tuple[str, str, list[str]]]:
    """What axe-core finds: the page, the rule, and the elements."""
    found = await Axe().run(page, options=options or None)
    return [
        (page.url, each["id"], [node["html"] for node in each["nodes"]])
        for each in found.response["violations"]
    ]


async def read_code(page: Page) -> str:
    """What a reader makes of the code on the screen."""
    rows = grey_rows(await page.locator(".code").screenshot())
    image = memoryview(b"".join(rows)).cast("B", shape=[len(rows), len(rows[0])])
    return str(zxingcpp.read_barcodes(image)[0].text)
