import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text
from tests.stores.released_databases import RELEASED, SCHEMAS, content, old

from dovetail.errors import StoreUnavailable
from dovetail.stores.sql import SqliteStore, migrations
from dovetail.stores.sql.schema import metadata
from dovetail.stores.sql.sqlite import open_engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(tmp_path / "sessions.db")
    yield engine
    engine.dispose()


def test_an_empty_database_is_brought_to_the_newest_schema(engine: Engine) -> None:
    with engine.begin() as connection:
        assert migrations.current(connection) is None
        migrations.upgrade(connection)
        assert migrations.current(connection) == migrations.HEAD


def test_upgrading_twice_changes_nothing(engine: Engine) -> None:
    for _ in range(2):
        with engine.begin() as connection:
            migrations.upgrade(connection)
            assert migrations.current(connection) == migrations.HEAD


def test_the_scripts_make_the_tables_that_the_code_describes(engine: Engine) -> None:
    with engine.begin() as connection:
        migrations.upgrade(connection)
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert differences == []


def test_the_head_is_the_newest_script() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEAD


def test_every_revision_is_known(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations.SCRIPTS))
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    assert tuple(script.revision for script in scripts)[::-1] == migrations.REVISIONS


@pytest.mark.parametrize("revision", ["9999", "", "0001a"])
def test_a_database_from_a_newer_release_is_left_alone(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        migrations.upgrade(connection)
        connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})
    with pytest.raises(StoreUnavailable, match="newer"), engine.begin() as connection:
        migrations.upgrade(connection)


def test_the_tables_of_another_program_are_left_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE inputs_seen (mine)"))
    with pytest.raises(StoreUnavailable, match="another program"), engine.begin() as connection:
        migrations.upgrade(connection)
    with engine.begin() as connection:
        assert migrations.current(connection) is None
        assert connection.execute(text("SELECT * FROM inputs_seen")).keys() == ["mine"]


@pytest.mark.parametrize(("revision", "digest"), RELEASED.items())
def test_the_copy_of_a_released_schema_never_changes(revision: str, digest: str) -> None:
    assert sha256((SCHEMAS / f"{revision}.sql").read_bytes()).hexdigest() == digest


def test_every_schema_before_the_newest_is_kept() -> None:
    assert tuple(RELEASED) == migrations.REVISIONS[:-1]
    assert {path.stem for path in SCHEMAS.iterdir()} == set(RELEASED)


def test_a_migration_that_fails_leaves_the_old_database_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = tmp_path / "scripts"
    shutil.copytree(migrations.SCRIPTS, scripts)
    (scripts / "versions" / "9999_bad.py").write_text(
        "from alembic import op\n"
        "from dovetail.stores.sql import migrations\n"
        "revision, down_revision = '9999', migrations.REVISIONS[-1]\n"
        "def upgrade():\n"
        "    op.execute('DELETE FROM session_events')\n"
        "    op.execute('DROP TABLE inputs_seen')\n"
        "    op.execute('DROP TABLE no_such_table')\n"
    )
    monkeypatch.setattr(migrations, "SCRIPTS", scripts)
    monkeypatch.setattr(migrations, "HEAD", "9999")
    path = tmp_path / "sessions.db"
    old(path, "0001")
    before = content(path)
    with pytest.raises(StoreUnavailable, match="lacks a table"):
        SqliteStore.open(path)
    assert content(path) == before
    monkeypatch.undo()
    with SqliteStore.open(path) as store:
        assert len(store.history()) == 4


def test_a_migration_that_is_killed_leaves_the_old_database_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    old(path, "0001")
    before = content(path)
    dying = (
        "import os, sys; from pathlib import Path; from alembic.op import execute\n"
        "from dovetail.stores.sql import sqlite_store as store\n"
        "def upgrade(connection):\n"
        "    connection.exec_driver_sql('DELETE FROM session_events')\n"
        "    os.kill(os.getpid(), 9)\n"
        "store.upgrade = upgrade\n"
        "store.SqliteStore.open(Path(sys.argv[1]))\n"
    )
    died = subprocess.run([sys.executable, "-c", dying, str(path)], check=False)
    assert died.returncode == -9
    assert content(path) == before


def test_of_two_processes_that_find_an_old_database_one_upgrades(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    old(path, "0001")
    opening = (
        "import sys; from pathlib import Path; from dovetail.stores.sql import SqliteStore\n"
        "sys.stdin.readline()\n"
        "with SqliteStore.open(Path(sys.argv[1])) as store: print(len(store.history()))\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", opening, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate()[0] for process in processes] == ["4\n"] * 3


KILLED = """
import os, sys
from pathlib import Path
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine
from dovetail.stores.sql import SqliteStore

count = 0

def strike(*_):
    global count
    count += 1
    if count == int(sys.argv[2]):
        os.kill(os.getpid(), 9)

event.listen(Engine, "before_cursor_execute", strike)
event.listen(Engine, "commit", strike)
SqliteStore.open(Path(sys.argv[1])).close()
print(count)
"""


@pytest.mark.parametrize("revision", RELEASED)
def test_an_upgrade_that_is_killed_anywhere_is_made_whole_by_the_next(
    tmp_path: Path, revision: str
) -> None:
    path = tmp_path / "sessions.db"
    old(path, revision)
    before = content(path)
    whole = tmp_path / "whole.db"
    old(whole, revision)
    counted = subprocess.run(
        [sys.executable, "-c", KILLED, str(whole), "0"], check=True, capture_output=True, text=True
    )
    upgraded = content(whole)
    statements = int(counted.stdout)
    for at in range(1, statements + 1, max(1, statements // 6)):
        died = subprocess.run([sys.executable, "-c", KILLED, str(path), str(at)], check=False)
        assert died.returncode == -signal.SIGKILL
        assert content(path) == before
    SqliteStore.open(path).close()
    assert content(path) == upgraded
