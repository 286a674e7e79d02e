"""What a store writes, each in a transaction that is durable when its caller returns."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


class Jobs(ABC):
    """Runs work on a writing connection; safe to share between threads.

    A job gets the connection inside a transaction, and its caller returns when that is durable.
    """

    @abstractmethod
    def submit(
        self, work: Callable[[Connection], T], *, isolated: bool = True, once: bool = False
    ) -> Future[T]:
        """Queue `work`; the future resolves when its transaction is durable.

        `isolated` work may raise after it has written: its part alone is rolled back. Work that
        raises only before it writes does not need this. Work may run again, after another fault
        than its own. With `once` it runs once, in a transaction of its own, and an
        `IntegrityError` of its statements is raised unchanged.

        Raises `UsageError` inside other work of the same store, which would wait for itself, and
        `StoreUnavailable` after `close`.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish all submitted jobs, and refuse further ones. A second call does nothing.

        Raises `UsageError` inside work of the same store.
        """

    def run(
        self, work: Callable[[Connection], T], *, isolated: bool = True, once: bool = False
    ) -> T:
        """Run `work` and wait until it is durable."""
        return self.submit(work, isolated=isolated, once=once).result()

    async def run_async(
        self, work: Callable[[Connection], T], *, isolated: bool = True, once: bool = False
    ) -> T:
        """Run `work`; a cancelled await does not stop the write."""
        future = asyncio.wrap_future(self.submit(work, isolated=isolated, once=once))
        return await asyncio.shield(future)
