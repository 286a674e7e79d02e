import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from dovetail.errors import StoreUnavailable
from dovetail.stores.sql.sqlite import make_whole, open_engine, reading, translated, unavailable


def test_a_new_database_is_private(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    engine = open_engine(path)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (n)"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "new.db-wal").stat().st_mode) == 0o600
    engine.dispose()


def test_commits_survive_a_power_cut(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "new.db")
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
    engine.dispose()


def test_a_reader_sees_one_state_while_a_writer_writes(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "new.db")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (n)"))
    with reading(engine) as reader:
        assert reader.execute(text("SELECT count(*) FROM t")).scalar() == 0
        with engine.begin() as writer:
            writer.execute(text("INSERT INTO t VALUES (1)"))
        assert reader.execute(text("SELECT count(*) FROM t")).scalar() == 0
    engine.dispose()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"cannot be made in .*missing"):
        open_engine(tmp_path / "missing" / "new.db")


def with_a_table(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE t (n)"))


def names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


def test_a_database_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new.db"

    def crash(connection: Connection) -> None:
        with_a_table(connection)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_whole(path, crash)
    assert names(tmp_path) == []
    make_whole(path, with_a_table)
    make_whole(path, crash)  # it is there
    assert names(tmp_path) == ["new.db"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    connection.close()


def test_of_two_who_make_a_database_the_first_counts(tmp_path: Path) -> None:
    path = tmp_path / "new.db"

    def late(connection: Connection) -> None:
        with_a_table(connection)
        path.write_bytes(b"made by another process")

    make_whole(path, late)
    assert path.read_bytes() == b"made by another process"
    assert names(tmp_path) == ["new.db"]


def test_the_next_database_of_a_process_is_like_the_first_and_apart_from_it(tmp_path: Path) -> None:
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    make_whole(first, with_a_table)
    with closing(sqlite3.connect(first)) as connection, connection:
        connection.execute("INSERT INTO t DEFAULT VALUES")
    make_whole(second, with_a_table)
    assert stat.S_IMODE(second.stat().st_mode) == 0o600
    with closing(sqlite3.connect(second)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    assert sorted(names(tmp_path)) == ["first.db", "second.db"]


def test_a_database_is_made_where_files_have_one_name_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(_source: Path, _target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    make_whole(tmp_path / "new.db", with_a_table)
    assert names(tmp_path) == ["new.db"]


def test_a_database_that_cannot_be_made_names_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Path) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match=r"cannot be made in .*Not a directory"):
        make_whole(tmp_path / "file" / "new.db", with_a_table)
    monkeypatch.setattr("os.link", fail)
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StoreUnavailable, match=r"cannot be made in .*No space left"):
        make_whole(tmp_path / "new.db", with_a_table)
    assert names(tmp_path) == ["file"]


def test_a_file_that_is_no_database_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    path.write_bytes(b"not a database at all" * 100)
    engine = open_engine(path)
    with pytest.raises(StoreUnavailable, match="not a Dovetail database"), translated(engine):
        engine.connect()
    engine.dispose()


def test_a_full_disk_says_so_and_keeps_what_was_there(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "new.db")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (data)"))

    def write_too_much() -> None:
        with translated(), engine.begin() as connection:
            connection.execute(text("PRAGMA max_page_count = 4"))
            connection.execute(text("INSERT INTO t VALUES (zeroblob(1000000))"))

    with pytest.raises(StoreUnavailable, match="disk is full"):
        write_too_much()
    with reading(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM t")).scalar() == 0
    engine.dispose()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("attempt to write a readonly database", "read-only"),
        ("database is locked", "Another process"),
        ("unable to open database file", "cannot be opened"),
        ("no such table: secret", "lacks a table"),
        ("disk I/O error", "check its health"),
        ("database disk image is malformed", "damaged"),
        ("something new", "nothing was written"),
    ],
)
def test_each_fault_has_its_advice(said: str, told: str) -> None:
    error = OperationalError("SELECT 'secret'", {"key": "secret"}, sqlite3.OperationalError(said))
    assert told in str(unavailable(error))
    assert "secret" not in str(unavailable(error))


def test_opening_twice_keeps_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    for _ in range(2):
        engine = open_engine(path)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS t (n)"))
        engine.dispose()
    assert path.stat().st_size > 0
