"""The only thread that writes to a database; it commits waiting jobs as one group.

A commit costs one disk sync for one event or for sixty-four, so jobs that arrive during a sync
share the next.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from dovetail.errors import DovetailError, StoreUnavailable, UsageError
from dovetail.stores.ports import NESTED
from dovetail.stores.sql.jobs import Jobs
from dovetail.stores.sql.savepoint import savepoint
from dovetail.stores.sql.sqlite import unavailable

T = TypeVar("T")

GROUP = 256
"""The most jobs of one commit, which limits the wait of a job."""


@dataclass(slots=True)
class _Job(Generic[T]):
    work: Callable[[Connection], T]
    isolated: bool
    once: bool = False
    future: Future[T] = field(default_factory=Future[T])
    _result: T | None = None
    _refusal: Exception | None = None

    def attempt(self, connection: Connection) -> None:
        """Run the work; keep its refusal for `deliver`, and raise database faults."""
        self._result = self._refusal = None
        try:
            if self.isolated:
                with savepoint(connection):
                    self._result = self.work(connection)
            else:
                self._result = self.work(connection)
        except IntegrityError as refusal:
            if not self.once:
                raise
            self._refusal = refusal
        except DBAPIError:
            raise
        except DovetailError as refusal:
            self._refusal = refusal
        except Exception as fault:
            if not self.isolated:
                raise
            self._refusal = fault

    def deliver(self) -> None:
        if self._refusal is not None:
            self.future.set_exception(self._refusal)
        else:
            self.future.set_result(self._result)  # type: ignore[arg-type]  # T may include None


class Writer(Jobs):
    """Owns the only writing connection of one engine; safe to share between threads.

    A job gets the connection inside a transaction, and its caller returns when that is durable.
    """

    def __init__(self, engine: Engine) -> None:
        """Start the thread; `close` ends it after all submitted jobs."""
        self._engine = engine
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="dovetail-writer", daemon=True)
        self._thread.start()

    def submit(
        self, work: Callable[[Connection], T], *, isolated: bool = True, once: bool = False
    ) -> Future[T]:
        """Queue `work`; see `Jobs.submit`.

        `isolated` work gets a savepoint. If other work of its group fails, work runs again; with
        `once` it is alone in its group.
        """
        self._refuse_nesting()
        job = _Job(work, isolated, once)
        with self._lock:
            if self._closed:
                raise StoreUnavailable("The store is closed: open it again.")
            self._jobs.put(job)
        return job.future

    def close(self) -> None:
        """Finish all submitted jobs, then end the thread. A second call does nothing.

        Raises `UsageError` inside work of this writer.
        """
        self._refuse_nesting()
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def _refuse_nesting(self) -> None:
        if threading.current_thread() is self._thread:
            raise UsageError(NESTED)

    def _run(self) -> None:
        for group in self._groups():
            self._commit(group)
        self._disconnect()

    def _groups(self) -> Iterator[list[_Job[Any]]]:
        ahead: list[_Job[Any] | None] = []  # taken from the queue for the next group
        while (job := ahead.pop() if ahead else self._jobs.get()) is not None:
            group = [job]
            while not (job.once or ahead or self._jobs.empty() or len(group) == GROUP):
                following = self._jobs.get()
                if following is None or following.once:
                    ahead.append(following)
                else:
                    group.append(following)
            yield group

    def _commit(self, group: list[_Job[Any]]) -> None:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            with self._connection.begin():
                for job in group:
                    job.attempt(self._connection)
        except Exception as error:  # noqa: BLE001  # a waiting caller must get every error
            self._disconnect()
            self._assign(group, error)
        else:
            for job in group:
                job.deliver()

    def _disconnect(self) -> None:
        """Close the connection; the next group opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(DBAPIError):
                connection.close()

    def _assign(self, group: list[_Job[Any]], error: Exception) -> None:
        """Nothing was written, so run each job alone: only the failing one gets the error."""
        if len(group) > 1:
            for job in group:
                self._commit([job])
        else:
            if isinstance(error, DBAPIError):
                error = unavailable(error, self._engine)
            group[0].future.set_exception(error)
