"""A PostgreSQL server for the run, and a database with the newest schema for each test."""

from collections.abc import Iterator

import psycopg
import pytest
from tests.support.postgres import Server, running

from dovetail.stores.sql import PostgresStore
from dovetail.stores.sql.schema import metadata
from dovetail.testing.store_samples import NOW


@pytest.fixture(scope="session")
def server(testrun_uid: str) -> Server:
    return running(testrun_uid)


@pytest.fixture(scope="session")
def template(server: Server) -> Iterator[str]:
    """The name of a database with the newest schema, to copy; nobody connects to it."""
    with server.database() as url:
        PostgresStore.open(url).close()
        yield url.partition("@/")[2].partition("?")[0]


@pytest.fixture(scope="session")
def shared_url(server: Server, template: str) -> Iterator[str]:
    with server.database(template=template) as url:
        yield url


@pytest.fixture
def url(shared_url: str) -> str:
    """A database with the newest schema and no rows; leave its tables as they are."""
    with psycopg.connect(shared_url) as connection:
        connection.execute("DROP TABLE IF EXISTS notes, numbers")
        tables = ", ".join([*metadata.tables, "session_writes"])
        connection.execute(f"TRUNCATE {tables}")
    return shared_url


@pytest.fixture
def own_url(server: Server, template: str) -> Iterator[str]:
    """A database with the newest schema for one test."""
    with server.database(template=template) as url:
        yield url


@pytest.fixture
def empty_url(server: Server) -> Iterator[str]:
    """A database without tables for one test."""
    with server.database() as url:
        yield url


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    with PostgresStore.open(url, clock=lambda: NOW) as store:
        yield store
