"""The contract of every store: inherit `StoreContract` in a test class and give it a store.

A subclass provides two pytest fixtures. `store` is an empty `Store` whose clock reads `NOW`.
`caller` is an application with such a store, which has rows of its own (see
`transaction_contract.Caller`)::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self):
            with MyStore() as store:
                yield store

        @pytest.fixture
        def caller(self):
            caller = MyApplication()
            with MyStore(rows=caller.rows) as caller.store:
                yield caller
"""

from dovetail.testing.finding_contract import FindingContract
from dovetail.testing.log_contract import LogContract
from dovetail.testing.sharing_contract import SharingContract
from dovetail.testing.transaction_contract import TransactionContract


class StoreContract(LogContract, FindingContract, SharingContract, TransactionContract):
    """The promises of `dovetail.stores.Store`, one test each."""
