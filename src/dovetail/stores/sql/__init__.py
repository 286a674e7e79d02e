"""Logs in a SQL database, through SQLAlchemy Core (extras `store` and `postgresql`)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.stores.sql.postgresql_store import PostgresStore as PostgresStore
    from dovetail.stores.sql.sqlite_store import SqliteStore as SqliteStore
    from dovetail.stores.sql.store import SqlStore as SqlStore
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(
        __name__,
        {
            "postgresql_store": "PostgresStore",
            "sqlite_store": "SqliteStore",
            "store": "SqlStore",
        },
    )
