"""Wait for the other party's answer while watching the log and the chain."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

from dovetail.runtime.chain_watch import ChainWatch
from dovetail.runtime.wakeup import any_done

T = TypeVar("T")
Ask: TypeAlias = Callable[[], Coroutine[Any, Any, T]]
Look: TypeAlias = Callable[[], Awaitable[bool]]
"""A check of the chain; it returns whether the session has something else to do now."""


async def attended(ask: Ask[T], watch: ChainWatch, look: Look, *, every: float) -> T | None:
    """The result of `ask`; None where the log, or `look` every `every` seconds, had news first.

    The request is then given up and never sent again: the next try makes a fresh one (P1).
    Its answer is not lost, as reading a mailbox does not consume.
    """
    if watch.news.is_set():
        return None
    looking = asyncio.ensure_future(_until(look, every))
    try:
        return await attended_until(ask, watch, looking)
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def attended_until(ask: Ask[T], watch: ChainWatch, other: asyncio.Future[None]) -> T | None:
    """The same, but until `other`: None where it was done first; its failure is raised."""
    if watch.news.is_set():
        return None
    asking = asyncio.ensure_future(ask())
    try:
        await any_done(asking, watch.news.coming(), other)
        answered, over = asking.done(), other.done()
    finally:
        if not asking.done():
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
    if answered:
        return asking.result()
    if over:
        other.result()
    return None


async def _until(look: Look, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        if await look():
            return
