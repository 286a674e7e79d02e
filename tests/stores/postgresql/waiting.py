"""Waiting until a writer waits for another one."""

import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from dovetail.stores.sql import PostgresStore

T = TypeVar("T")

_WAITING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def until_blocked(store: PostgresStore, writers: int = 1) -> None:
    """Return when so many writers wait for a lock."""
    for _ in range(500):
        with store.reading() as connection:
            if connection.exec_driver_sql(_WAITING).scalar() == writers:
                return
        time.sleep(0.01)
    raise AssertionError("Nobody waits.")


@contextmanager
def blocked(store: PostgresStore, write: Callable[[], T]) -> Generator["Future[T]"]:
    """Begin a write in a thread, and enter the block once it waits for another transaction."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(write)
        until_blocked(store)
        assert not future.done()
        yield future
