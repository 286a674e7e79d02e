from collections.abc import Iterator

import pytest
from tests.stores.callers import MemoryCaller

from dovetail.stores.memory import MemoryStore
from dovetail.testing.store_contract import StoreContract
from dovetail.testing.store_samples import NOW
from dovetail.testing.watching_contract import WatchingContract


class TestMemoryStore(StoreContract, WatchingContract):
    @pytest.fixture
    def store(self) -> Iterator[MemoryStore]:
        store = MemoryStore(clock=lambda: NOW)
        yield store
        store.close()

    @pytest.fixture
    def caller(self) -> MemoryCaller:
        return MemoryCaller()
