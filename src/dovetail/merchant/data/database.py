"""The shop's database: the sessions and the shop's tables, written in one transaction."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

from dovetail.extras import brought_by

with brought_by("merchant", "dovetail.merchant"):
    from sqlalchemy import Connection

    from dovetail.stores.sql.postgresql import open_engine, parse_url, translated

from dovetail.bitcoin import UnixTime
from dovetail.errors import ConfigurationError, StoreUnavailable
from dovetail.merchant.data import migrations, session_rows
from dovetail.stores.ports import Appended, Rows
from dovetail.stores.sql import PostgresStore, SqliteStore
from dovetail.stores.sql.store import Clock, SqlStore

T = TypeVar("T")

_TIME = "SELECT extract(epoch FROM clock_timestamp())"

SCHEMES = ("postgresql://", "postgres://")


class Database:
    """Reads and writes rows of the shop; threads may share it.

    Each session event is written in one transaction with what it means for its invoice.
    """

    def __init__(self, sessions: SqlStore, place: str | Path) -> None:
        """Take a session store whose `rows` are `session_rows.write`; `open` is the usual way."""
        self.sessions = sessions
        self._place = place

    def __repr__(self) -> str:
        return f"<Database in {'PostgreSQL' if self.is_shared else 'SQLite'}>"

    @classmethod
    def open(
        cls,
        place: str | Path,
        *,
        clock: Clock = time.time,
        upgrade: bool = True,
        connections: int = 12,
        appended: Callable[[Appended], None] | None = None,
    ) -> Self:
        """Open the database at a `postgresql://` URL or a file's path, and upgrade its schema.

        The upgrade happens under a lock, all or nothing. Without `upgrade` an older schema is
        refused in PostgreSQL, where another process may still use it; a file is always upgraded.
        `appended` hears of each session event that is written, again where a write is repeated.

        Raises `ConfigurationError` for a URL that cannot be used, and `StoreUnavailable` for a
        database that cannot be reached, read or upgraded, or that belongs to a newer Dovetail or
        another program.
        """
        if _is_shared(place):
            _examine(str(place), upgrade=upgrade)
        rows = session_rows.write if appended is None else _rows_and(appended)
        sessions = _sessions(place, clock, rows, upgrade=upgrade, connections=connections)
        try:
            upgrade = upgrade or isinstance(sessions, SqliteStore)
            sessions.write(lambda connection: migrations.prepare(connection, upgrade=upgrade))
        except BaseException:
            sessions.close()
            raise
        return cls(sessions, place)

    @staticmethod
    def examine(place: str | Path) -> None:
        """Raise what `open` would, before anything is made; a file is not looked into."""
        _require_scheme(place)
        if _is_shared(place):
            _examine(str(place), upgrade=True)

    @property
    def is_shared(self) -> bool:
        """Whether several machines may use it: it is PostgreSQL."""
        return isinstance(self.sessions, PostgresStore)

    @property
    def url(self) -> str:
        """The URL of a shared database, with its password; raises `ConfigurationError`."""
        if not self.is_shared:
            raise ConfigurationError("Only a database in PostgreSQL can be shared by workers.")
        return str(self._place)

    def now(self) -> UnixTime:
        """Return the time of new rows in seconds."""
        return self.sessions.now()

    def time(self) -> UnixTime:
        """Return the time of the database server; of a file, that of this machine."""
        if not self.is_shared:
            return self.now()
        told = self.read(lambda connection: connection.exec_driver_sql(_TIME).scalar_one())
        return UnixTime(int(told))

    def read(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` reads in one consistent snapshot; raises `StoreUnavailable`."""
        with self.sessions.reading() as connection:
            return work(connection)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction, durable when this returns; see `Store.write`."""
        return self.sessions.write(work)

    async def aread(self, work: Callable[[Connection], T]) -> T:
        """Read in a thread."""
        return await asyncio.to_thread(self.read, work)

    async def awrite(self, work: Callable[[Connection], T]) -> T:
        """Write in a thread; a cancelled await does not stop the write."""
        return await self.sessions.write_async(work)

    def pulse(self) -> int:
        """Return a number that changes with every write of any process; see `Store.pulse`."""
        return self.sessions.pulse()

    def close(self) -> None:
        """Finish all submitted writes and close the database."""
        self.sessions.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_shared(place: str | Path) -> bool:
    return isinstance(place, str) and place.startswith(SCHEMES)


def _require_scheme(place: str | Path) -> None:
    if isinstance(place, str) and "://" in place and not _is_shared(place):
        raise ConfigurationError(
            "`database` must be a file's path or a URL that begins with `postgresql://`."
        )


def _examine(url: str, *, upgrade: bool) -> None:
    """Raise for a database that cannot be used, before anything is made in it."""
    engine = open_engine(parse_url(url), connections=1)
    try:
        with translated(engine), engine.connect() as connection:
            migrations.examine(connection, upgrade=upgrade)
    finally:
        engine.dispose()


def _rows_and(appended: Callable[[Appended], None]) -> Rows:
    def rows(connection: Connection, event: Appended) -> None:
        session_rows.write(connection, event)
        appended(event)

    return rows


def _sessions(
    place: str | Path, clock: Clock, rows: Rows, *, upgrade: bool, connections: int
) -> SqlStore:
    if _is_shared(place):
        return PostgresStore.open(
            str(place), clock=clock, rows=rows, connections=connections, upgrade=upgrade
        )
    _require_scheme(place)
    path = Path(place)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(
            "The folder of `database` cannot be made: choose one that you may write to."
        ) from error
    return SqliteStore.open(path, clock=clock, rows=rows)
