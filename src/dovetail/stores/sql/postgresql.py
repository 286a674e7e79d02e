"""Connects to PostgreSQL durably, and translates its errors."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from psycopg.pq import TransactionStatus
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from dovetail.errors import ConfigurationError, StoreUnavailable, UsageError

LOCK_TIMEOUT = "10s"
"""How long a writer waits for another one's transaction."""

IDLE_TIMEOUT = "60s"
"""How long a process that stands still in a transaction keeps its locks."""

_DRIVERS = frozenset({"postgres", "postgresql", "postgresql+psycopg"})
_CONNECT = {
    "application_name": "dovetail",
    "client_encoding": "utf8",
    "connect_timeout": "10",
    # A server that cannot be reached any more is noticed within half a minute.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
}
# The user's own settings stay, except one: a commit must be durable before it is acknowledged.
_SETTINGS = """
SELECT set_config('lock_timeout', CASE current_setting('lock_timeout')
           WHEN '0' THEN %s ELSE current_setting('lock_timeout') END, false),
       set_config('idle_in_transaction_session_timeout',
           CASE current_setting('idle_in_transaction_session_timeout')
           WHEN '0' THEN %s ELSE current_setting('idle_in_transaction_session_timeout') END, false),
       set_config('synchronous_commit', CASE current_setting('synchronous_commit')
           WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)
"""

UNKNOWN = (
    "The connection to the database was lost during a commit: load the session again to see whether"
    " it was written."
)

FAILED_BEFORE = (
    "A statement in the transaction had failed, so that nothing was written: run a statement that"
    " may fail within `connection.begin_nested()`."
)

_ADVICE = {
    "08": "The connection to {server} was lost; nothing was written. Try again.",
    "22": "The database refused a value; nothing was written.",
    "25006": "{server} is read-only: name the primary server in the database's URL.",
    "25P02": FAILED_BEFORE,
    "28": "{server} refused the user or the password: correct the database's URL.",
    "3D000": "{server} has no such database: create it, or correct the database's URL.",
    "3F000": "The schema of the search path is missing in the database: create it.",
    "40": "Other writers were in the way; nothing was written. Try again.",
    "42501": "The database's user lacks a right: make it the owner of Dovetail's tables.",
    "42": "The database lacks a table or column of Dovetail: restore a copy.",
    "53100": "The disk of {server} is full: free some space and try again; nothing was written.",
    "53300": "{server} has too many connections: allow more, or start fewer processes.",
    "53": "{server} lacks memory or another resource; nothing was written. Try again.",
    "55P03": "Another process kept a lock; nothing was written. Wait for it, then try again.",
    "57014": "{server} cancelled the statement; nothing was written. Try again.",
    "57": "{server} is stopping or starting; nothing was written. Try again.",
    "58": "{server} reports an error of its disk: check its health; nothing was written.",
    "XX": "The database is damaged: keep it, and restore a copy of it.",
}
"""Sentences by SQLSTATE or its beginning; the longest key counts."""

# libpq gives no SQLSTATE if it cannot connect. Servers may also say this in another language.
_REFUSED = {
    "password authentication failed": "28",
    "no password supplied": "28",
    "pg_hba.conf": "28",
    'FATAL:  role "': "28",
    'FATAL:  database "': "3D000",
    "too many clients": "53300",
    "connection slots": "53300",
    "is starting up": "57",
    "is shutting down": "57",
}

_QUOTES_VALUES = ("22", "23")


def parse_url(text: str) -> URL:
    """Return the URL for psycopg; raises `ConfigurationError`, which never quotes it.

    A password among the parameters is moved, so that no repr shows it.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.drivername not in _DRIVERS:
        raise ConfigurationError(
            "The database's URL cannot be used: it must begin with `postgresql://`, such as"
            " `postgresql://user:password@host/database`."
        )
    password = url.query.get("password")
    if isinstance(password, str):
        url = url.set(password=password).difference_update_query(["password"])
    return url.set(drivername="postgresql+psycopg")


def connect_settings(url: URL) -> dict[str, str]:
    """Return libpq's settings for a connection, except those that the URL has."""
    return {name: value for name, value in _CONNECT.items() if name not in url.query}


def open_engine(url: URL, *, connections: int) -> Engine:
    """Return an engine with up to so many connections; nothing is connected yet.

    Each transaction is READ COMMITTED, and `reading` sees one snapshot.
    """
    engine = create_engine(
        url,
        connect_args=connect_settings(url),
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        max_overflow=0,
        pool_pre_ping=True,
        pool_size=connections,
    )
    event.listen(engine, "connect", _configure)
    return engine


def _configure(connection: Any, _record: object) -> None:
    connection.execute(_SETTINGS, (LOCK_TIMEOUT, IDLE_TIMEOUT))
    connection.commit()


@contextmanager
def reading(engine: Engine) -> Generator[Connection]:
    """Yield a connection with a consistent snapshot that waits for no writer."""
    with (
        translated(engine),
        engine.connect().execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        ) as connection,
    ):
        yield connection


@contextmanager
def translated(engine: Engine) -> Generator[None]:
    """Turn the database's errors in the block into `StoreUnavailable`."""
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        raise unavailable(error, engine) from cause_of(error)


def unavailable(error: SQLAlchemyError, engine: Engine) -> StoreUnavailable:
    """Return the error for a database fault, without the statement and its values (P4)."""
    server = server_of(engine.url)
    if isinstance(error, PoolTimeout):
        return StoreUnavailable(
            f"All connections to {server} were in use; nothing was written. Try again."
        )
    state = _state(error) or _refused(error)
    for length in (5, 2):
        if state is not None and state[:length] in _ADVICE:
            advice = _ADVICE[state[:length]].format(server=server)
            return StoreUnavailable(advice[:1].upper() + advice[1:])
    if state is None:
        return StoreUnavailable(
            f"Dovetail cannot reach {server}, or has lost the connection; nothing was written."
            " Start it or correct the database's URL, then try again."
        )
    return StoreUnavailable("The database reported an unknown error; nothing was written.")


def cause_of(error: SQLAlchemyError) -> BaseException | None:
    """Return the driver's error, or None if it quotes values of a row (P4)."""
    state = _state(error)
    if state is not None and state.startswith(_QUOTES_VALUES):
        return None
    return getattr(error, "orig", None)


def server_of(url: URL) -> str:
    """Return a name of the server without user and password."""
    named = url.host or url.query.get("host") or "this machine"
    host = named if isinstance(named, str) else ", ".join(named)
    port = "" if url.port is None else f":{url.port}"
    return f"the database server at {host}{port}"


def is_conflict(error: SQLAlchemyError) -> bool:
    """Whether the database took a transaction back because of other writers."""
    state = _state(error)
    return state is not None and state.startswith("40")


def is_lost(error: DBAPIError) -> bool:
    """Whether the connection is gone, so that the outcome of a commit is unknown."""
    state = _state(error)
    return error.connection_invalidated or state is None or state.startswith(("08", "57P"))


def _state(error: SQLAlchemyError) -> str | None:
    found: str | None = getattr(getattr(error, "orig", None), "sqlstate", None)
    return found


def _refused(error: SQLAlchemyError) -> str | None:
    said = str(getattr(error, "orig", ""))
    return next((state for mark, state in _REFUSED.items() if mark in said), None)


def require_sound(connection: Connection) -> None:
    """Raise `StoreUnavailable` if a statement has failed, as a commit would write nothing."""
    if connection.invalidated or _status(connection) is TransactionStatus.INERROR:
        raise StoreUnavailable(FAILED_BEFORE)


def require_transaction(connection: Connection) -> None:
    """Raise `UsageError` unless the connection is in a transaction.

    With autocommit each statement would be durable at once.
    """
    if not connection.in_transaction() or (
        _driver(connection).autocommit and _status(connection) is TransactionStatus.IDLE
    ):
        raise UsageError("The connection is in no transaction: begin one, then save within it.")


def _status(connection: Connection) -> TransactionStatus:
    return TransactionStatus(_driver(connection).info.transaction_status)


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection
