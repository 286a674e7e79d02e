"""Wake-ups for waiting tasks, of which there may be thousands."""

import asyncio
from contextvars import copy_context
from typing import Any


class News:
    """Like an `asyncio.Event`, but a waiter needs no task of its own."""

    def __init__(self) -> None:
        """Begin unset."""
        self._is_set = False
        self._coming: asyncio.Future[None] | None = None

    def is_set(self) -> bool:
        """Whether there is news."""
        return self._is_set

    def set(self) -> None:
        """Wake all waiters."""
        self._is_set = True
        if self._coming is not None:
            self._coming.set_result(None)
            self._coming = None

    def clear(self) -> None:
        """Begin to wait for the next news."""
        self._is_set = False

    def coming(self) -> "asyncio.Future[None]":
        """A future that is done once news comes; all waiters share it, so none may cancel it."""
        if self._is_set:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            done.set_result(None)
            return done
        if self._coming is None:
            self._coming = asyncio.get_running_loop().create_future()
        return self._coming


async def any_done(*futures: "asyncio.Future[Any]") -> None:
    """Wait until one of them is done; none is cancelled.

    It is `asyncio.wait` with half of its memory.
    """
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(_done: "asyncio.Future[Any]") -> None:
        if not waiter.done():
            waiter.set_result(None)

    context = copy_context()  # one for all, as each callback would copy it
    for each in futures:
        each.add_done_callback(wake, context=context)
    try:
        await waiter
    finally:
        for each in futures:
            each.remove_done_callback(wake)
