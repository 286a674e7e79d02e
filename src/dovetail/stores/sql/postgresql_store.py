"""A store in PostgreSQL, through SQLAlchemy Core and psycopg (docs/reference/store.md)."""

import time
from contextlib import AbstractContextManager
from typing import Self

from dovetail.extras import brought_by

with brought_by("postgresql", "dovetail.stores.sql.PostgresStore"):
    from sqlalchemy import Connection, Engine, event
    from sqlalchemy.pool import ConnectionPoolEntry

    from dovetail.stores.sql.postgresql import (
        open_engine,
        parse_url,
        reading,
        require_transaction,
        translated,
    )

from dovetail.errors import ConfigurationError, StoreUnavailable
from dovetail.stores.ports import Rows
from dovetail.stores.sql.migrations import postgresql as migrations
from dovetail.stores.sql.postgresql_statements import PostgresStatements
from dovetail.stores.sql.postgresql_writer import PooledWriter
from dovetail.stores.sql.store import Clock, SqlStore
from dovetail.stores.uuid7 import Uuid7

# Each writer may also read, so some connections are left to readers.
_READERS = 4
_PULSE = "SELECT coalesce(sum(writes), 0)::bigint FROM session_writes"


class PostgresStore(SqlStore):
    """A `Store` in a PostgreSQL database, for any number of processes on any machines.

    Safe to share between threads. Session ids are `uuid.UUID`s of version 7.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Clock = time.time,
        rows: Rows | None = None,
        writers: int = 8,
    ) -> None:
        """Take an engine with a current schema; `open` is the usual way.

        `rows` is called for every event that is saved, in its transaction (see `Rows`). Up to
        `writers` transactions are written at once; the engine needs more connections than that.
        """
        writer = PooledWriter(engine, at_once=writers)
        super().__init__(engine, PostgresStatements(Uuid7(clock)), writer, clock=clock, rows=rows)
        self._closed = False
        event.listen(engine, "checkin", self._returned)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        clock: Clock = time.time,
        rows: Rows | None = None,
        connections: int = 12,
        upgrade: bool = True,
    ) -> Self:
        """Connect to a database, such as `postgresql://user:password@host/database`.

        The database must exist. Its schema is made or upgraded, under a lock and all or nothing;
        without `upgrade`, an older schema is refused. Connections are opened as they are needed, up
        to `connections` (5 or more).

        Raises `ConfigurationError` for a URL that cannot be used, and `StoreUnavailable` if the
        database cannot be reached, or belongs to another program or a newer Dovetail. No error
        shows the URL or its password.
        """
        if connections <= _READERS:
            raise ConfigurationError(f"`connections` must be more than {_READERS}.")
        engine = open_engine(parse_url(url), connections=connections)
        try:
            with translated(engine), engine.begin() as connection:
                migrations.prepare(connection, upgrade=upgrade)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, clock=clock, rows=rows, writers=connections - _READERS)

    def close(self) -> None:
        """Finish all submitted writes and close the connections; a reader's when it is done."""
        self.writer.close()
        self._closed = True
        self.engine.dispose()

    def _returned(self, _connection: object, entry: ConnectionPoolEntry) -> None:
        if self._closed:
            entry.close()

    def pulse(self) -> int:
        """See `Store.pulse`; triggers count the writes of each server process."""
        self._require_open()
        with translated(self.engine), self.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            return int(connection.exec_driver_sql(_PULSE).scalar_one())

    def reading(self) -> AbstractContextManager[Connection]:
        """Yield a connection with one snapshot, to read any tables; it waits for no writer."""
        self._require_open()
        return reading(self.engine)

    def require_transaction(self, connection: Connection) -> None:
        """Raise `UsageError` unless the connection is in a transaction."""
        require_transaction(connection)

    def _require_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("The store is closed: open it again.")
