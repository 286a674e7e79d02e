"""Waiting for what another task, thread or process will bring about."""

import asyncio
import time
from collections.abc import Callable

PATIENCE = 60.0
_TICK = 0.005


def wait_for(found: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Look again and again, from outside of any event loop."""
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(_TICK)


async def until(found: Callable[[], bool], seconds: float = 10.0) -> None:
    """The same within an event loop, which goes on meanwhile."""
    async with asyncio.timeout(seconds):
        while not found():  # noqa: ASYNC110  # tests look from outside
            await asyncio.sleep(_TICK)
