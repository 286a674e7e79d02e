"""How we open SQLite: durable, private, and with errors a person can act on."""

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
"""How long a process waits for its turn to write."""

THOROUGH = 1 << 26
"""The size up to which a file is looked through at the start: about a tenth of a second."""

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
    "no such": "lacks a part of what Dovetail keeps in it: keep the file, and restore a copy of it",
}


def unavailable(error: DBAPIError, engine: Engine | None = None) -> StoreUnavailable:
    """The sentence for a fault of the database, without the statement and its values (P4).

    Damage names the file, if the engine is given.
    """
    text = str(error.orig)
    for mark, advice in _ADVICE.items():
        if mark in text:
            return StoreUnavailable(advice)
    for mark, words in _NAMED.items():
        if mark in text:
            return StoreUnavailable(f"{_name(engine)} {words}.")
    return StoreUnavailable("The database did not do what was asked; nothing was written.")


def _name(engine: Engine | None) -> str:
    return "The database" if engine is None else f"The database {engine.url.database}"


@contextmanager
def translated(engine: Engine | None = None) -> Generator[None]:
    """Raise `StoreUnavailable` for what SQLite reports inside the block."""
    try:
        yield
    except DBAPIError as error:
        raise unavailable(error, engine) from error.orig


def examine(engine: Engine, path: Path, vital: Collection[str]) -> None:
    """Look through the file for damage; raises `StoreUnavailable`, naming the file.

    All of it, unless it is larger than `THOROUGH`: then only the tables that are `vital` and are
    there, so that a start does not cost what a long history weighs. The shape of a file tells
    nothing about a byte inside a value: the entries of logs have checksums of their own.
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


def make_whole(path: Path, prepare: Callable[[Connection], None]) -> None:
    """Make the database at `path`, unless it is there; a crash leaves none, not an empty one.

    `prepare` writes its schema. Raises `StoreUnavailable`, also for a file without a byte in it:
    something emptied it, and what it held must not be forgotten silently.
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
    # One for each process: two may begin at once, and the first to finish is the one that counts.
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        draft.unlink(missing_ok=True)
        engine = open_engine(draft)
        try:
            with translated(engine), engine.begin() as connection:
                prepare(connection)
        finally:
            engine.dispose()
        _publish(draft, path)
    except OSError as error:
        raise _not_made(path, error) from error
    finally:
        for leftover in (draft, *(Path(f"{draft}{end}") for end in ("-wal", "-shm"))):
            with suppress(OSError):
                leftover.unlink(missing_ok=True)


def _publish(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        draft.replace(path)
    sync_folder(path.parent)


def open_engine(path: Path) -> Engine:
    """An engine for the database at `path`, made with file mode 0600 if it is new.

    WAL with `synchronous=FULL`: a commit survives a power cut. Every transaction begins
    IMMEDIATE, so two writers take turns instead of failing half-way; `reading` begins
    a plain one. Raises `StoreUnavailable`.
    """
    _create_private(path)
    engine = create_engine(URL.create("sqlite", database=str(path)), hide_parameters=True)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def reading(engine: Engine) -> Generator[Connection]:
    """A connection that sees one state of the database and does not wait for the writer."""
    with translated(engine), engine.connect().execution_options(**{_READER: True}) as connection:
        yield connection


@contextmanager
def savepoint(connection: Connection) -> Generator[None]:
    """Take back what the block wrote if it raises; a fault of the database is raised as it was.

    A full disk ends the whole transaction, and the savepoint with it.
    """
    nested = connection.begin_nested()
    try:
        yield
    except DBAPIError:
        with suppress(DBAPIError):
            nested.rollback()
        raise
    except BaseException:
        nested.rollback()
        raise
    nested.commit()


def require_transaction(connection: Connection) -> None:
    """Raise `UsageError` unless a transaction is under way that its owner can still take back.

    A savepoint outside of one would be a transaction of its own, durable once it is released.
    """
    driver: Any = connection.connection.driver_connection
    if not (connection.in_transaction() and driver.in_transaction):
        raise UsageError("The connection is in no transaction: begin one, then save within it.")


@contextmanager
def rebuilding(engine: Engine) -> Generator[Connection]:
    """A transaction in which a table may be made anew under its name.

    SQLite would delete what refers to it, or refuse; so references are not checked meanwhile, which
    it lets nobody change inside of a transaction.
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
    """Tells whether a database was written to, through whichever connection and process.

    It keeps a connection of its own, as SQLite's `data_version` compares only within one, and
    begins no transaction on it, which would hold the version still.
    """

    def __init__(self, engine: Engine) -> None:
        """Nothing is opened before the first look."""
        self._engine = engine
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def read(self) -> int:
        """SQLite's number; raises `StoreUnavailable`."""
        with self._lock, translated(self._engine):
            if self._connection is None:
                self._connection = self._engine.connect().execution_options(**{_BARE: True})
            return int(self._connection.exec_driver_sql("PRAGMA data_version").scalar_one())

    def close(self) -> None:
        """Let go of the connection."""
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
