"""The store in PostgreSQL, against the promises of every store."""

from collections.abc import Iterator

import pytest
from tests.stores.callers import SqlCaller

from dovetail.testing.store_contract import StoreContract
from dovetail.testing.watching_contract import WatchingContract


class TestPostgresStore(StoreContract, WatchingContract):
    @pytest.fixture
    def caller(self, url: str) -> Iterator[SqlCaller]:
        caller = SqlCaller.in_postgresql(url)
        yield caller
        caller.store.close()
