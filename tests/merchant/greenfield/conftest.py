"""A served shop on SQLite and on PostgreSQL, and a desk that asks it in Greenfield's words."""

from collections.abc import Iterator

import pytest
from tests.merchant.greenfield.desk import Desk
from tests.merchant.served import ServedTill, open_served
from tests.support.scripted_http import Answer, ScriptedServer

from dovetail.merchant.messages.access import PLUGIN_SCOPES


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def served(request, tmp_path_factory) -> Iterator[ServedTill]:
    folder = tmp_path_factory.mktemp("served")
    if request.param == "sqlite":
        with open_served(folder, str(folder / "shop" / "shop.db")) as opened:
            yield opened
        return
    server, template = (request.getfixturevalue(each) for each in ("server", "shop_template"))
    with server.database(template=template) as url, open_served(folder, url) as opened:
        yield opened


@pytest.fixture
def desk(served) -> Desk:
    """A plugin whose key sees the one store."""
    return Desk(served, served.key(*PLUGIN_SCOPES, store_ids=[served.store_id]))


@pytest.fixture
def shop() -> Iterator[ScriptedServer]:
    """The shop's own server, which takes each delivery."""
    with ScriptedServer() as server:
        server.otherwise = Answer(200)
        yield server
