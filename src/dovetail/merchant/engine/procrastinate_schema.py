"""Procrastinate's tables, beside those of the merchant.

Procrastinate brings its schema and a script for each change of it, but no record of which were run.
The record is the comment on its table of jobs: the name of the newest script.
"""

from importlib import resources
from typing import Any

from sqlalchemy import Connection, Engine

from dovetail.errors import StoreUnavailable

LOCK = 0x6A6F6273
"""The advisory lock of an upgrade: of several processes that start at once, one upgrades."""

_TABLE = "SELECT to_regclass('procrastinate_jobs')::oid"
_COMMENT = "SELECT obj_description(%s::oid, 'pg_class')"
_RECORD = "COMMENT ON TABLE procrastinate_jobs IS '{}'"
# A worker looks up jobs by their lock each time that it takes one.
_INDEX = """
CREATE INDEX IF NOT EXISTS dovetail_jobs_by_lock ON procrastinate_jobs (lock)
WHERE status IN ('todo', 'doing')
"""


def scripts() -> dict[str, str]:
    """Return the text of each script by its name, oldest first, as installed here."""
    folder = resources.files("procrastinate.sql") / "migrations"
    found = (each for each in folder.iterdir() if each.name.endswith(".sql"))
    named = {each.name.removesuffix(".sql"): each.read_text(encoding="utf-8") for each in found}
    return dict(sorted(named.items()))


def prepare(engine: Engine) -> None:
    """Make the tables, or bring them to the schema of the Procrastinate that is installed.

    Raises `StoreUnavailable` for tables of a newer Procrastinate, or of another program.
    """
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_lock(%s)", (LOCK,)).close()
        connection.commit()
        try:
            _upgrade(connection)
        finally:
            connection.rollback()
            connection.exec_driver_sql("SELECT pg_advisory_unlock(%s)", (LOCK,)).close()
            connection.commit()


def _upgrade(connection: Connection) -> None:
    known = scripts()
    newest = next(reversed(known))
    table = connection.exec_driver_sql(_TABLE).scalar()
    if table is None:
        schema = resources.files("procrastinate.sql") / "schema.sql"
        _run(connection, schema.read_text(encoding="utf-8") + _INDEX, newest)
        return
    recorded = connection.exec_driver_sql(_COMMENT, (table,)).scalar()
    if recorded is None:
        raise StoreUnavailable(
            "The database has tables of Procrastinate that belong to another program: create a"
            " database, or a schema, for Dovetail alone."
        )
    if recorded not in known:
        raise StoreUnavailable(
            "The tables of Procrastinate in the database are newer than the version installed here:"
            " upgrade the package `procrastinate`."
        )
    for name, script in known.items():
        if name > recorded:
            _run(connection, script, name)


def _run(connection: Connection, script: str, name: str) -> None:
    """Run a script of several statements and record it, in one transaction."""
    driver: Any = connection.connection.driver_connection
    driver.execute(script)
    driver.execute(_RECORD.format(name))
    connection.commit()
