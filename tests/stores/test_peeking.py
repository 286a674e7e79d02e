from pathlib import Path

import pytest
from tests.stores.golden import keep

from dovetail.stores.peeking import may_hold_sessions
from dovetail.stores.sql import SqlStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


def test_where_there_is_no_database_there_is_no_session(path: Path) -> None:
    assert not may_hold_sessions(path)
    assert not path.exists()


def test_a_new_database_holds_none(path: Path) -> None:
    SqlStore.open(path).close()
    assert not may_hold_sessions(path)


def test_a_session_is_seen_while_its_database_is_open_and_when_it_is_not(path: Path) -> None:
    with SqlStore.open(path) as store:
        keep(store, "receiver/paid-by-payjoin")
        assert may_hold_sessions(path)
    assert may_hold_sessions(path)


@pytest.mark.parametrize("content", [b"", b"no database", bytes(8192)])
def test_what_cannot_be_read_may_hold_some(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert may_hold_sessions(path)
    assert path.read_bytes() == content
