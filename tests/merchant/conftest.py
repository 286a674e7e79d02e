"""A shop's database on SQLite and on PostgreSQL, one for each test."""

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


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path) -> Iterator[str]:
    """Where a database with the newest schema, or none yet, is for this test alone."""
    if request.param == "sqlite":
        yield str(tmp_path / "shop" / "shop.db")
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
