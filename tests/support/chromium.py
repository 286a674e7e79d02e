"""A real Chromium, without a window."""

import os

from playwright.async_api import Browser, Playwright
from tools.chromium import found


async def launched(playwright: Playwright) -> Browser:
    """Start it; its own sandbox does not start for root, as in a container."""
    return await playwright.chromium.launch(
        executable_path=found(), chromium_sandbox=os.geteuid() != 0
    )
