from collections.abc import Iterator

import pytest

from dovetail.stores.memory import MemoryStore
from dovetail.testing.store_contract import NOW, StoreContract
from dovetail.testing.watching_contract import WatchingContract


class TestMemoryStore(StoreContract, WatchingContract):
    @pytest.fixture
    def store(self) -> Iterator[MemoryStore]:
        store = MemoryStore(clock=lambda: NOW)
        yield store
        store.close()
