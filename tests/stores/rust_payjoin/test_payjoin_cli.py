import sqlite3
from contextlib import closing

import pytest
from tests.stores.rust_payjoin.recorded import log_of

from dovetail.errors import StoreUnavailable
from dovetail.stores.ports import Role
from dovetail.stores.rust_payjoin import ForeignLog, open_sessions

SCHEMA = """
CREATE TABLE send_sessions (session_id TEXT PRIMARY KEY, pj_uri TEXT NOT NULL,
    receiver_pubkey BLOB NOT NULL, completed_at INTEGER);
CREATE TABLE receive_sessions (session_id TEXT PRIMARY KEY, completed_at INTEGER);
CREATE TABLE send_session_events (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL,
    event_data TEXT NOT NULL, created_at INTEGER NOT NULL);
CREATE TABLE receive_session_events (id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL, event_data TEXT NOT NULL, created_at INTEGER NOT NULL);
INSERT INTO send_sessions VALUES ('one', 'bitcoin:', x'02', 7);
INSERT INTO receive_sessions VALUES ('two', NULL), ('three', 7);
"""


@pytest.fixture
def database(tmp_path):
    """What payjoin-cli 1.0 keeps: a sender that is done, and receivers, one of them open."""
    path = tmp_path / "payjoin.sqlite"
    with closing(sqlite3.connect(path)) as made:
        made.executescript(SCHEMA)
        for table, session, role in (("send", "one", "sender"), ("receive", "two", "receiver")):
            rows = [(session, entry) for entry in log_of("payjoin-p2tr", role)]
            made.executemany(
                f"INSERT INTO {table}_session_events VALUES (NULL, ?, ?, 1)",  # noqa: S608
                rows,
            )
        made.commit()
    return path


def test_senders_and_open_receivers_are_found_with_their_logs(database):
    assert list(open_sessions(database)) == [
        ForeignLog(Role.SENDER, "one", tuple(log_of("payjoin-p2tr", "sender"))),
        ForeignLog(Role.RECEIVER, "two", tuple(log_of("payjoin-p2tr", "receiver"))),
    ]


def test_nothing_of_a_log_is_shown(database):
    assert repr(next(open_sessions(database))) == "<ForeignLog of a sender>"


def test_a_database_in_use_is_named(database):
    with closing(sqlite3.connect(database)) as user:
        user.execute("PRAGMA locking_mode = EXCLUSIVE")
        user.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable, match="stop payjoin-cli"):
            list(open_sessions(database))


def test_a_file_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "payjoin.sqlite"
    path.write_bytes(b"no database at all")
    with pytest.raises(StoreUnavailable):
        list(open_sessions(path))
