"""The store under attack: full, locked and read-only files, other processes, damaged files."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.eventlogs.logs import entries
from tests.stores.kept_logs import keep

from dovetail.errors import StoreUnavailable
from dovetail.sessions.receiver.events import Cancelled
from dovetail.stores.integrity import load_session
from dovetail.stores.ports import SessionId
from dovetail.stores.sql import sqlite
from dovetail.stores.sql.sqlite_store import VITAL, SqliteStore
from dovetail.testing.store_samples import started

FIRST = SessionId(1)
PAGE = 4096

WORKER = """
import sys
from pathlib import Path
from dovetail.bitcoin import OutPoint, Txid
from dovetail.sessions.receiver.events import Cancelled
from dovetail.stores.sql.sqlite_store import VITAL, SqliteStore
from dovetail.testing.store_samples import started

mine = 0
for round in range(4):
    with SqliteStore.open(Path(sys.argv[1])) as store:
        log = started(store)
        for seq in range(1, 25):
            log.append(Cancelled(), seq=seq, closes=False)
        for number in range(25):
            coin = OutPoint(Txid(bytes([round, number]) * 16), 0)
            mine += not store.claim(log.session_id, [coin])
        assert len(log.load()) == 25
print(mine)
"""

DYING = """
import sys
from pathlib import Path
from dovetail.sessions.receiver.events import Cancelled
from dovetail.stores.sql.sqlite_store import VITAL, SqliteStore
from dovetail.testing.store_samples import started

store = SqliteStore.open(Path(sys.argv[1]))
log = started(store)
for seq in range(1, 100_000):
    log.append(Cancelled(), seq=seq, closes=False)
    print(seq, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "sessions.db"
    with SqliteStore.open(path) as store:
        keep(store, "sender/success")
        keep(store, "receiver/paid-by-payjoin", upto=3)
    return path


@contextmanager
def holding_the_lock(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def readable(path: Path) -> None:
    with SqliteStore.open(path) as store:
        assert load_session(store, FIRST).seq == len(entries("sender/success"))
        assert load_session(store, SessionId(2)).seq == 3


def test_processes_on_one_database_take_turns(path: Path) -> None:
    """No error reaches either, and of every contested input each has seen its share."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [worker.communicate() for worker in workers]
    assert [err for _, err in said] == ["", ""]
    assert sum(int(out) for out, _ in said) == 100
    with SqliteStore.open(path) as store:
        assert sum(row.next_seq == 25 for row in store.history()) == 8
    readable(path)


def test_a_process_that_is_killed_loses_nothing_acknowledged(path: Path) -> None:
    dying = subprocess.Popen(
        [sys.executable, "-c", DYING, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert dying.stdout is not None
    for line in dying.stdout:
        if int(line) == 40:
            dying.send_signal(signal.SIGKILL)
            break
    last = [40, *map(int, dying.stdout.read().split())][-1]
    dying.stdout.close()
    assert dying.wait() == -signal.SIGKILL
    with SqliteStore.open(path) as store:
        log = store.receiver(SessionId(3))
        assert last + 1 <= len(log.load()) <= last + 2
        assert len(log.load()) == store.row(log.session_id).next_seq
    readable(path)


def test_a_locked_database_says_so_and_goes_on_when_it_is_free(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 50)
    with SqliteStore.open(path) as store:
        log = started(store)
        with holding_the_lock(path):
            with pytest.raises(StoreUnavailable, match="Another process"):
                log.append(Cancelled(), seq=1, closes=False)
            assert len(log.load()) == 1, "readers do not wait"
            with pytest.raises(StoreUnavailable, match="Another process"):
                SqliteStore.open(path)
        log.append(Cancelled(), seq=1, closes=False)
        assert len(log.load()) == 2


def test_a_read_only_database_says_so_and_loses_nothing(path: Path) -> None:
    with SqliteStore.open(path) as store:
        log = started(store)

        def lock_away(connection: Connection) -> None:
            connection.exec_driver_sql("PRAGMA query_only = 1")

        store.write(lock_away)
        with pytest.raises(StoreUnavailable, match="read-only"):
            log.append(Cancelled(), seq=1, closes=False)
        assert len(log.load()) == store.row(log.session_id).next_seq == 1
        store.engine.dispose()
        log.append(Cancelled(), seq=1, closes=False)
    readable(path)


def garbled(path: Path, offset: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(bytes(range(1, 256)) * (length // 255) + b"\xee" * (length % 255))


@pytest.mark.parametrize("page", range(1, 12), ids=lambda page: f"page {page}")
def test_a_garbled_page_is_recognised_at_start_and_the_file_named(path: Path, page: int) -> None:
    assert path.stat().st_size >= 12 * PAGE
    garbled(path, page * PAGE, PAGE)
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match=r"sessions\.db is damaged"):
        SqliteStore.open(path)
    assert path.read_bytes() == before


def test_of_a_large_file_what_no_checksum_guards_is_looked_through(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "THOROUGH", 0)
    readable(path)
    with closing(sqlite3.connect(path)) as database:
        query = "SELECT name, rootpage FROM sqlite_schema WHERE type = 'table'"
        roots = dict(database.execute(query).fetchall())
    whole = path.read_bytes()
    for table in VITAL:
        path.write_bytes(whole)
        garbled(path, (roots[table] - 1) * PAGE, PAGE)
        with pytest.raises(StoreUnavailable, match=r"sessions\.db is damaged"):
            SqliteStore.open(path)


def test_a_new_file_is_looked_through_though_it_has_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "THOROUGH", -1)
    with SqliteStore.open(tmp_path / "new.db") as store:
        assert store.history() == ()


def test_a_garbled_beginning_is_recognised_and_the_file_named(path: Path) -> None:
    garbled(path, 0, 100)
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match=r"sessions\.db is not a Dovetail database"):
        SqliteStore.open(path)
    assert path.read_bytes() == before


def test_a_file_that_was_cut_is_recognised_and_named(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 2 * PAGE)
    with pytest.raises(StoreUnavailable, match=r"sessions\.db is damaged"):
        SqliteStore.open(path)


@pytest.mark.parametrize("table", ["sessions", "session_events", "inputs_seen"])
def test_a_database_that_lacks_a_table_is_recognised_and_named(path: Path, table: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"DROP TABLE {table}")
    with pytest.raises(StoreUnavailable, match=r"sessions\.db lacks a table"):
        SqliteStore.open(path)


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "photos.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE photos (n)")
    with pytest.raises(StoreUnavailable, match=r"photos\.db belongs to another program"):
        SqliteStore.open(path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT name FROM sqlite_schema").fetchall() == [("photos",)]


def test_a_value_that_breaks_a_rule_is_recognised_and_the_file_named(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.execute("UPDATE sessions SET role = 'miner' WHERE session_id = 1")
        database.commit()
    with pytest.raises(StoreUnavailable, match=r"sessions\.db is damaged"):
        SqliteStore.open(path)


def test_a_log_of_writes_that_is_garbage_is_left_out(path: Path) -> None:
    """SQLite counts what is whole in it: nothing here was acknowledged by it."""
    path.with_name("sessions.db-wal").write_bytes(b"\xaa" * 10_000)
    readable(path)
