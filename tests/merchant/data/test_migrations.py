"""The shop's schema: written out, made under a lock, all or nothing, and never that of others."""

import hashlib
import importlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Inspector, MetaData, inspect, text

from dovetail.errors import StoreUnavailable
from dovetail.merchant.data import migrations
from dovetail.merchant.data.database import Database
from dovetail.merchant.data.schema import metadata
from dovetail.stores.sql import PostgresStore, SqliteStore
from dovetail.stores.sql.store import SqlStore

FROZEN = {
    "m001": "213a4ff3a6c35afa",
    "m002": "42050ba4b4250bbe",
    "m003": "deb3bc64809335f2",
    "m004": "826bbfa69ae16222",
    "m005": "a2e62cbd1cb49ecf",
    "m006": "c1b9c7da537ca232",
    "m007": "4f589e5b7eae8b5b",
}
"""The beginning of SHA-256 over each released script's statements, which never change."""


@pytest.fixture
def empty(request: pytest.FixtureRequest, kind: str) -> Any:
    """A place without the shop's tables."""
    if kind == "sqlite":
        yield str(request.getfixturevalue("tmp_path") / "shop.db")
        return
    with request.getfixturevalue("server").database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def sessions(place: str) -> SqlStore:
    """The session store alone, as a program without a shop has it."""
    if place.startswith("postgresql"):
        return PostgresStore.open(place)
    return SqliteStore.open(Path(place))


def run(place: str, *statements: str) -> None:
    def work(connection: Connection) -> None:
        for statement in statements:
            connection.execute(text(statement))

    with sessions(place) as store:
        store.write(work)


def shape(inspector: Inspector, table: str) -> dict[str, Any]:
    """All of a table that its users depend on, without the names that a database makes itself."""

    def without_name(each: Any) -> str:
        return repr(sorted((key, str(value)) for key, value in each.items() if key != "name"))

    return {
        "columns": {
            each["name"]: (str(each["type"]), each["nullable"])
            for each in inspector.get_columns(table)
        },
        "key": inspector.get_pk_constraint(table)["constrained_columns"],
        "references": sorted(map(without_name, inspector.get_foreign_keys(table))),
        "unique": sorted(
            tuple(each["column_names"]) for each in inspector.get_unique_constraints(table)
        ),
        "checks": {
            each["name"]: each["sqltext"] for each in inspector.get_check_constraints(table)
        },
        "indexes": {
            each["name"]: (
                each["column_names"],
                each["unique"],
                {key: str(value) for key, value in each.get("dialect_options", {}).items()},
            )
            for each in inspector.get_indexes(table)
        },
    }


def shapes(connection: Connection, tables: MetaData) -> dict[str, dict[str, Any]]:
    inspector = inspect(connection)
    return {name: shape(inspector, name) for name in tables.tables}


def test_the_scripts_make_the_schema_that_the_code_describes(empty: str):
    with sessions(empty) as store:
        store.write(metadata.create_all)
        with store.reading() as connection:
            described = shapes(connection, metadata)
        store.write(metadata.drop_all)
    with Database.open(empty) as database:
        assert database.read(lambda connection: shapes(connection, metadata)) == described


@pytest.mark.parametrize("revision", migrations.REVISIONS)
def test_a_released_script_never_changes(revision: str):
    folder = Path(migrations.__file__).parent / "versions"
    (path,) = folder.glob(f"{revision}_*.py")
    script = importlib.import_module(f"{migrations.__name__}.versions.{path.stem}")
    found = hashlib.sha256("\n".join(script.STATEMENTS).encode()).hexdigest()
    assert found.startswith(FROZEN[revision]), "write a new script instead"


def test_opening_again_changes_nothing(empty: str):
    Database.open(empty).close()
    with Database.open(empty) as database:
        before = database.pulse()
    with Database.open(empty, upgrade=False) as database:
        assert database.pulse() == before
        assert revision_of(database) == migrations.HEAD


def revision_of(database: Database) -> str:
    query = text(f"SELECT version_num FROM {migrations.VERSIONS}")  # noqa: S608
    return str(database.read(lambda connection: connection.execute(query).scalar_one()))


def test_a_newer_schema_is_refused_and_stays(empty: str):
    Database.open(empty).close()
    run(empty, f"UPDATE {migrations.VERSIONS} SET version_num = 'm999'")  # noqa: S608
    for upgrade in (True, False):
        with pytest.raises(StoreUnavailable, match="written by a newer Dovetail: install that"):
            Database.open(empty, upgrade=upgrade)
    with sessions(empty) as store, store.reading() as connection:
        query = f"SELECT version_num FROM {migrations.VERSIONS}"  # noqa: S608
        assert connection.execute(text(query)).scalar_one() == "m999"


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_worker_does_not_upgrade_what_others_may_use(empty: str):
    sessions(empty).close()
    with pytest.raises(StoreUnavailable, match="start the shop's server once"):
        Database.open(empty, upgrade=False)
    Database.open(empty).close()
    Database.open(empty, upgrade=False).close()


@pytest.mark.parametrize("table", ["invoices", "stores", "audit"])
def test_another_programs_table_is_named_and_left_alone(empty: str, table: str):
    run(empty, f"CREATE TABLE {table} (theirs INTEGER)", f"INSERT INTO {table} VALUES (7)")  # noqa: S608
    with pytest.raises(StoreUnavailable, match=f"a table `{table}` of another program"):
        Database.open(empty)
    with sessions(empty) as store, store.reading() as connection:
        assert connection.execute(text(f"SELECT theirs FROM {table}")).scalar_one() == 7  # noqa: S608
        assert not inspect(connection).has_table(migrations.VERSIONS)


def test_an_upgrade_that_fails_leaves_nothing(empty: str, monkeypatch: pytest.MonkeyPatch):
    def fail(connection: Connection) -> None:
        assert inspect(connection).has_table("invoices"), "the tables were made before"
        raise StoreUnavailable("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(migrations, "count_writes", fail)
        with pytest.raises(StoreUnavailable, match="disk is full"):
            Database.open(empty)
    with sessions(empty) as store, store.reading() as connection:
        left = set(inspect(connection).get_table_names())
    assert not left & {*metadata.tables, migrations.VERSIONS}
    Database.open(empty).close()


def test_of_several_that_start_at_once_one_upgrades(empty: str):
    def opened(_: int) -> str:
        with Database.open(empty) as database:
            return revision_of(database)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(opened, range(4))) == {migrations.HEAD}


@pytest.mark.parametrize("kind", ["postgresql"])
@pytest.mark.parametrize("table", migrations.PULSE)
def test_a_write_to_what_workers_wait_for_changes_the_pulse(empty: str, table: str):
    with Database.open(empty) as database:
        before = database.pulse()
        statement = text(f"DELETE FROM {table}")  # noqa: S608 - a trigger counts statements
        database.write(lambda connection: connection.execute(statement))
        assert database.pulse() != before
