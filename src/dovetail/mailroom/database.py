"""The file of the mailboxes: made whole or not at all, read alone where the disk is full."""

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
TRY = _SCHEMA[-1]
"""A write that changes nothing, to see whether there is room for one."""
_SQLITE_WITHOUT_TABLES = 0
_READER_TIMEOUT_MS = 100
"""How long a read waits for another program's lock: everybody else waits with it."""


def make(path: Path) -> None:
    """Make the file, unless it is there; raises `StoreUnavailable`, also for an empty one."""
    make_whole(path, _prepare)


def open_writable(path: Path) -> Engine:
    """An engine that could take the lock of a writer; raises `StoreUnavailable`."""
    engine = open_engine(path)
    try:
        with translated(engine), engine.begin():
            return engine
    except BaseException:
        engine.dispose()
        raise


def open_reader(path: Path, *, alone: bool = False) -> sqlite3.Connection:
    """A connection for reads; raises `StoreUnavailable`.

    `alone` keeps in memory what SQLite else shares between connections in a file of its own,
    for which a full disk has no room. No other connection can then be opened.
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
    """Raise `StoreUnavailable` for what SQLite reports about a read inside the block."""
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
