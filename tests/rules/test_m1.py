"""M1: a log is append-only. One event for each (session, seq); a closed log never grows;
appending and closing are one write.
"""

import sqlite3
from pathlib import Path

import pytest

from dovetail.errors import DovetailError, StaleSession
from dovetail.sessions.receiver import events
from dovetail.stores.ports import SessionLog, Store
from dovetail.stores.sql import SqliteStore
from dovetail.testing.store_samples import closed, started

Log = SessionLog[events.ReceiverEvent]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


def entries(store: Store, log: Log) -> list[bytes]:
    return [entry.data for entry in store.stored(log.session_id).events]


def test_what_was_appended_is_never_changed(path: Path) -> None:
    with SqliteStore.open(path) as store:
        log, seen = started(store), list[bytes]()
        for seq in range(1, 5):
            before = entries(store, log)
            assert before[: len(seen)] == seen
            log.append(events.Cancelled(), seq=seq, closes=False)
            seen = before
    with SqliteStore.open(path) as again:
        assert entries(again, again.receiver(log.session_id))[: len(seen)] == seen


@pytest.mark.parametrize("seq", [0, 1, 3, 99])
def test_only_the_next_slot_can_be_written(path: Path, seq: int) -> None:
    with SqliteStore.open(path) as store:
        log = started(store)
        log.append(events.Cancelled(), seq=1, closes=False)
        before = entries(store, log)
        with pytest.raises(StaleSession):
            log.append(closed(), seq=seq, closes=True)
        assert entries(store, log) == before
        assert store.row(log.session_id).closed_at is None


@pytest.mark.parametrize("seq", [0, 1, 2, 3])
def test_a_closed_log_never_grows(path: Path, seq: int) -> None:
    with SqliteStore.open(path) as store:
        log = started(store)
        log.append(closed(), seq=1, closes=True)
        before = entries(store, log)
        with pytest.raises(StaleSession):
            log.append(events.Cancelled(), seq=seq, closes=False)
        assert entries(store, log) == before


def test_a_session_is_not_closed_where_its_last_event_was_not_written(path: Path) -> None:
    with SqliteStore.open(path) as store:
        log = started(store)
        _execute(
            path,
            "CREATE TRIGGER cut BEFORE INSERT ON session_events BEGIN "
            "SELECT RAISE(ABORT, 'the power goes'); END",
        )
        with pytest.raises(DovetailError):
            log.append(closed(), seq=1, closes=True)
    _execute(path, "DROP TRIGGER cut")
    with SqliteStore.open(path) as again:
        assert again.row(log.session_id).closed_at is None
        assert again.row(log.session_id).next_seq == len(log_of(again, log).load()) == 1
        log_of(again, log).append(closed(), seq=1, closes=True)
        assert again.row(log.session_id).closed_at is not None


def test_a_last_event_is_not_written_where_its_session_was_not_closed(path: Path) -> None:
    with SqliteStore.open(path) as store:
        log = started(store)
        _execute(
            path,
            "CREATE TRIGGER cut BEFORE UPDATE ON sessions WHEN NEW.closed_at IS NOT NULL BEGIN "
            "SELECT RAISE(ABORT, 'the power goes'); END",
        )
        with pytest.raises(DovetailError):
            log.append(closed(), seq=1, closes=True)
    _execute(path, "DROP TRIGGER cut")
    with SqliteStore.open(path) as again:
        assert again.row(log.session_id).next_seq == len(log_of(again, log).load()) == 1
        log_of(again, log).append(closed(), seq=1, closes=True)
        assert again.row(log.session_id).closed_at is not None


def log_of(store: Store, log: Log) -> Log:
    return store.receiver(log.session_id)


def _execute(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()
