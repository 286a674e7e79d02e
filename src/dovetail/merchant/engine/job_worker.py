"""A worker that does Procrastinate's jobs, each in one task.

Procrastinate's own worker keeps a context and six coroutines for each job under way, about 6 KB. A
shop's jobs wait for days, ten thousand at a time, and need none of that.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Any

from procrastinate.jobs import Job

from dovetail.merchant.engine.duties import HandedOn, Registry, cancel, keep_doing
from dovetail.merchant.engine.held_jobs import QUEUE, HeldJobs
from dovetail.runtime.wakeup import News

MOST = 20_000
"""Duties that one worker does at once."""

HEARTBEAT = 1.0
"""Seconds between two signs of life of a worker."""

FAILURES_HERE = 4
"""Failures in a row after which a duty may be tried by another worker."""

LOOK = 0.5
"""Seconds between two looks at the queue, should its notifications be lost."""

_logger = logging.getLogger(__name__)


class JobWorker:
    """Takes jobs from the queue and does their duties. Use it from one event loop."""

    def __init__(self, jobs: HeldJobs, registry: Registry) -> None:
        """`registry` has the work of each kind of duty."""
        self._jobs = jobs
        self._registry = registry
        self._running: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = News()

    @property
    def running(self) -> Collection[str]:
        """The names of the duties that are done now."""
        return self._running

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set or others have taken over; then every duty is cancelled.

        Raises `ConnectorException` where the database cannot be reached at the beginning or end.
        """
        worker_id = await self._jobs.register_worker()
        beside = [
            asyncio.create_task(self._show_signs_of_life(worker_id), name="signs of life"),
            asyncio.create_task(self._listen(), name="listener"),
            asyncio.create_task(_either(stop, self._jobs.given_up), name="stop"),
        ]
        try:
            while not any(task.done() for task in beside):
                self._news.clear()
                await self._take_all(worker_id, stop)
                await asyncio.wait(
                    (self._news.coming(), *beside),
                    timeout=LOOK,
                    return_when=asyncio.FIRST_COMPLETED,
                )
        finally:
            await cancel(self._tasks)
            await cancel(beside)
            await self._jobs.unregister_worker(worker_id)
        for task in beside:
            if not task.cancelled() and (fault := task.exception()) is not None:
                kind = type(fault).__name__
                _logger.error("A fault of the program, %s: this worker begins anew.", kind)

    async def _take_all(self, worker_id: int, stop: asyncio.Event) -> None:
        while len(self._tasks) < MOST and not stop.is_set():
            job = await self._jobs.fetch_job([QUEUE], worker_id)
            if job is None:
                return
            self._begin(job, worker_id)

    def _begin(self, job: Job, worker_id: int) -> None:
        if job.id is None:  # pragma: no cover - only a job that was not written has no id
            return
        name = str(job.task_kwargs["name"])
        task = asyncio.create_task(self._do(name, job.id, worker_id), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, name: str, job_id: int, worker_id: int) -> None:
        self._running.add(name)
        handed_on = False
        try:
            await keep_doing(self._registry, name, failures=FAILURES_HERE)
        except HandedOn:
            handed_on = True
        finally:
            self._running.discard(name)
        if handed_on:
            await self._jobs.hand_on(job_id, worker_id)
        else:
            await self._jobs.finish(job_id, worker_id)

    async def _show_signs_of_life(self, worker_id: int) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            await self._jobs.update_heartbeat(worker_id)

    async def _listen(self) -> None:
        async def heard(*, channel: str, notification: Mapping[str, Any]) -> None:
            del channel, notification
            self._news.set()

        await self._jobs.listen_for_jobs(on_notification=heard, queues=[QUEUE])


async def _either(one: asyncio.Event, other: asyncio.Event) -> None:
    """Wait until one of two events is set."""
    waiting = [asyncio.create_task(each.wait()) for each in (one, other)]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
