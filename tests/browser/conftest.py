"""Pages in a real Chromium: the one that `CHROMIUM` names, or the one on PATH."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
HERE = Path(__file__).parent


def chromium() -> str | None:
    """Where the browser is."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and skip them by name where there is no browser."""
    skipped = pytest.mark.skip(reason="no Chromium: install it, or name it in CHROMIUM")
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.browser)
            if chromium() is None:
                item.add_marker(skipped)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        # Chromium's own sandbox does not start for root, as in a container.
        started = await playwright.chromium.launch(
            executable_path=chromium(), chromium_sandbox=os.geteuid() != 0
        )
        yield started
        await started.close()
