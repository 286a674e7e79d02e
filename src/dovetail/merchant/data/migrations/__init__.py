"""Versions of the shop's tables, applied by Alembic under a lock before anything else starts."""

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import Connection, inspect, select, text

from dovetail.errors import StoreUnavailable
from dovetail.merchant.data.schema import metadata
from dovetail.stores.sql.migrations import run_scripts

REVISIONS = ("m001", "m002", "m003", "m004", "m005", "m006", "m007")
"""Every released revision, oldest first."""

HEAD = REVISIONS[-1]
VERSIONS = "merchant_version"
LOCK = 7_816_303_227
"""The key of the advisory lock in PostgreSQL; a number of no meaning."""

_TYPES = {
    "postgresql": {
        "uuid": "UUID",
        "session_id": "UUID",
        "text": 'VARCHAR COLLATE "C"',
        "whole": "BIGINT",
        "bytes": "BYTEA",
    },
    "sqlite": {
        "uuid": "CHAR(32)",
        "session_id": "INTEGER",
        "text": "VARCHAR",
        "whole": "INTEGER",
        "bytes": "BLOB",
    },
}
PULSE = ("invoices", "invoice_events", "close_requests", "webhook_deliveries", "wallet_coins")
"""The tables whose writes workers look for."""


def prepare(connection: Connection, *, upgrade: bool = True) -> None:
    """Bring the tables to the newest schema, inside the caller's transaction, all or nothing.

    SQLite's transaction excludes other writers, and PostgreSQL takes a lock. Raises
    `StoreUnavailable` for a database that a newer Dovetail or another program has written, or,
    without `upgrade`, for an older schema.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (LOCK,)).close()
    if examine(connection, upgrade=upgrade) != HEAD:
        run_scripts(connection, Path(__file__).parent, HEAD, versions=VERSIONS)
    for table in metadata.sorted_tables:
        connection.execute(select(table).limit(0)).close()


def examine(connection: Connection, *, upgrade: bool) -> str | None:
    """Return the revision of the tables, None if there are none; changes nothing.

    Raises what `prepare` raises for a database that cannot be used.
    """
    revision = _current(connection)
    if revision == HEAD:
        return revision
    if revision is not None and revision not in REVISIONS:
        raise StoreUnavailable(
            "The shop's tables were written by a newer Dovetail: install that version."
        )
    known = inspect(connection).get_table_names()
    if revision is None and (taken := sorted(set(metadata.tables).intersection(known))):
        raise StoreUnavailable(
            f"The database has a table `{taken[0]}` of another program: set `database` to one for"
            " Dovetail alone."
        )
    if not upgrade:
        raise StoreUnavailable(
            "The shop's tables have an older schema: start the shop's server once,"
            " which upgrades them."
        )
    return revision


def is_current(connection: Connection) -> bool:
    """Whether the tables have the schema of this release: another one may have upgraded them."""
    return _current(connection) == HEAD


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSIONS):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSIONS}")).scalar()  # noqa: S608


def types_of(connection: Connection) -> Mapping[str, str]:
    """What the scripts' names of types are in this database."""
    return _TYPES[connection.dialect.name]


def count_writes(connection: Connection) -> None:
    """Let writes to these tables change the store's pulse in PostgreSQL; SQLite needs no help."""
    if connection.dialect.name != "postgresql":
        return
    for table in PULSE:
        connection.exec_driver_sql(
            f"CREATE TRIGGER count_write AFTER INSERT OR UPDATE OR DELETE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION count_session_write()"
        ).close()
