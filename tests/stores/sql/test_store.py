import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs
from sqlalchemy import Connection, delete, text, update
from tests.stores.callers import SqlCaller

from dovetail.errors import ReplayError, StaleSession, StoreUnavailable
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver.events import Cancelled, ProtocolFailed
from dovetail.stores.ports import Wanted
from dovetail.stores.sql import SqliteStore
from dovetail.stores.sql.schema import session_events, sessions, sightings
from dovetail.stores.sql.sqlite import reading
from dovetail.testing.store_contract import StoreContract
from dovetail.testing.store_samples import NOW, address, closed, receiver_created, started
from dovetail.testing.watching_contract import SEEN, WatchingContract


class TestSqliteStore(StoreContract, WatchingContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SqliteStore]:
        with SqliteStore.open(tmp_path / "sessions.db", clock=lambda: NOW) as store:
            yield store

    @pytest.fixture
    def caller(self, tmp_path: Path) -> Iterator[SqlCaller]:
        caller = SqlCaller.in_sqlite(tmp_path / "application.db")
        yield caller
        caller.store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with SqliteStore.open(path, clock=lambda: NOW) as store:
        yield store


def test_a_log_survives_the_process(path: Path) -> None:
    with SqliteStore.open(path) as store:
        session_id = started(store).session_id
    with SqliteStore.open(path) as store:
        assert len(store.receiver(session_id).load()) == 1


def test_two_stores_on_one_file_take_turns(path: Path, store: SqliteStore) -> None:
    with SqliteStore.open(path) as other:
        first, second = started(store), started(other)
        assert first.session_id != second.session_id
        other.receiver(first.session_id).append(Cancelled(), seq=1, closes=False)
        with pytest.raises(StaleSession):
            first.append(Cancelled(), seq=1, closes=False)


def test_what_another_process_writes_changes_the_pulse(path: Path, store: SqliteStore) -> None:
    with SqliteStore.open(path) as other:
        before = store.pulse()
        log = started(other)
        after = store.pulse()
        assert after != before
        other.receiver(log.session_id).append(Cancelled(), seq=1, closes=False)
        assert store.pulse() != after
        assert store.heads() == {log.session_id: 2}


def test_a_kind_of_a_newer_dovetail_hides_no_session(store: SqliteStore) -> None:
    log = started(store)
    store.saw(log.session_id, SEEN)
    store.write(
        lambda connection: connection.execute(update(sightings).values(kind="teleported")).close()
    )
    assert store.row(log.session_id).sighting is None


def test_a_damaged_entry_names_its_session_and_stops_no_other(store: SqliteStore) -> None:
    bad, good = started(store), started(store)
    store.write(
        lambda connection: connection.execute(
            update(session_events)
            .where(session_events.c.session_id == bad.session_id)
            .values(data=b"{")
        ).close()
    )
    with pytest.raises(ReplayError, match=f"Session {bad.session_id}: Entry 0"):
        bad.load()
    assert len(good.load()) == 1
    assert [entry.data for entry in store.stored(bad.session_id).events] == [b"{"]
    assert [row.session_id for row in store.live()] == [bad.session_id, good.session_id]


def test_a_lost_entry_is_noticed(store: SqliteStore) -> None:
    log = started(store)
    store.write(lambda connection: connection.execute(delete(session_events)).close())
    with pytest.raises(ReplayError, match="Entry 0 of the log is missing"):
        log.load()


def test_a_callers_own_statements_are_one_write_with_nothing_else(store: SqliteStore) -> None:
    asyncio.run(store.write_async(lambda c: c.execute(text("CREATE TABLE notes (n)")).close()))

    def fail(connection: Connection) -> None:
        connection.execute(text("INSERT INTO notes VALUES (1)"))
        raise LookupError("changed my mind")

    with pytest.raises(LookupError):
        store.write(fail)
    with reading(store.engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM notes")).scalar() == 0


def test_a_full_disk_loses_nothing_acknowledged(store: SqliteStore) -> None:
    log = started(store)
    store.write(lambda c: c.execute(text("PRAGMA max_page_count = 1")).close())

    def fill_the_disk() -> None:
        for seq in range(1, 10_000):
            log.append(ProtocolFailed(reason=Reason.CANCELLED_BY_US), seq=seq, closes=False)

    with pytest.raises(StoreUnavailable, match="disk is full"):
        fill_the_disk()
    kept = len(log.load())
    assert store.row(log.session_id).next_seq == kept
    store.write(lambda c: c.execute(text("PRAGMA max_page_count = 100000")).close())
    log.append(Cancelled(), seq=kept, closes=False)


def test_an_emptied_database_is_not_started_as_a_new_one(path: Path, store: SqliteStore) -> None:
    started(store)
    store.close()
    path.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"sessions\.db is empty: restore a copy"):
            SqliteStore.open(path)
    assert path.read_bytes() == b""


def test_a_failed_upgrade_leaves_no_database_half_made(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_connection: Connection) -> None:
        raise StoreUnavailable("no")

    monkeypatch.setattr("dovetail.stores.sql.sqlite_store.upgrade", fail)
    with pytest.raises(StoreUnavailable):
        SqliteStore.open(path)
    monkeypatch.undo()
    with SqliteStore.open(path) as store:
        assert store.live() == ()


def test_an_ending_that_cannot_be_read_leaves_the_outcome(store: SqliteStore) -> None:
    """A newer Dovetail may write more into it, and a disk may damage it."""
    log = started(store)
    log.append(closed(), seq=1, closes=True)
    store.write(lambda connection: connection.execute(update(sessions).values(ending=b"{")).close())
    row = store.row(log.session_id)
    assert row.outcome == "expired"
    assert row.ending is None


def test_damage_in_a_row_or_an_entry_keeps_no_other_from_being_found(tmp_path: Path):
    path = tmp_path / "sessions.db"
    with SqliteStore.open(path) as store:
        first = started(store).session_id
        named = started(store, structs.replace(receiver_created(), label="Tea")).session_id
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE sessions SET label = CAST(x'ff' AS TEXT) WHERE session_id = 1")
            database.execute("UPDATE sessions SET standing = x'ff' WHERE session_id = 1")
            database.execute("UPDATE session_events SET data = x'7bff' WHERE session_id = 1")
        assert [row.session_id for row in store.history(wanted=Wanted(text="tea"))] == [named]
        found = store.history(wanted=Wanted(text=str(address())))
        assert [row.session_id for row in found] == [named, first]
