"""Pages in a real Chromium: the one that `CHROMIUM` names, or the one on PATH."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright
from tests.support.chromium import launched
from tools.chromium import found

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and skip them by name where there is no browser."""
    skipped = pytest.mark.skip(reason="no Chromium: install it, or name it in CHROMIUM")
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.browser)
            if found() is None:
                item.add_marker(skipped)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        started = await launched(playwright)
        yield started
        await started.close()
