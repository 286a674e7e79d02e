from pathlib import Path

import pytest
from tests.stores.kept_logs import keep

from dovetail.stores.ports import SessionId
from dovetail.stores.sql import SqliteStore
from dovetail.stores.sql.peek import expired_sessions, latest_sessions, may_hold_sessions
from dovetail.testing.store_samples import started


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


def test_where_there_is_no_database_there_is_no_session(path: Path) -> None:
    assert not may_hold_sessions(path)
    assert not path.exists()


def test_a_new_database_holds_none(path: Path) -> None:
    SqliteStore.open(path).close()
    assert not may_hold_sessions(path)


def test_a_session_is_seen_while_its_database_is_open_and_when_it_is_not(path: Path) -> None:
    with SqliteStore.open(path) as store:
        keep(store, "receiver/paid-by-payjoin")
        assert may_hold_sessions(path)
    assert may_hold_sessions(path)


@pytest.mark.parametrize("content", [b"", b"no database", bytes(8192)])
def test_what_cannot_be_read_may_hold_some(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert may_hold_sessions(path)
    assert path.read_bytes() == content


def test_sessions_that_expired_are_those_that_are_open(path: Path) -> None:
    assert expired_sessions(path, before=2**62) == ()
    with SqliteStore.open(path) as store:
        keep(store, "receiver/paid-by-payjoin")
        number = started(store).session_id
        expires_at = int(store.row(number).expires_at)
    assert expired_sessions(path, before=expires_at) == ()
    (found,) = expired_sessions(path, before=expires_at + 1)
    assert SessionId(found) == number


def test_no_session_expired_where_the_database_cannot_be_read(path: Path) -> None:
    path.write_bytes(b"no database")
    assert expired_sessions(path, before=2**62) == ()


def test_the_latest_sessions_are_told_with_whether_they_are_open(path: Path) -> None:
    assert latest_sessions(path, at_most=9) == ()
    with SqliteStore.open(path) as store:
        keep(store, "receiver/paid-by-payjoin")
        started(store)
    assert latest_sessions(path, at_most=9) == ((2, True), (1, False))
    assert latest_sessions(path, at_most=1) == ((2, True),)


def test_no_session_is_listed_where_the_database_cannot_be_read(path: Path) -> None:
    path.write_bytes(b"no database")
    assert latest_sessions(path, at_most=9) == ()
