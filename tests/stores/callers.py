"""Applications that keep rows of their own beside the sessions, in stores of every kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, text

from dovetail.stores.memory import MemoryStore
from dovetail.stores.memory.tables import MemoryTables
from dovetail.stores.ports import Appended, Rows, Store
from dovetail.stores.sql import PostgresStore, SqliteStore, SqlStore
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
    """Its notes are a table in the same database."""

    def __init__(self, open_store: Callable[[Rows], SqlStore]) -> None:
        self._sql = open_store(self.rows)
        self.store: Store = self._sql
        counted = {"sqlite": "INTEGER", "postgresql": "BIGSERIAL"}[self._sql.engine.dialect.name]
        table = (
            f"CREATE TABLE IF NOT EXISTS notes (number {counted} PRIMARY KEY, words TEXT UNIQUE)"
        )
        self._sql.write(lambda connection: connection.execute(text(table)).close())

    @classmethod
    def in_sqlite(cls, path: Path) -> Self:
        return cls(lambda rows: SqliteStore.open(path, clock=lambda: NOW, rows=rows))

    @classmethod
    def in_postgresql(cls, url: str) -> Self:
        return cls(lambda rows: PostgresStore.open(url, clock=lambda: NOW, rows=rows))

    def note(self, connection: Connection, words: str) -> None:
        connection.execute(text("INSERT INTO notes (words) VALUES (:words)"), {"words": words})

    def notes(self) -> list[str]:
        with self._sql.reading() as connection:
            return list(
                connection.execute(text("SELECT words FROM notes ORDER BY number")).scalars()
            )
