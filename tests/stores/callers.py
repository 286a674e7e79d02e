"""Applications that keep rows of their own beside the sessions, in stores of every kind."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from dovetail.stores.memory import MemoryStore
from dovetail.stores.memory.tables import MemoryTables
from dovetail.stores.ports import Appended, Rows, Store
from dovetail.stores.sql import SqliteStore
from dovetail.stores.sql.sqlite import reading
from dovetail.testing.store_samples import NOW


class _Caller:
    hook: Rows | None = None

    def rows(self, connection: Any, appended: Appended) -> None:
        if self.hook is not None:
            self.hook(connection, appended)


class MemoryCaller(_Caller):
    """Its notes are under one key of the store's `rows`."""

    def __init__(self) -> None:
        self._memory = MemoryStore(clock=lambda: NOW, rows=self.rows)
        self.store: Store = self._memory

    def note(self, connection: MemoryTables, words: str) -> None:
        connection.rows["notes"] = (*connection.rows.get("notes", ()), words)

    def notes(self) -> list[str]:
        return self._memory.write(lambda tables: list(tables.rows.get("notes", ())))


class SqlCaller(_Caller):
    """Its notes are a table in the same file."""

    def __init__(self, path: Path) -> None:
        self._sql = SqliteStore.open(path, clock=lambda: NOW, rows=self.rows)
        self.store: Store = self._sql
        table = "CREATE TABLE IF NOT EXISTS notes (number INTEGER PRIMARY KEY, words UNIQUE)"
        self._sql.write(lambda connection: connection.execute(text(table)).close())

    def note(self, connection: Connection, words: str) -> None:
        connection.execute(text("INSERT INTO notes (words) VALUES (:words)"), {"words": words})

    def notes(self) -> list[str]:
        with reading(self._sql.engine) as connection:
            return list(
                connection.execute(text("SELECT words FROM notes ORDER BY number")).scalars()
            )
