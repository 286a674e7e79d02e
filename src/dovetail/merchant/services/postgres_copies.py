"""Copies of a database in PostgreSQL, by its own `pg_dump` and `pg_restore`."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dovetail.extras import brought_by

with brought_by("merchant", "dovetail.merchant"):
    from psycopg.conninfo import make_conninfo
    from sqlalchemy import URL

from dovetail.durable_files import new_file
from dovetail.errors import ConfigurationError, StoreUnavailable
from dovetail.stores.sql.postgresql import open_engine, parse_url, server_of, translated

_DUMP, _RESTORE = "pg_dump", "pg_restore"
_QUIET = ("--no-owner", "--no-privileges", "--no-password")
_OTHER_VERSION = ("version mismatch", "unsupported version")
_THINGS = """
SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%%'
"""


@dataclass(frozen=True, slots=True, repr=False)
class SharedDatabase:
    """A database in PostgreSQL, and the folder of the programs that copy it; None: the path's.

    Its repr shows no URL (P4).
    """

    url: str
    programs: Path | None = None

    def __repr__(self) -> str:
        return "<SharedDatabase>"

    def __str__(self) -> str:
        return "PostgreSQL"

    def dump(self, target: Path) -> None:
        """Copy the database, as it is at one moment, into a new file of mode 0600.

        Raises `ConfigurationError` without `pg_dump`, and `StoreUnavailable` where it fails.
        """
        try:
            with new_file(target):
                pass  # for its owner's eyes alone, before anything is in it
        except OSError as error:
            raise StoreUnavailable(
                f"The copy {target} cannot be made: {error.strerror}. See to the folder and the"
                " disk."
            ) from error
        self._run(_DUMP, "--format=custom", "--file", str(target))

    def restore(self, source: Path) -> None:
        """Bring a copy into the database, whole or not at all.

        Raises `ConfigurationError` without `pg_restore`, and `StoreUnavailable` where it fails.
        """
        self._run(_RESTORE, "--single-transaction", "--exit-on-error", after=(str(source),))

    def require_empty(self) -> None:
        """Raise `ConfigurationError` unless nothing is in the database, and `StoreUnavailable`."""
        engine = open_engine(self._parsed, connections=1)
        try:
            with translated(engine), engine.connect() as connection:
                found = connection.exec_driver_sql(_THINGS).scalar_one()
        finally:
            engine.dispose()
        if found:
            raise ConfigurationError(
                "The database has tables, and stays as it is: make an empty one, and give its URL"
                " as `database`."
            )

    @property
    def _parsed(self) -> URL:
        return parse_url(self.url)

    def _run(self, name: str, *words: str, after: Sequence[str] = ()) -> None:
        """Run a program; the password is in its environment, where other users do not see it."""
        place, secret = self._place()
        command = [self._program(name), *_QUIET, *words, "--dbname", place, *after]
        environment = os.environ | secret | {"LC_ALL": "C", "PGAPPNAME": "dovetail"}
        try:
            done = subprocess.run(  # noqa: S603 - a program of the operator's, and no shell
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
            )
        except OSError as error:
            raise ConfigurationError(
                f"`{name}` cannot be started: {error.strerror}. Correct `postgresql_programs`."
            ) from error
        if done.returncode == 0:
            return
        told = done.stderr.decode("utf-8", "replace")
        if any(each in told for each in _OTHER_VERSION):
            raise ConfigurationError(
                f"`{name}` is older than the database server: install the programs of its release,"
                " and set `postgresql_programs` to their folder."
            )
        raise StoreUnavailable(
            f"`{name}` cannot copy the database at {server_of(self._parsed)}: see whether the"
            " server answers, whether the user may read and write all of it, and whether the disk"
            " has room."
        )

    def _place(self) -> tuple[str, dict[str, str]]:
        """The database as libpq names it, and what is not for its arguments."""
        url = self._parsed
        named = {"host": url.host, "port": url.port, "user": url.username, "dbname": url.database}
        more = {
            name: each if isinstance(each, str) else ",".join(each)
            for name, each in url.query.items()
        }
        told = {name: str(each) for name, each in named.items() if each is not None} | more
        return make_conninfo(**told), {"PGPASSWORD": url.password} if url.password else {}

    def _program(self, name: str) -> str:
        folder = None if self.programs is None else str(self.programs)
        found = shutil.which(name, path=folder)
        if found is None:
            raise ConfigurationError(
                f"`{name}` is not there: install PostgreSQL's programs, or set"
                " `postgresql_programs` to their folder."
            )
        return found
