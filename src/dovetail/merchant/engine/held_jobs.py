"""Procrastinate's jobs, each held by one worker for as long as that worker lives.

Procrastinate ends or retries a job without a look at who holds it by now. Here these writes are
fenced: they count only while the job's row names the worker that took it. A worker lives while its
own row exists. Any worker deletes the row of one whose heartbeat is too old, and so frees its jobs.
A write that is lost with the connection is made up for later, so that an outage of the database
ends no duty.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from procrastinate.connector import Notify
from procrastinate.exceptions import ConnectorException, NoResult
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from procrastinate.psycopg_connector import PsycopgConnector

QUEUE = "duties"

_PAUSE = 1.0
_HELD = """
WITH held AS MATERIALIZED (
    SELECT id FROM procrastinate_jobs
    WHERE id = %(job_id)s AND worker_id = %(worker_id)s AND status = 'doing' FOR UPDATE
)
"""
_FINISH = (
    _HELD
    + """
SELECT procrastinate_finish_job_v1(id, 'succeeded', true)
FROM held
"""
)
_RETRY = (
    _HELD
    + """
SELECT procrastinate_retry_job_v2(id, NULL, NULL, NULL, NULL) FROM held
"""
)
_RETURN = """
SELECT procrastinate_retry_job_v2(id, NULL, NULL, NULL, NULL) FROM (
    SELECT id FROM procrastinate_jobs
    WHERE status = 'doing' AND queue_name = 'duties' AND worker_id IS NULL
    FOR UPDATE SKIP LOCKED
) AS freed
"""
_RETURN_OWN = """
SELECT procrastinate_retry_job_v2(id, NULL, NULL, NULL, NULL) FROM (
    SELECT id FROM procrastinate_jobs
    WHERE status = 'doing' AND worker_id = %(worker_id)s AND NOT id = ANY(%(held)s::bigint[])
    FOR UPDATE
) AS lost
"""
_HEARTBEAT = """
UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = %(worker_id)s RETURNING id
"""
# After a restart of the server every heartbeat is old.
_PRUNE = """
SELECT worker_id FROM (
    SELECT WHERE pg_postmaster_start_time() < now() - make_interval(secs => %(seconds)s)
) AS long_up, procrastinate_prune_stalled_workers_v1(%(seconds)s)
"""

_logger = logging.getLogger(__name__)


class LastingConnector(PsycopgConnector):
    """Listens again after its connection was lost."""

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await super().listen_notify(on_notification, channels)
            except ConnectorException as error:
                tell_lost(error)
            await asyncio.sleep(_PAUSE)


class HeldJobs(JobManager):
    """The jobs of one process, which has one worker at a time."""

    def __init__(self, connector: LastingConnector) -> None:
        super().__init__(connector)
        self.given_up = asyncio.Event()
        """Set once other workers have taken over from this one, as it gave no sign of life."""
        self._held: set[int] = set()
        self._unsure = False

    async def register_worker(self) -> int:
        """Register a new worker, which holds nothing."""
        self._held.clear()
        self._unsure = False
        self.given_up.clear()
        return await super().register_worker()

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """Take a job; None if there is none, or if the database cannot be reached."""
        if self.given_up.is_set():
            return None
        try:
            if self._unsure:
                await self._write(_RETURN_OWN, worker_id=worker_id, held=list(self._held))
                self._unsure = False
            job = await super().fetch_job(queues, worker_id)
        except ConnectorException as error:
            tell_lost(error)
            self._unsure = True  # the job may have been taken, and the answer lost
            return None
        if job is not None and job.id is not None:
            self._held.add(job.id)
        return job

    async def finish(self, job_id: int, worker_id: int) -> None:
        """Delete a job that is done. One that was cancelled is freed when its worker ends."""
        await self._end(_FINISH, job_id, worker_id)

    async def hand_on(self, job_id: int, worker_id: int) -> None:
        """Return a job to the queue as it was; any worker may take it at once."""
        await self._end(_RETRY, job_id, worker_id)

    async def update_heartbeat(self, worker_id: int) -> None:
        """Show that this worker lives, and learn whether others have given it up."""
        try:
            await self.connector.execute_query_one_async(_HEARTBEAT, worker_id=worker_id)
        except NoResult:
            self.given_up.set()
        except ConnectorException as error:
            tell_lost(error)

    async def prune_stalled_workers(self, seconds_since_heartbeat: float) -> list[int]:
        """Give up workers without a sign of life, unless the server itself was away."""
        rows = await self.connector.execute_query_all_async(_PRUNE, seconds=seconds_since_heartbeat)
        return [row["worker_id"] for row in rows]

    async def return_freed(self) -> None:
        """Return the jobs of workers that ended or were given up to the queue."""
        await self._write(_RETURN)

    async def _end(self, statement: Any, job_id: int, worker_id: int) -> None:
        try:
            await self._write(statement, job_id=job_id, worker_id=worker_id)
        except ConnectorException as error:
            tell_lost(error)
            self._unsure = True
        self._held.discard(job_id)

    async def _write(self, statement: Any, **values: object) -> None:
        await self.connector.execute_query_async(statement, **values)


def tell_lost(error: ConnectorException) -> None:
    """Log that the queue of duties is out of reach."""
    cause = type(error.__cause__ or error).__name__
    _logger.warning("The queue of duties cannot be reached (%s); it is tried again.", cause)
