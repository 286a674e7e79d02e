import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError
from tests.eventlogs.logs import NAMES, entries

from dovetail.bitcoin import OutPoint
from dovetail.errors import StoreUnavailable
from dovetail.protocol.uri import PayjoinUri
from dovetail.sessions import receiver, sender
from dovetail.sessions.ending import ending_of
from dovetail.sessions.outcomes import code_of
from dovetail.stores import migrations
from dovetail.stores.logs import replayed
from dovetail.stores.ports import SessionId
from dovetail.stores.schema import metadata
from dovetail.stores.sql import SqlStore
from dovetail.stores.sqlite import open_engine
from dovetail.testing.store_samples import started

SCHEMAS = Path(__file__).parent / "schemas"
RELEASED = {
    "0001": "a537202b55bf1d9338bb5a4539149d9367c3bff613d25338ec7a4136e54d6aba",
    "0002": "914540f56075f035c413a349d9dbab2b79469971f5d84057303d8cd9909a460d",
    "0003": "530a6abae94acdd833a0adfd67b09212c3021d4ab2798f0675cccdcc75a05cfc",
    "0004": "63b48c45a3bce9bca03dc9f8580dace02f58ccff3ce44eb027b6f8c433f8f98a",
}
"""Each schema before the newest, as a dump with sessions in it, and its SHA-256."""


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


def old(path: Path, revision: str) -> None:
    """A database as the release with this schema left it, sessions included."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript((SCHEMAS / f"{revision}.sql").read_text())


def content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


@pytest.mark.parametrize(("revision", "digest"), RELEASED.items())
def test_the_copy_of_a_released_schema_never_changes(revision: str, digest: str) -> None:
    assert sha256((SCHEMAS / f"{revision}.sql").read_bytes()).hexdigest() == digest


def test_every_schema_before_the_newest_is_kept() -> None:
    assert tuple(RELEASED) == migrations.REVISIONS[:-1]
    assert {path.stem for path in SCHEMAS.iterdir()} == set(RELEASED)


@pytest.mark.parametrize("revision", RELEASED)
def test_sessions_go_on_after_an_upgrade(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "sessions.db"
    old(path, revision)
    with SqlStore.open(path) as store:
        assert [row.session_id for row in store.live()] == [SessionId(1), SessionId(4)]
        states = [replayed(store, row.session_id) for row in store.history()]
        assert [type(state).__name__ for state in states] == [
            "Initialized",
            "Closed",
            "Closed",
            "PollingForProposal",
        ]
        assert len(store.reserved()) == 2
        assert len(store.exposed()) == 1
        polling = store.sender(SessionId(1))
        event = sender.decode_event(entries("sender/success")[3])
        polling.append(event, seq=3, closes=False)
        assert len(polling.load()) == 4
        checksums = [event.checksum for event in store.stored(SessionId(1)).events]
        assert checksums[:3] == [None] * 3
        assert checksums[3] is not None
    with closing(sqlite3.connect(path)) as database:
        fresh = open_engine(tmp_path / "fresh.db")
        with fresh.begin() as connection:
            migrations.upgrade(connection)
            shapes = "SELECT name, type FROM sqlite_schema ORDER BY name"
            assert database.execute(shapes).fetchall() == [
                tuple(row) for row in connection.execute(text(shapes))
            ]
        fresh.dispose()


def test_v1_invoices_are_found_in_any_spelling_after_an_upgrade(tmp_path: Path) -> None:
    """What an older release stored as it was spelled, and two rows that turn out to be one."""
    path = tmp_path / "sessions.db"
    old(path, "0003")
    address = "bcrt1qs758ursh4q9z627kt3pp5yysm78ddny6txaqgw"
    rows = [
        (11, "HTTPS://SHOP.example:443/pay?"),
        (12, "https://shop.example/pay"),
        (13, "https://shop.example/other?r=%7e"),
        (14, "no URL at all"),
    ]
    with closing(sqlite3.connect(path)) as database:
        database.executemany(
            "INSERT INTO sessions VALUES (?, 'sender', ?, NULL, ?, 1, 1, 1, 'Closed', 1)",
            [(number, url, address) for number, url in rows],
        )
        database.commit()
    with SqlStore.open(path) as store:
        invoice = f"bitcoin:{address}?amount=0.001&pj="
        for url in ("https://shop.example/pay", "https://SHOP.example:443/pay?"):
            assert store.paying(PayjoinUri.parse(invoice + url)) == SessionId(12)
        again = PayjoinUri.parse(invoice + "https://shop.example/other?r=~")
        assert store.paying(again) == SessionId(13)
        assert store.paying_to(again.address) == SessionId(14)
    with closing(sqlite3.connect(path)) as database:
        urls = database.execute("SELECT pj_uri FROM sessions WHERE session_id > 10").fetchall()
    assert [url for (url,) in urls] == [
        "HTTPS://SHOP.example:443/pay?",
        "https://shop.example/pay",
        "https://shop.example/other?r=~",
        "no URL at all",
    ]


def test_a_migration_that_fails_leaves_the_old_database_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = tmp_path / "scripts"
    shutil.copytree(migrations.SCRIPTS, scripts)
    (scripts / "versions" / "9999_bad.py").write_text(
        "from alembic import op\n"
        "from dovetail.stores import migrations\n"
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
    with pytest.raises(StoreUnavailable, match="lacks a part"):
        SqlStore.open(path)
    assert content(path) == before
    monkeypatch.undo()
    with SqlStore.open(path) as store:
        assert len(store.history()) == 4


def test_a_migration_that_is_killed_leaves_the_old_database_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    old(path, "0001")
    before = content(path)
    dying = (
        "import os, sys; from pathlib import Path; from alembic.op import execute\n"
        "from dovetail.stores import sql\n"
        "def upgrade(connection):\n"
        "    connection.exec_driver_sql('DELETE FROM session_events')\n"
        "    os.kill(os.getpid(), 9)\n"
        "sql.upgrade = upgrade\n"
        "sql.SqlStore.open(Path(sys.argv[1]))\n"
    )
    died = subprocess.run([sys.executable, "-c", dying, str(path)], check=False)
    assert died.returncode == -9
    assert content(path) == before


def test_of_two_processes_that_find_an_old_database_one_upgrades(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    old(path, "0001")
    opening = (
        "import sys; from pathlib import Path; from dovetail.stores.sql import SqlStore\n"
        "sys.stdin.readline()\n"
        "with SqlStore.open(Path(sys.argv[1])) as store: print(len(store.history()))\n"
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


def fill(path: Path, revision: str) -> dict[int, str]:
    """Put each log of a release into a database of an older schema, as that release would have."""
    old(path, revision)
    names = dict(enumerate(NAMES, start=100))
    checksum = revision > "0001"
    with closing(sqlite3.connect(path)) as database, database:
        for number, name in names.items():
            role, lines = name.split("/")[0], entries(name)
            key = bytes([2]) + number.to_bytes(32, "big") if role == "sender" else None
            tags = [json.loads(line)["event"] for line in lines]
            database.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, 1, 2, ?, ?, ?)",
                (
                    number,
                    role,
                    f"https://directory.example/{number}" if key else None,
                    key,
                    "bcrt1qs758ursh4q9z627kt3pp5yysm78ddny6txaqgw",
                    9 if state_of(name).closed else None,
                    tags[-1],
                    len(lines),
                ),
            )
            for seq, (tag, line) in enumerate(zip(tags, lines, strict=True)):
                entry = (number, seq, tag, line, 1)
                marks = "?, ?, ?, ?, ?, NULL" if checksum else "?, ?, ?, ?, ?"
                database.execute(f"INSERT INTO session_events VALUES ({marks})", entry)  # noqa: S608
    return names


def state_of(name: str) -> receiver.ReceiverSession | sender.SenderSession:
    if name.startswith("sender/"):
        return sender.replay(map(sender.decode_event, entries(name)))
    return receiver.replay(map(receiver.decode_event, entries(name)))


@pytest.mark.parametrize("revision", RELEASED)
def test_sessions_in_every_state_go_on_after_an_upgrade(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "sessions.db"
    names = fill(path, revision)
    with SqlStore.open(path) as store:
        for number, name in names.items():
            session_id, state = SessionId(number), state_of(name)
            assert replayed(store, session_id) == state
            row = store.row(session_id)
            if isinstance(state, (receiver.Closed, sender.Closed)):
                assert row.ending == ending_of(state)
                assert row.outcome == code_of(state.outcome)
                continue
            assert row.ending is None
            assert row.outcome is None
            before = len(entries(name))
            if name.startswith("sender/"):
                cancelled = sender.events.Cancelled()
                store.sender(session_id).append(cancelled, seq=before, closes=False)
            else:
                store.receiver(session_id).append(
                    receiver.events.Cancelled(), seq=before, closes=False
                )
            assert store.row(session_id).next_seq == before + 1
        assert started(store).session_id == SessionId(max(names) + 1)


def test_a_database_of_each_release_says_how_its_sessions_ended(tmp_path: Path) -> None:
    for revision in RELEASED:
        path = tmp_path / f"{revision}.db"
        old(path, revision)
        with SqlStore.open(path) as store:
            told = [row.outcome for row in store.history()]
            assert told == [None, "success", "success", None], revision


def test_a_log_that_cannot_be_read_keeps_its_session_and_stops_no_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    old(path, "0004")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE session_events SET data = x'ff' WHERE session_id = 2")
        database.execute("DELETE FROM session_events WHERE session_id = 3")
    with SqlStore.open(path) as store:
        rows = {str(row.session_id): row for row in store.history()}
        assert list(rows) == ["4", "3", "2", "1"]
        assert rows["2"].outcome is rows["3"].outcome is None
        assert rows["2"].closed_at is not None


def test_the_id_of_a_deleted_session_is_not_given_again(tmp_path: Path) -> None:
    """Neither after the upgrade, nor where the newest went before it and left its inputs (P2)."""
    path = tmp_path / "sessions.db"
    old(path, "0004")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO inputs_seen VALUES (?, 7, 1)", (f"{'0a' * 32}:0",))
    with SqlStore.open(path) as store:
        seen = OutPoint.parse(f"{'0a' * 32}:0")
        first = started(store)
        assert first.session_id == SessionId(8)
        assert store.claim(first.session_id, [seen]) == {seen}
        delete(store, first.session_id)
        assert started(store).session_id == SessionId(9)


def delete(store: SqlStore, session_id: SessionId) -> None:
    def work(connection: Connection) -> None:
        for table in ("session_events", "sessions"):
            statement = f"DELETE FROM {table} WHERE session_id = :session"  # noqa: S608
            connection.execute(text(statement), {"session": session_id})

    store.write(work)


def test_the_id_of_a_deleted_session_is_not_given_again_in_a_new_database(tmp_path: Path) -> None:
    with SqlStore.open(tmp_path / "sessions.db") as store:
        first = started(store)
        delete(store, first.session_id)
        assert started(store).session_id == SessionId(2)
    with SqlStore.open(tmp_path / "sessions.db") as store:
        assert started(store).session_id == SessionId(3)


MIXED = {
    "a receiver with a key": "('receiver', NULL, x'02', 'a', 1, 1, NULL, 'Created', 1, NULL, NULL)",
    "a receiver with a URI": "('receiver', 'u', NULL, 'a', 1, 1, NULL, 'Created', 1, NULL, NULL)",
    "a sender without a URI": "('sender', NULL, x'02', 'a', 1, 1, NULL, 'Created', 1, NULL, NULL)",
    "neither of both": "('nobody', NULL, NULL, 'a', 1, 1, NULL, 'Created', 1, NULL, NULL)",
    "an end of what is open": (
        "('receiver', NULL, NULL, 'a', 1, 1, NULL, 'Created', 1, 'success', NULL)"
    ),
    "an ending without its code": (
        "('receiver', NULL, NULL, 'a', 1, 1, 1, 'Closed', 2, NULL, x'7b7d')"
    ),
}


@pytest.mark.parametrize("values", MIXED.values(), ids=MIXED.keys())
def test_a_row_of_mixed_shape_is_refused(tmp_path: Path, values: str) -> None:
    columns = (
        "(role, pj_uri, receiver_pubkey, address, created_at, expires_at, closed_at, last_tag,"
        " next_seq, outcome, ending)"
    )
    with SqlStore.open(tmp_path / "sessions.db") as store:
        statement = text(f"INSERT INTO sessions {columns} VALUES {values}")  # noqa: S608
        with pytest.raises(IntegrityError, match="CHECK"):
            store.write(lambda connection: connection.execute(statement).close())


def test_a_receivers_row_that_had_a_key_loses_it(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    old(path, "0004")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE sessions SET receiver_pubkey = x'02' WHERE role = 'receiver'")
    with SqlStore.open(path) as store:
        assert len(store.history()) == 4


KILLED = """
import os, sys
from pathlib import Path
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine
from dovetail.stores.sql import SqlStore

count = 0

def strike(*_):
    global count
    count += 1
    if count == int(sys.argv[2]):
        os.kill(os.getpid(), 9)

event.listen(Engine, "before_cursor_execute", strike)
event.listen(Engine, "commit", strike)
SqlStore.open(Path(sys.argv[1])).close()
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
    SqlStore.open(path).close()
    assert content(path) == upgraded
