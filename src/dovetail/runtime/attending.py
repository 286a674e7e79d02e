"""Waiting for another party's answer without losing sight of the log and of the chain."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

from dovetail.runtime.watching import Watch

T = TypeVar("T")
Look: TypeAlias = Callable[[], Awaitable[bool]]
"""A look at the chain; whether the session has something else to do now than to wait."""


async def attended(
    ask: Callable[[], Coroutine[Any, Any, T]], watch: Watch, look: Look, *, every: float
) -> T | None:
    """What `ask` gives; None where the log or a look, `every` so many seconds, had news first.

    What is given up then has left once and is never sent again: the next try asks afresh (P1).
    Its answer is not lost, as reading a mailbox does not consume.
    """
    if watch.news.is_set():
        return None
    asking = asyncio.ensure_future(ask())
    tasks: tuple[asyncio.Future[Any], ...] = (
        asking,
        asyncio.ensure_future(watch.news.wait()),
        asyncio.ensure_future(_until(look, every)),
    )
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if asking in done:
        return asking.result()
    for task in done:
        task.result()
    return None


async def _until(look: Look, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        if await look():
            return
