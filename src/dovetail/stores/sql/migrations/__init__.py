"""Schema versions, applied by Alembic when the store opens.

The scripts up to 0006 are of SQLite alone, and `postgresql` begins with that one. Write a later one
for both databases: with Alembic's operations, and with the types of `schema`.
"""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from dovetail.errors import StoreUnavailable

if TYPE_CHECKING:
    from alembic.config import Config

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Every released revision, oldest first; a test compares them with the scripts."""

HEAD = REVISIONS[-1]
"""The newest revision."""

SCRIPTS = Path(__file__).parent

_alembic = threading.Lock()
"""Held while Alembic works: it keeps what it works on in its modules."""


def current(connection: Connection) -> str | None:
    """Return the revision of a database; None before the first."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(connection: Connection) -> None:
    """Upgrade the database to `HEAD` inside the caller's transaction, all or nothing.

    Raises `StoreUnavailable` for a database that a newer Dovetail or another program has
    written.
    """
    revision = current(connection)
    if revision is None and inspect(connection).get_table_names():
        raise StoreUnavailable(
            f"The database {connection.engine.url.database} belongs to another program: name a"
            " file of Dovetail's."
        )
    if revision == HEAD:
        return
    require_known(revision)
    run(connection)


def require_known(revision: str | None) -> None:
    """Raise `StoreUnavailable` for a revision of a newer Dovetail."""
    if revision is not None and revision not in REVISIONS:
        raise StoreUnavailable(
            "The database was written by a newer Dovetail: install that version to open it."
        )


def run(connection: Connection, *, versions: str = "alembic_version") -> None:
    """Run the scripts up to `HEAD`; `versions` is the table with the revision."""
    run_scripts(connection, SCRIPTS, HEAD, versions=versions)


def run_scripts(connection: Connection, folder: Path, head: str, *, versions: str) -> None:
    """Run the scripts in `folder` up to the revision `head`, in the caller's transaction."""
    from alembic import command  # noqa: PLC0415 - a current database does not need Alembic

    with _alembic:
        command.upgrade(_config(connection, folder, versions), head)


def stamp(connection: Connection, revision: str, *, versions: str) -> None:
    """Record that the database has this revision."""
    from alembic import command  # noqa: PLC0415 - a current database does not need Alembic

    with _alembic:
        command.stamp(_config(connection, SCRIPTS, versions), revision)


def _config(connection: Connection, folder: Path, versions: str) -> "Config":
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes.update(connection=connection, versions=versions)
    return config
