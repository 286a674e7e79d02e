"""The page of a mailroom, for those who open its address in a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect
from tests.browser.visits import PHONE, is_too_wide, shows, violations, visiting
from tests.mailroom.client import quick

from dovetail.mailroom import MailroomServer

pytestmark = pytest.mark.asyncio(loop_scope="session")  # the browser's

LONG = "https://" + "a-long-name." * 12 + "example.org/policy"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = quick(tmp_path_factory.mktemp("mailroom"), contact="me@example.org", policy=LONG)
    with MailroomServer(settings) as server:
        yield f"{server.url}/"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_can_be_read_by_everybody(browser: Browser, url: str, scheme: str) -> None:
    async with visiting(browser, url, color_scheme=scheme) as page:
        await shows(page, "A mailroom for payjoin")
        assert await violations(page) == []
        ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == {"light": "rgb(244, 244, 241)", "dark": "rgb(17, 20, 19)"}[scheme]


async def test_the_page_fits_a_phone(browser: Browser, url: str) -> None:
    async with visiting(browser, url, viewport=PHONE) as page:
        await shows(page, "A mailroom for payjoin")
        assert not await is_too_wide(page)
        assert await violations(page) == []


async def test_the_page_needs_no_script(browser: Browser, url: str) -> None:
    async with visiting(browser, url, java_script_enabled=False) as page:
        await shows(page, "A mailroom for payjoin")
        await expect(page.get_by_role("link", name="me@example.org")).to_be_visible()


async def test_the_keys_are_fetched_from_the_address_that_the_page_names(
    browser: Browser, url: str, tmp_path: Path
) -> None:
    async with visiting(browser, url) as page:
        async with page.expect_download() as started:
            await page.get_by_role("link", name="/.well-known/ohttp-gateway").click()
        file = tmp_path / "keys"
        await (await started.value).save_as(file)
    assert len(file.read_bytes()) == 74
