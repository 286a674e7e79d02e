"""Clients of both kinds, and a shop that they ask."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from tests.merchant.client.either import QUICK, Either
from tests.merchant.served import ServedTill, open_served

from dovetail.merchant.client import Retries


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[ServedTill]:
    folder = tmp_path_factory.mktemp("served")
    with open_served(folder, str(folder / "shop" / "shop.db")) as served:
        yield served


@pytest.fixture(params=["sync", "async"])
async def client(request) -> AsyncIterator[Callable[..., Either]]:
    """Makes clients, which are closed at the end."""
    made: list[Either] = []

    def make(url: str, key: str = "dvt_test", **more: Any) -> Either:
        retries = Retries(**(QUICK | more.pop("retries", {})))
        made.append(Either(request.param, url, key, retries=retries, **more))
        return made[-1]

    yield make
    for each in made:
        await each.close()


@pytest.fixture
def shop(client, served) -> Either:
    """A client of the served shop, whose key may do everything."""
    made: Either = client(served.url, served.key())
    return made
