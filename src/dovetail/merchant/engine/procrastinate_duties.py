"""Duties as Procrastinate's jobs in PostgreSQL: for any number of workers on any machines."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from psycopg import AsyncConnection
from psycopg import Error as DatabaseError
from psycopg.rows import TupleRow

from dovetail.errors import StoreUnavailable
from dovetail.merchant.engine import procrastinate_schema
from dovetail.merchant.engine.duties import Registry, cancel, pause_after
from dovetail.merchant.engine.held_jobs import QUEUE, HeldJobs, LastingConnector, tell_lost
from dovetail.merchant.engine.job_worker import LOOK, JobWorker
from dovetail.stores.sql.postgresql import (
    connect_settings,
    open_engine,
    parse_url,
    server_of,
    translated,
)

PATIENCE = 4.0
"""Seconds without a sign of life, after which the others take over a worker's duties."""

_TASK = "duty"
_CONNECTIONS = 4
_RECONNECT = 5.0
_LOCK = 0x64757479
_TAKE_TURNS = "SELECT pg_advisory_xact_lock(%s)"
_MISSING = """
SELECT name FROM unnest(%s::text[]) AS name
WHERE NOT EXISTS (SELECT FROM procrastinate_jobs WHERE queueing_lock = name AND status = 'todo')
  AND NOT EXISTS (SELECT FROM procrastinate_jobs WHERE lock = name AND status = 'doing')
"""

_logger = logging.getLogger(__name__)


class ProcrastinateDuties:
    """The `Duties` of a shop with a PostgreSQL database. Use it from one event loop."""

    def __init__(self, connector: LastingConnector, registry: Registry, server: str) -> None:
        """Take a connector that is open; `open` is the usual way. `server` is named in errors."""
        self._connector = connector
        self._server = server
        self._jobs = HeldJobs(connector)
        self._worker = JobWorker(self._jobs, registry)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, registry: Registry) -> AsyncGenerator[Self]:
        """Connect to the shop's database, and make or upgrade Procrastinate's tables.

        A process that is no worker needs no `registry`: it may be empty. Raises
        `ConfigurationError` for a URL that cannot be used, and `StoreUnavailable` if the database
        cannot be reached or its tables are not ours.
        """
        parsed = parse_url(url)
        await asyncio.to_thread(_prepare, url)
        connector = LastingConnector(
            conninfo=parsed.set(drivername="postgresql").render_as_string(hide_password=False),
            kwargs=connect_settings(parsed),
            configure=_configure,
            min_size=1,
            max_size=_CONNECTIONS,
            timeout=PATIENCE,
            reconnect_timeout=_RECONNECT,
            name="dovetail-duties",
        )
        try:
            await connector.open_async()
            yield cls(connector, registry, server_of(parsed))
        finally:
            await connector.close_async()

    @property
    def running(self) -> Collection[str]:
        """The names of the duties that this worker does now."""
        return self._worker.running

    async def ensure(self, names: Collection[str]) -> None:
        """See `Duties.ensure`."""
        unknown = [name for name in dict.fromkeys(names) if name not in self.running]
        if not unknown:
            return
        try:
            async with self._connector.pool.connection() as connection:
                if await _missing(connection, unknown):
                    await self._add(connection, unknown)
        except (ConnectorException, DatabaseError) as error:
            raise StoreUnavailable(
                f"The queue of duties at {self._server} cannot be reached: nothing was added to"
                " it. Start the server, then try again."
            ) from error

    async def run(self, stop: asyncio.Event) -> None:
        """See `Duties.run`; a worker that the others have given up begins anew."""
        failures = 0
        while not stop.is_set():
            try:
                await self._work(stop)
                failures = 0
            except ConnectorException as error:
                tell_lost(error)
                failures += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause_after(max(failures, 1)))

    async def _work(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, or until the others have given this worker up."""
        beside = asyncio.create_task(self._look_after_others())
        try:
            await self._worker.run(stop)
        finally:
            await cancel([beside])
        if self._jobs.given_up.is_set():
            _logger.warning("Others have taken over from this worker, which was late. It goes on.")
        await self._jobs.return_freed()

    async def _look_after_others(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            try:
                await self._jobs.prune_stalled_workers(PATIENCE)
                await self._jobs.return_freed()
            except ConnectorException as error:
                tell_lost(error)

    async def _add(self, connection: AsyncConnection[TupleRow], names: list[str]) -> None:
        """Add those that are missing; processes take turns, so that none is added twice."""
        async with connection.transaction():
            await connection.execute(_TAKE_TURNS, (_LOCK,))
            jobs = [
                Job(
                    queue=QUEUE,
                    task_name=_TASK,
                    lock=name,
                    queueing_lock=name,
                    task_kwargs={"name": name},
                )
                for name in await _missing(connection, names)
            ]
            if jobs:
                await self._jobs.batch_defer_jobs_async(jobs, connection=connection)


async def _configure(connection: AsyncConnection[Any]) -> None:
    await connection.set_autocommit(True)


async def _missing(connection: AsyncConnection[TupleRow], names: list[str]) -> list[str]:
    found = await connection.execute(_MISSING, (names,))
    return [name for (name,) in await found.fetchall()]


def _prepare(url: str) -> None:
    engine = open_engine(parse_url(url), connections=1)
    try:
        with translated(engine):
            procrastinate_schema.prepare(engine)
    finally:
        engine.dispose()
