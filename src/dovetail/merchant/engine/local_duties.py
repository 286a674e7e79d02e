"""Duties as tasks of one process: for a shop whose database is a file."""

import asyncio
from collections.abc import Collection
from functools import partial

from dovetail.merchant.engine.duties import Registry, cancel, keep_doing, work_of


class LocalDuties:
    """The `Duties` of a single process. Use it from one event loop."""

    def __init__(self, registry: Registry) -> None:
        """`registry` has the work of each kind of duty."""
        self._registry = registry
        self._waiting: dict[str, None] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._runs = False

    @property
    def running(self) -> Collection[str]:
        """The names of the duties that are done now."""
        return self._tasks.keys()

    async def ensure(self, names: Collection[str]) -> None:
        """See `Duties.ensure`; before `run`, names are kept until it begins.

        Raises `UsageError` for an unknown kind of duty; then none of the names is taken.
        """
        for name in names:
            work_of(self._registry, name)
        for name in names:
            self._waiting.setdefault(name)
        if self._runs:
            self._begin()

    async def run(self, stop: asyncio.Event) -> None:
        """See `Duties.run`; what was cancelled here is done again by the next `run`."""
        self._runs = True
        self._begin()
        try:
            await stop.wait()
        finally:
            self._runs = False
            tasks = dict(self._tasks)
            await cancel(tasks.values())
            self._waiting |= dict.fromkeys(name for name, task in tasks.items() if task.cancelled())

    def _begin(self) -> None:
        for name in self._waiting:
            if name not in self._tasks:
                work = keep_doing(self._registry, name)
                task = self._tasks[name] = asyncio.create_task(work, name=name)
                task.add_done_callback(partial(self._end, name))
        self._waiting.clear()

    def _end(self, name: str, _task: asyncio.Task[None]) -> None:
        del self._tasks[name]
