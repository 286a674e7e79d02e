"""A shop's database on SQLite and on PostgreSQL, one for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.clock import Clock
from tests.support.loopback import Loopback, open_loopback
from tests.support.postgres import Server, running

from dovetail.merchant.data.database import Database


@pytest.fixture(scope="session")
def server(testrun_uid: str) -> Server:
    return running(testrun_uid)


@pytest.fixture(scope="session")
def shop_template(server: Server) -> Iterator[str]:
    """The name of a database with the newest schema, to copy; nobody connects to it."""
    with server.database() as url:
        Database.open(url).close()
        yield url.partition("@/")[2].partition("?")[0]


@pytest.fixture(scope="session")
def shop_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the newest schema, to copy: its migrations take longer than most tests."""
    path = tmp_path_factory.mktemp("template") / "shop.db"
    Database.open(path).close()
    return path


@pytest.fixture
def sqlite_place(tmp_path: Path, shop_file: Path) -> str:
    path = tmp_path / "shop" / "shop.db"
    path.parent.mkdir(mode=0o700)
    return str(shutil.copy(shop_file, path))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request) -> Iterator[str]:
    """Where a database with the newest schema is for this test alone."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_place")
        return
    server, template = (request.getfixturevalue(each) for each in ("server", "shop_template"))
    with server.database(template=template) as url:
        yield url


@pytest.fixture
def database(place, clock) -> Iterator[Database]:
    with Database.open(place, clock=clock) as opened:
        yield opened


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Loopback]:
    """A chain, a mailroom and wallets, for a whole shop."""
    with open_loopback(tmp_path) as opened:
        yield opened
