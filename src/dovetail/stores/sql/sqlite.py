"""Opens SQLite durably and privately, and translates its errors."""

import os
import threading
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect
from sqlalchemy.exc import DBAPIError

from dovetail.durable_files import sync_folder
from dovetail.errors import StoreUnavailable, UsageError
from dovetail.stores.search import request_says, row_says
from dovetail.stores.stored_event import is_as_written

BUSY_TIMEOUT_MS = 10_000
"""How long a process waits for the write lock."""

THOROUGH = 1 << 26
"""Files up to this size are fully checked at the start, in about a tenth of a second."""

_READER = "dovetail_reader"
_BARE = "dovetail_bare"

_ADVICE = {
    "disk is full": "The disk is full: free some space and try again; nothing was written.",
    "readonly": "The database is read-only: make its file and folder writable, then try again.",
    "unable to open": "The database cannot be opened: its folder must exist and be writable.",
    "locked": "Another process kept the database locked: wait for it to finish, then try again.",
    "disk I/O": "The disk is full or reports an error: free some space, and check its health.",
}

_NAMED = {
    "not a database": "is not a Dovetail database, or its beginning is damaged: restore a copy",
    "malformed": "is damaged: keep the file, and restore a copy of it",
    "no such": "lacks a table or column of Dovetail: keep the file, and restore a copy of it",
}


def unavailable(error: DBAPIError, engine: Engine | None = None) -> StoreUnavailable:
    """Return the error for a database fault, without the statement and its values (P4).

    If the engine is given, an error about damage names the file.
    """
    text = str(error.orig)
    for mark, advice in _ADVICE.items():
        if mark in text:
            return StoreUnavailable(advice)
    for mark, words in _NAMED.items():
        if mark in text:
            return StoreUnavailable(f"{_name(engine)} {words}.")
    return StoreUnavailable("The database reported an unknown error; nothing was written.")


def _name(engine: Engine | None) -> str:
    return "The database" if engine is None else f"The database {engine.url.database}"


@contextmanager
def translated(engine: Engine | None = None) -> Generator[None]:
    """Turn SQLite's errors in the block into `StoreUnavailable`."""
    try:
        yield
    except DBAPIError as error:
        raise unavailable(error, engine) from error.orig


def examine(engine: Engine, path: Path, vital: Collection[str]) -> None:
    """Check the file for damage; raises `StoreUnavailable` with the file's name.

    The whole file is checked, unless it is larger than `THOROUGH`: then only the `vital` tables,
    so that a long history does not slow down the start. This check cannot find changed bytes
    inside values: log entries have checksums for that.
    """
    with reading(engine) as connection:
        known = inspect(connection).get_table_names()
        checks = ["1"]
        if path.stat().st_size > THOROUGH:
            checks = [f"'{table}'" for table in vital if table in known]
        for check in checks:
            verdict = connection.exec_driver_sql(f"PRAGMA quick_check({check})").scalar()
            if verdict != "ok":
                raise StoreUnavailable(f"{_name(engine)} {_NAMED['malformed']}.")


_MADE: dict[Callable[[Connection], None], bytes] = {}
"""The databases without rows that this process has made, by what prepared them."""


def make_whole(path: Path, prepare: Callable[[Connection], None]) -> None:
    """Create the database at `path` if missing; a crash never leaves an empty one.

    `prepare` writes its schema. Raises `StoreUnavailable`, also for an empty file: something
    emptied it, and its loss must be reported.
    """
    try:
        if path.stat().st_size:
            return
    except FileNotFoundError:
        _make(path, prepare)
    except OSError as error:
        raise _not_made(path, error) from error
    else:
        raise StoreUnavailable(
            f"The database {path} is empty: restore a copy, or remove it to start anew."
        )


def _make(path: Path, prepare: Callable[[Connection], None]) -> None:
    # One draft for each process and thread: two may start at once, and the first to finish wins.
    draft = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.new")
    try:
        draft.unlink(missing_ok=True)
        if prepare in _MADE:
            _copy(_MADE[prepare], draft)
        else:
            _prepare(draft, prepare)
            _MADE[prepare] = draft.read_bytes()
        _publish(draft, path)
    except OSError as error:
        raise _not_made(path, error) from error
    finally:
        for leftover in (draft, *(Path(f"{draft}{end}") for end in ("-wal", "-shm"))):
            with suppress(OSError):
                leftover.unlink(missing_ok=True)


def _prepare(draft: Path, prepare: Callable[[Connection], None]) -> None:
    engine = open_engine(draft)
    try:
        with translated(engine), engine.begin() as connection:
            prepare(connection)
    finally:
        engine.dispose()


def _copy(made: bytes, draft: Path) -> None:
    _create_private(draft)
    with draft.open("wb") as file:
        file.write(made)
        file.flush()
        os.fsync(file.fileno())


def _publish(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        draft.replace(path)
    sync_folder(path.parent)


def open_engine(path: Path) -> Engine:
    """Return an engine for the database at `path`; a new file gets mode 0600.

    WAL with `synchronous=FULL`: a commit survives a power cut. Every transaction begins IMMEDIATE,
    so that two writers wait for each other instead of failing half-way; `reading` begins a
    deferred one. Raises `StoreUnavailable`.
    """
    _create_private(path)
    engine = create_engine(URL.create("sqlite", database=str(path)), hide_parameters=True)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def reading(engine: Engine) -> Generator[Connection]:
    """Yield a connection with a consistent snapshot that does not wait for the writer."""
    with translated(engine), engine.connect().execution_options(**{_READER: True}) as connection:
        yield connection


def require_transaction(connection: Connection) -> None:
    """Raise `UsageError` unless the connection is in a transaction.

    A savepoint outside of a transaction would commit when it is released.
    """
    driver: Any = connection.connection.driver_connection
    if not (connection.in_transaction() and driver.in_transaction):
        raise UsageError("The connection is in no transaction: begin one, then save within it.")


@contextmanager
def rebuilding(engine: Engine) -> Generator[Connection]:
    """Yield a transaction in which a table can be rebuilt under its name.

    SQLite would delete or refuse rows that refer to it. So foreign keys are switched off before
    the transaction, because they cannot be changed inside one.
    """
    with translated(engine), engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys = OFF").close()
        try:
            with connection.begin():
                yield connection
        finally:
            driver.execute("PRAGMA foreign_keys = ON").close()


class Pulse:
    """Detects writes to a database by any connection and process.

    It keeps its own connection, because SQLite's `data_version` is valid only for one connection.
    It begins no transaction, which would freeze the version.
    """

    def __init__(self, engine: Engine) -> None:
        """Nothing is opened before the first `read`."""
        self._engine = engine
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def read(self) -> int:
        """Return SQLite's number; raises `StoreUnavailable`."""
        with self._lock, translated(self._engine):
            if self._connection is None:
                self._connection = self._engine.connect().execution_options(**{_BARE: True})
            return int(self._connection.exec_driver_sql("PRAGMA data_version").scalar_one())

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def _configure(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we write BEGIN ourselves, see _begin
    connection.create_function("is_as_written", 4, is_as_written, deterministic=True)
    connection.create_function("row_says", 4, row_says, deterministic=True)
    connection.create_function("request_says", 2, request_says, deterministic=True)
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get(_BARE, False):
        connection.exec_driver_sql("BEGIN" if options.get(_READER, False) else "BEGIN IMMEDIATE")


def _create_private(path: Path) -> None:
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise _not_made(path, error) from error
    os.close(handle)
    sync_folder(path.parent)


def _not_made(path: Path, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(
        f"The database cannot be made in {path.parent}: {error.strerror}."
        " Choose a folder that you may write to."
    )
