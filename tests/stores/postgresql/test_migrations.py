"""The schema in PostgreSQL: made under a lock, equal to the code's, and never that of others."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Connection, Engine, bindparam, text
from tests.support.postgres import Server

from dovetail.errors import StoreUnavailable
from dovetail.stores.sql import PostgresStore, SqliteStore, migrations
from dovetail.stores.sql.migrations import postgresql
from dovetail.stores.sql.postgresql import open_engine, parse_url
from dovetail.stores.sql.schema import SESSION_ID, metadata
from dovetail.testing.store_samples import receiver_created, started


@pytest.fixture
def engine(empty_url: str) -> Iterator[Engine]:
    engine = open_engine(parse_url(empty_url), connections=2)
    yield engine
    engine.dispose()


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement)


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {name for (name,) in found}


def test_an_empty_database_is_brought_to_the_newest_schema(empty_url: str) -> None:
    PostgresStore.open(empty_url).close()
    assert tables(empty_url) == {*metadata.tables, "dovetail_version", "session_writes"}
    with psycopg.connect(empty_url) as connection:
        (found,) = connection.execute("SELECT version_num FROM dovetail_version").fetchall()
    assert found == (migrations.HEAD,)


def test_opening_again_changes_nothing(empty_url: str) -> None:
    with PostgresStore.open(empty_url) as store:
        session_id = started(store).session_id
    with PostgresStore.open(empty_url, upgrade=False) as store:
        assert len(store.receiver(session_id).load()) == 1


def test_the_schema_is_the_one_that_the_code_describes(engine: Engine) -> None:
    with engine.begin() as connection:
        postgresql.prepare(connection, upgrade=True)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        ours = {*metadata.tables}
        differences = [
            each
            for each in compare_metadata(context, metadata)
            if not (each[0] == "remove_table" and each[1].name not in ours)
        ]
    assert differences == []


def test_text_is_ordered_by_its_bytes(store: PostgresStore) -> None:
    query = (
        "SELECT table_name || '.' || column_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type IN ('text', 'character varying')"
        " AND collation_name IS DISTINCT FROM 'C'"
    )
    with store.reading() as connection:
        others = set(connection.exec_driver_sql(query).scalars())
    assert others == {"dovetail_version.version_num"}


def test_both_databases_have_the_same_rules(store: PostgresStore) -> None:
    query = "SELECT conname FROM pg_constraint WHERE contype = 'c'"
    with store.reading() as connection:
        checks = {*connection.exec_driver_sql(query).scalars()}
        names = "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'"
        indexes = {*connection.exec_driver_sql(names).scalars()}
    for table in metadata.tables.values():
        assert {index.name for index in table.indexes} <= indexes
        ours = [each for each in table.constraints if isinstance(each, CheckConstraint)]
        assert {each.name for each in ours} <= checks


def test_an_older_schema_is_refused_where_none_may_be_made(empty_url: str) -> None:
    with pytest.raises(StoreUnavailable, match="has an older schema"):
        PostgresStore.open(empty_url, upgrade=False)
    assert tables(empty_url) == set()


def test_a_newer_schema_is_refused(own_url: str) -> None:
    execute(own_url, "UPDATE dovetail_version SET version_num = '9999'")
    with pytest.raises(StoreUnavailable, match="newer Dovetail"):
        PostgresStore.open(own_url)


LATER = """
import sqlalchemy as sa
from alembic import op
from dovetail.stores.sql.schema import SESSION_ID, TEXT, WHOLE

revision, down_revision = "9999", "{head}"


def upgrade():
    op.create_table(
        "invoices",
        sa.Column("session_id", SESSION_ID, sa.ForeignKey("sessions.session_id"), primary_key=True),
        sa.Column("amount", WHOLE, nullable=False),
        sa.Column("order_id", TEXT),
    )
"""


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A next release, with one more script for both databases."""
    scripts = tmp_path / "scripts"
    shutil.copytree(migrations.SCRIPTS, scripts)
    (scripts / "versions" / "9999_later.py").write_text(LATER.format(head=migrations.HEAD))
    monkeypatch.setattr(migrations, "SCRIPTS", scripts)
    monkeypatch.setattr(migrations, "REVISIONS", (*migrations.REVISIONS, "9999"))
    monkeypatch.setattr(migrations, "HEAD", "9999")


@pytest.mark.usefixtures("later")
def test_a_later_script_upgrades_both_databases(
    own_url: str, empty_url: str, tmp_path: Path
) -> None:
    with pytest.raises(StoreUnavailable, match="has an older schema"):
        PostgresStore.open(own_url, upgrade=False)
    for url in (own_url, empty_url, own_url):
        PostgresStore.open(url).close()
        assert "invoices" in tables(url)
    with (
        SqliteStore.open(tmp_path / "sessions.db") as sqlite,
        PostgresStore.open(own_url, upgrade=False) as store,
    ):
        for each in (sqlite, store):
            log = each.new_receiver()

            def begin(connection: Connection, log: Any = log) -> None:
                bound = log.within(connection)
                bound.append(receiver_created(), seq=0, closes=False)
                paid = "INSERT INTO invoices VALUES (:session, 5, 'a')"
                statement = text(paid).bindparams(bindparam("session", type_=SESSION_ID))
                connection.execute(statement, {"session": bound.session_id})

            each.write(begin)
            with each.reading() as connection:
                query = "SELECT invoices.amount FROM invoices JOIN sessions USING (session_id)"
                assert connection.execute(text(query)).scalar() == 5


def test_the_tables_of_another_program_are_left_alone(empty_url: str) -> None:
    execute(empty_url, "CREATE TABLE sessions (mine text)")
    with pytest.raises(StoreUnavailable, match="a table `sessions` of another program"):
        PostgresStore.open(empty_url)
    assert tables(empty_url) == {"sessions"}


def test_the_tables_of_an_application_are_no_hindrance(empty_url: str) -> None:
    """Nor is its own Alembic."""
    execute(empty_url, "CREATE TABLE alembic_version (version_num text)")
    execute(empty_url, "INSERT INTO alembic_version VALUES ('ae1027a6acf')")
    execute(empty_url, "CREATE TABLE orders (id bigint)")
    with PostgresStore.open(empty_url) as store:
        started(store)


def test_a_schema_of_its_own_keeps_it_apart(empty_url: str) -> None:
    execute(empty_url, "CREATE SCHEMA payments")
    execute(empty_url, "CREATE TABLE sessions (mine text)")
    with PostgresStore.open(f"{empty_url}&options=-csearch_path%3Dpayments") as store:
        started(store)
        assert store.pulse() == 1
    assert tables(empty_url) == {"sessions"}


def test_a_schema_that_is_missing_is_named(empty_url: str) -> None:
    with pytest.raises(StoreUnavailable, match="schema of the search path is missing"):
        PostgresStore.open(f"{empty_url}&options=-csearch_path%3Dnowhere")


def test_a_database_that_cannot_store_every_text_is_refused(server: Server) -> None:
    options = "ENCODING 'LATIN1' LOCALE 'C'"
    with server.database(template="template0", options=options) as url:
        with pytest.raises(StoreUnavailable, match="does not store UTF-8"):
            PostgresStore.open(url)
        assert tables(url) == set()


def test_a_table_that_is_gone_is_noticed_at_the_start(own_url: str) -> None:
    execute(own_url, "DROP TABLE sightings")
    with pytest.raises(StoreUnavailable, match="lacks a table or column"):
        PostgresStore.open(own_url)


def test_a_schema_that_fails_half_way_leaves_nothing(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = (*postgresql.STATEMENTS, "CREATE TABLE sessions (twice text)")
    monkeypatch.setattr(postgresql, "STATEMENTS", statements)
    with pytest.raises(StoreUnavailable):
        PostgresStore.open(empty_url)
    assert tables(empty_url) == set()
    monkeypatch.undo()
    PostgresStore.open(empty_url).close()


OPENING = """
import sys
from dovetail.stores.sql import PostgresStore
sys.stdin.readline()
with PostgresStore.open(sys.argv[1]) as store:
    print(len(store.history()))
"""


def test_of_processes_that_start_at_once_one_makes_the_schema(empty_url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPENING, empty_url],
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
    assert [process.communicate()[0] for process in processes] == ["0\n"] * 3
