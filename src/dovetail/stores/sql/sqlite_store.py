"""A store in SQLite, through SQLAlchemy Core (docs/reference/store.md)."""

import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

from dovetail.extras import brought_by

with brought_by("agent", "dovetail.stores.sql.SqliteStore"):
    from sqlalchemy import Connection, Engine, select

from dovetail.stores.ports import Rows
from dovetail.stores.sql.migrations import upgrade
from dovetail.stores.sql.schema import metadata
from dovetail.stores.sql.sqlite import (
    Pulse,
    examine,
    make_whole,
    open_engine,
    reading,
    rebuilding,
    require_transaction,
)
from dovetail.stores.sql.sqlite_statements import SqliteStatements
from dovetail.stores.sql.store import Clock, SqlStore
from dovetail.stores.sql.writer import Writer

VITAL = ("sessions", "inputs_seen", "coin_reservations")
"""Tables without checksums; they are small compared with the logs."""


class SqliteStore(SqlStore):
    """A `Store` in one SQLite file. Safe to share between threads and between processes."""

    def __init__(
        self, engine: Engine, *, clock: Clock = time.time, rows: Rows | None = None
    ) -> None:
        """Take an engine with a current schema; `open` is the usual way.

        `rows` is called for every event that is saved, in its transaction (see `Rows`).
        """
        super().__init__(engine, SqliteStatements(), Writer(engine), clock=clock, rows=rows)
        self._pulse = Pulse(engine)

    @classmethod
    def open(cls, path: Path, *, clock: Clock = time.time, rows: Rows | None = None) -> Self:
        """Open or create the database at `path`, and upgrade its schema.

        The upgrade holds the write lock and is all or nothing. Raises `StoreUnavailable` with the
        file's name if it cannot be opened, read or upgraded, is damaged or empty, or is not a
        database of Dovetail.
        """
        make_whole(path, upgrade)
        engine = open_engine(path)
        try:
            examine(engine, path, VITAL)
            with rebuilding(engine) as connection:
                upgrade(connection)
                for table in metadata.sorted_tables:
                    connection.execute(select(table).limit(0)).close()
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, clock=clock, rows=rows)

    def close(self) -> None:
        """Finish all submitted writes and close the file."""
        self.writer.close()
        self._pulse.close()
        self.engine.dispose()

    def pulse(self) -> int:
        """See `Store.pulse`."""
        return self._pulse.read()

    def reading(self) -> AbstractContextManager[Connection]:
        """Yield a connection with one snapshot, to read any tables; it waits for no writer."""
        return reading(self.engine)

    def require_transaction(self, connection: Connection) -> None:
        """Raise `UsageError` unless the connection is in a transaction."""
        require_transaction(connection)
