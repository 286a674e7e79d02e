"""What the tables refuse by themselves, and ids that are never given twice."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError
from tests.stores.released_databases import old

from dovetail.bitcoin import OutPoint
from dovetail.stores.ports import SessionId
from dovetail.stores.sql import SqliteStore
from dovetail.testing.store_samples import started


def test_the_id_of_a_deleted_session_is_not_given_again(tmp_path: Path) -> None:
    """Neither after the upgrade, nor where the newest went before it and left its inputs (P2)."""
    path = tmp_path / "sessions.db"
    old(path, "0004")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO inputs_seen VALUES (?, 7, 1)", (f"{'0a' * 32}:0",))
    with SqliteStore.open(path) as store:
        seen = OutPoint.parse(f"{'0a' * 32}:0")
        first = started(store)
        assert first.session_id == SessionId(8)
        assert store.claim(first.session_id, [seen]) == {seen}
        delete(store, first.session_id)
        assert started(store).session_id == SessionId(9)


def delete(store: SqliteStore, session_id: SessionId) -> None:
    def work(connection: Connection) -> None:
        for table in ("session_events", "sessions"):
            statement = f"DELETE FROM {table} WHERE session_id = :session"  # noqa: S608
            connection.execute(text(statement), {"session": session_id})

    store.write(work)


def test_the_id_of_a_deleted_session_is_not_given_again_in_a_new_database(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path / "sessions.db") as store:
        first = started(store)
        delete(store, first.session_id)
        assert started(store).session_id == SessionId(2)
    with SqliteStore.open(tmp_path / "sessions.db") as store:
        assert started(store).session_id == SessionId(3)


MIXED = {
    "a receiver with a key": "('receiver', NULL, x'02', NULL, NULL, NULL, NULL)",
    "a receiver with a URI": "('receiver', 'u', NULL, NULL, NULL, NULL, NULL)",
    "a sender without a URI": "('sender', NULL, x'02', NULL, NULL, NULL, NULL)",
    "neither of both": "('nobody', NULL, NULL, NULL, NULL, NULL, NULL)",
    "an end of what is open": "('receiver', NULL, NULL, NULL, 'success', NULL, NULL)",
    "an ending without its code": "('receiver', NULL, NULL, 1, NULL, x'7b7d', NULL)",
    "a standing of what is closed": "('receiver', NULL, NULL, 1, 'success', NULL, x'7b7d')",
}


@pytest.mark.parametrize("values", MIXED.values(), ids=MIXED.keys())
def test_a_row_of_mixed_shape_is_refused(tmp_path: Path, values: str) -> None:
    columns = (
        "(address, created_at, expires_at, last_tag, next_seq,"
        " role, pj_uri, receiver_pubkey, closed_at, outcome, ending, standing)"
    )
    values = values.replace("(", "('a', 1, 1, 'Created', 1, ", 1)
    with SqliteStore.open(tmp_path / "sessions.db") as store:
        statement = text(f"INSERT INTO sessions {columns} VALUES {values}")  # noqa: S608
        with pytest.raises(IntegrityError, match="CHECK"):
            store.write(lambda connection: connection.execute(statement).close())
