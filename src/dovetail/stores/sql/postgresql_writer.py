"""Writes to PostgreSQL on several connections at once.

The server itself commits what waits as one group, so each job has its own transaction here.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from sqlalchemy import Connection, Engine, RootTransaction
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from dovetail.errors import StoreUnavailable, UsageError
from dovetail.stores.ports import NESTED
from dovetail.stores.sql.jobs import Jobs
from dovetail.stores.sql.postgresql import (
    UNKNOWN,
    cause_of,
    is_conflict,
    is_lost,
    require_sound,
    unavailable,
)

T = TypeVar("T")

ATTEMPTS = 5
"""How often work runs if other writers are in its way."""


class PooledWriter(Jobs):
    """Runs jobs in threads, each with a connection of its own."""

    def __init__(self, engine: Engine, *, at_once: int) -> None:
        """Run up to `at_once` jobs at a time."""
        self._engine = engine
        self._inside = threading.local()
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="dovetail-writer")

    def submit(
        self, work: Callable[[Connection], T], *, isolated: bool = True, once: bool = False
    ) -> Future[T]:
        """See `Jobs.submit`; every job is isolated."""
        del isolated
        self._refuse_nesting()
        try:
            return self._pool.submit(self._write, work, once=once)
        except RuntimeError:
            raise StoreUnavailable("The store is closed: open it again.") from None

    def close(self) -> None:
        """See `Jobs.close`."""
        self._refuse_nesting()
        self._pool.shutdown()

    def _refuse_nesting(self) -> None:
        if getattr(self._inside, "work", False):
            raise UsageError(NESTED)

    def _write(self, work: Callable[[Connection], T], *, once: bool) -> T:
        self._inside.work = True
        left = 1 if once else ATTEMPTS
        try:
            while True:
                left -= 1
                try:
                    return self._attempt(work)
                except (DBAPIError, PoolTimeout) as error:
                    if once and isinstance(error, IntegrityError):
                        raise
                    if left == 0 or not is_conflict(error):
                        raise unavailable(error, self._engine) from cause_of(error)
        finally:
            self._inside.work = False

    def _attempt(self, work: Callable[[Connection], T]) -> T:
        with self._engine.connect() as connection:
            transaction = connection.begin()
            try:
                result = work(connection)
                require_sound(connection)
            except BaseException:
                with suppress(SQLAlchemyError):
                    transaction.rollback()
                raise
            _commit(transaction)
            return result


def _commit(transaction: RootTransaction) -> None:
    """Commit; raises `StoreUnavailable` if the outcome is unknown."""
    try:
        transaction.commit()
    except DBAPIError as error:
        if is_lost(error):
            raise StoreUnavailable(UNKNOWN) from error.orig
        raise
