"""The SQLite file of the mailboxes: created atomically, and readable on a full disk."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine

from dovetail.errors import StoreUnavailable
from dovetail.stores.sql.sqlite import make_whole, open_engine, translated

_VERSION = 1
_SCHEMA = (
    """CREATE TABLE mailboxes (
        short_id TEXT PRIMARY KEY, message BLOB NOT NULL, posted_at REAL NOT NULL)""",
    "CREATE INDEX mailboxes_by_age ON mailboxes (posted_at)",
    f"PRAGMA user_version = {_VERSION}",
)
TEST_WRITE = _SCHEMA[-1]
"""A write that changes nothing, to test whether the disk has room."""
_SQLITE_WITHOUT_TABLES = 0
_READER_TIMEOUT_MS = 100
"""How long a read waits for another program's lock. All other clients wait meanwhile."""


def make(path: Path) -> None:
    """Create the file if it is missing; raises `StoreUnavailable`, also for an empty file."""
    make_whole(path, _prepare)


def open_writable(path: Path) -> Engine:
    """Return an engine that has tested the write lock; raises `StoreUnavailable`."""
    engine = open_engine(path)
    try:
        with translated(engine), engine.begin():
            return engine
    except BaseException:
        engine.dispose()
        raise


def open_reader(path: Path, *, alone: bool = False) -> sqlite3.Connection:
    """Open a connection for reads; raises `StoreUnavailable`.

    With `alone` SQLite keeps its shared index in memory instead of in a file, for which a full
    disk has no room. No other connection can then be opened.
    """
    with readable():
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA busy_timeout = {_READER_TIMEOUT_MS}").close()
            if alone:
                connection.execute("PRAGMA locking_mode = EXCLUSIVE").close()
            _check(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def readable() -> Generator[None]:
    """Turn SQLite's errors of reads in the block into `StoreUnavailable`."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailable("The mailboxes cannot be read: check the disk.") from error


def _prepare(connection: Connection) -> None:
    for statement in _SCHEMA:
        connection.exec_driver_sql(statement)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == _SQLITE_WITHOUT_TABLES:
        raise StoreUnavailable(
            f"The database {path} holds no mailboxes: restore a copy, or remove it to start"
            " without messages."
        )
    if version != _VERSION:
        raise StoreUnavailable("The mailboxes were written by a newer version: upgrade Dovetail.")
