from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from dovetail.errors import StoreUnavailable
from dovetail.stores import migrations
from dovetail.stores.schema import metadata
from dovetail.stores.sqlite import open_engine


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


def test_a_database_from_a_newer_release_is_left_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        migrations.upgrade(connection)
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreUnavailable, match="newer"), engine.begin() as connection:
        migrations.upgrade(connection)


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE inputs_seen (mine)"))
    with pytest.raises(Exception, match="already exists"), engine.begin() as connection:
        migrations.upgrade(connection)
    with engine.begin() as connection:
        assert migrations.current(connection) is None
        assert connection.execute(text("SELECT * FROM inputs_seen")).keys() == ["mine"]
