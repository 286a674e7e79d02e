"""INSERT statements that can settle a conflict: both databases have them, SQLAlchemy for each."""

from typing import Any

from sqlalchemy import Connection, Table


def upsert(connection: Connection, table: Table) -> Any:
    """Return an INSERT for the connection's database, with `on_conflict_do_update` and others."""
    # Imported here: a database's module takes time to load, and only one of them is needed.
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite  # noqa: PLC0415

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415

    return postgresql.insert(table)
