"""Runs commands in this process, as the entry point does."""

import io
import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.stores.kept_logs import keep

from dovetail.cli import exits
from dovetail.cli.app import app
from dovetail.stores.sql import SqliteStore

PASSPHRASE = "correct horse battery staple"
LOGS = Path(__file__).parents[1] / "eventlogs" / "v1"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@dataclass
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass
class Cli:
    """One person: a data directory and settings. Call it with a command's words."""

    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    def __call__(self, *words: str, stdin: str | io.StringIO = "") -> Said:
        stream = io.StringIO(stdin) if isinstance(stdin, str) else stdin
        with self.monkeypatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", stream)
            self.capsys.readouterr()
            code = exits.run(app, list(words))
        said = self.capsys.readouterr()
        return Said(code, said.out, said.err)

    @property
    def environment(self) -> dict[str, str]:
        names = {f"DOVETAIL_{key.upper()}": value for key, value in self.settings.items()}
        return names | {"DOVETAIL_DATA_DIR": str(self.folder)}

    @property
    def database(self) -> Path:
        return self.folder / "regtest" / "sessions.db"

    def store(self, *names: str) -> None:
        """Put recorded logs, such as `sender/success`, into the database; an id each."""
        self.database.parent.mkdir(parents=True, exist_ok=True)
        with SqliteStore.open(self.database) as store:
            for name in names:
                keep(store, name)

    def change(self, statement: str, *values: object) -> None:
        """Change the database as no command does."""
        with closing(sqlite3.connect(self.database)) as database, database:
            database.execute(statement, values)

    def damage(self, session: int) -> None:
        """Make the first entry of a log unreadable."""
        with closing(sqlite3.connect(self.database)) as database, database:
            database.execute(
                "UPDATE session_events SET data = ? WHERE session_id = ? AND seq = 0",
                (b"{}", session),
            )


def events(folder: Path) -> Iterator[tuple[object, int]]:
    """Session and length of every log below a data directory: what must not change."""
    for path in folder.glob("*/sessions.db"):
        with SqliteStore.open(path) as store:
            for row in store.history():
                yield row.session_id, row.next_seq
