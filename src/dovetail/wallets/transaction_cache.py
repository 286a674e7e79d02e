"""A cache of transactions by txid; inputs and outputs of a txid never change."""

import threading
from collections import OrderedDict

from dovetail.bitcoin import Transaction, Txid

MOST = 32_000_000
"""Weight units of the transactions that are kept; the oldest are dropped."""


class KeptTransactions:
    """Cached transactions. Only the server knows if one is still in the chain or mempool."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._transactions: OrderedDict[Txid, Transaction] = OrderedDict()
        self._size = 0

    def get(self, txid: Txid) -> Transaction | None:
        """Return the transaction, or None."""
        return self._transactions.get(txid)

    def put(self, transaction: Transaction) -> None:
        """Keep it, and drop the oldest ones."""
        with self._lock:
            if transaction.txid in self._transactions:
                return
            self._transactions[transaction.txid] = transaction
            self._size += transaction.weight
            while self._size > MOST:
                _, oldest = self._transactions.popitem(last=False)
                self._size -= oldest.weight
