"""An application's rows and the events they go with, in one SQLite file."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import IntegrityError
from tests.stores.callers import SqlCaller

from dovetail.errors import StaleSession, StoreUnavailable, UsageError
from dovetail.sessions.receiver.events import Cancelled
from dovetail.stores.ports import Appended
from dovetail.stores.sql import SqliteStore
from dovetail.testing.store_samples import closed, receiver_created, started

POINTS = ("event", "row", "committed")


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[SqlCaller]:
    caller = SqlCaller.in_sqlite(tmp_path / "application.db")
    yield caller
    caller.store.close()


@pytest.fixture
def store(caller: SqlCaller) -> SqliteStore:
    assert isinstance(caller.store, SqliteStore)
    return caller.store


def both(caller: SqlCaller, words: str) -> Callable[[Connection], None]:
    """Close a session of its own and note it."""
    log = started(caller.store)

    def work(connection: Connection) -> None:
        log.within(connection).append(closed(), seq=1, closes=True)
        caller.note(connection, words)

    return work


def test_a_connection_of_the_callers_own_takes_events_too(
    caller: SqlCaller, store: SqliteStore
) -> None:
    kept, lost = started(store), started(store)
    with store.engine.begin() as connection:
        kept.within(connection).append(closed(), seq=1, closes=True)
        caller.note(connection, "kept")
    connection = store.engine.connect()
    transaction = connection.begin()
    lost.within(connection).append(closed(), seq=1, closes=True)
    caller.note(connection, "lost")
    transaction.rollback()
    connection.close()
    assert [row.session_id for row in store.live()] == [lost.session_id]
    assert caller.notes() == ["kept"]


def test_a_stale_event_is_refused_on_a_callers_connection(store: SqliteStore) -> None:
    log = started(store)
    log.append(Cancelled(), seq=1, closes=False)
    with store.engine.begin() as connection, pytest.raises(StaleSession):
        log.within(connection).append(closed(), seq=1, closes=True)
    assert len(log.load()) == 2


def test_a_connection_whose_transaction_is_none_is_refused(
    store: SqliteStore, tmp_path: Path
) -> None:
    """Python's driver begins one with the first row: before that a savepoint would be durable."""
    log, plain = started(store), create_engine(f"sqlite:///{tmp_path / 'application.db'}")
    with plain.connect() as connection:
        with pytest.raises(UsageError, match="in no transaction"):
            log.within(connection)
        connection.begin()
        with pytest.raises(UsageError, match="in no transaction"):
            log.within(connection)
        connection.execute(text("INSERT INTO notes (words) VALUES ('first')"))
        log.within(connection).append(closed(), seq=1, closes=True)
        connection.rollback()
    plain.dispose()
    assert len(log.load()) == 1


def test_a_log_within_one_transaction_can_go_on_in_another(store: SqliteStore) -> None:
    log = started(store)
    bound = store.write(log.within)
    store.write(lambda each: bound.within(each).append(closed(), seq=1, closes=True))
    assert len(log.load()) == 2


def test_a_callers_conflict_is_its_own_and_tells_no_values(caller: SqlCaller) -> None:
    work = both(caller, "secret")
    caller.store.write(both(caller, "secret"))
    with pytest.raises(IntegrityError) as caught:
        caller.store.write(work)
    assert "secret" not in str(caught.value)
    assert caller.notes() == ["secret"]
    assert len(caller.store.live()) == 1


def test_a_conflict_in_the_rows_of_one_event_stops_no_other(caller: SqlCaller) -> None:
    def hook(connection: Any, appended: Appended) -> None:
        caller.note(connection, str(appended.seq))

    first, second = started(caller.store), started(caller.store)
    caller.hook = hook
    first.append(Cancelled(), seq=1, closes=False)
    with pytest.raises(StoreUnavailable, match="rows that go with"):
        second.append(Cancelled(), seq=1, closes=False)
    first.append(closed(), seq=2, closes=True)
    assert caller.notes() == ["1", "2"]
    assert len(second.load()) == 1


def test_a_full_disk_in_the_rows_is_told_as_such(caller: SqlCaller, store: SqliteStore) -> None:
    log = started(store)
    store.write(lambda connection: connection.execute(text("PRAGMA max_page_count = 1")).close())
    caller.hook = lambda connection, _appended: caller.note(connection, "x" * 1_000_000)
    with pytest.raises(StoreUnavailable, match="disk is full"):
        log.append(closed(), seq=1, closes=True)
    assert len(log.load()) == 1


DYING = """
import os, sys
from pathlib import Path
from sqlalchemy import text
from dovetail.sessions.receiver import events
from dovetail.stores.ports import SessionId
from dovetail.stores.sql import SqliteStore
from dovetail.testing.store_samples import closed

path, way, point = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

def die(here):
    if here == point:
        os.kill(os.getpid(), 9)

def row(connection):
    die("event")
    connection.execute(text("INSERT INTO notes (words) VALUES ('expired')"))
    die("row")

def hook(connection, appended):
    row(connection)

def work(connection):
    log.within(connection).append(closed(), seq=1, closes=True)
    row(connection)

store = SqliteStore.open(path, rows=hook if way == "hook" else None)
log = store.receiver(SessionId(1))
if way == "hook":
    log.append(closed(), seq=1, closes=True)
else:
    store.write(work)
die("committed")
"""


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("way", ["hook", "write"])
def test_a_process_that_is_killed_leaves_both_or_neither(
    tmp_path: Path, way: str, point: str
) -> None:
    path = tmp_path / "application.db"
    caller = SqlCaller.in_sqlite(path)
    log = started(caller.store)
    caller.store.close()
    died = subprocess.run([sys.executable, "-c", DYING, str(path), way, point], check=False)
    assert died.returncode == -signal.SIGKILL
    with closing(SqliteStore.open(path)) as store, closing(sqlite3.connect(path)) as database:
        notes = database.execute("SELECT count(*) FROM notes").fetchone()[0]
        length = len(store.receiver(log.session_id).load())
        assert (length, notes) == ((2, 1) if point == "committed" else (1, 0))
        if length == 1:
            store.receiver(log.session_id).append(closed(), seq=1, closes=True)


def test_a_session_begun_beside_a_row_that_conflicts_leaves_no_session(caller: SqlCaller) -> None:
    def work(connection: Connection) -> None:
        log = caller.store.new_receiver().within(connection)
        log.append(receiver_created(), seq=0, closes=False)
        caller.note(connection, "invoice 7")

    caller.store.write(work)
    with pytest.raises(IntegrityError):
        caller.store.write(work)
    assert len(caller.store.history()) == 1
