"""A shop with its dashboard, on SQLite unless a test asks for PostgreSQL too."""

from collections.abc import Iterator

import pytest
from tests.merchant.dashboard.browsing import Office, open_office


@pytest.fixture
def place(request) -> Iterator[str]:
    """Where the shop's database is; `BOTH` of `browsing` asks for each kind."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield request.getfixturevalue("sqlite_place")
        return
    server, template = (request.getfixturevalue(each) for each in ("server", "shop_template"))
    with server.database(template=template) as url:
        yield url


@pytest.fixture
def office(database, clock) -> Office:
    return open_office(database, clock)
