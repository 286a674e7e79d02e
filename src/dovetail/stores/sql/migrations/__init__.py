"""Schema versions, applied by Alembic when the store opens."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from dovetail.errors import StoreUnavailable

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Every released revision, oldest first; a test compares them with the scripts."""

HEAD = REVISIONS[-1]
"""The newest revision."""

SCRIPTS = Path(__file__).parent


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
    if revision is not None and revision not in REVISIONS:
        raise StoreUnavailable(
            "The database was written by a newer Dovetail: install that version to open it."
        )
    # Imported here: a current database does not need Alembic.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
