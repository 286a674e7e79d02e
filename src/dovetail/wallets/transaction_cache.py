"""Transactions that a server has told: what has a txid pays and spends the same for ever."""

import threading
from collections import OrderedDict

from dovetail.bitcoin import Transaction, Txid

MOST = 32_000_000
"""Weight units of transactions that are kept, the newest ones."""


class KeptTransactions:
    """By their ids. Whether one is still in the chain or the mempool is for the server to say."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._transactions: OrderedDict[Txid, Transaction] = OrderedDict()
        self._size = 0

    def get(self, txid: Txid) -> Transaction | None:
        """The transaction; None: it has to be asked for."""
        return self._transactions.get(txid)

    def put(self, transaction: Transaction) -> None:
        """Keep it, in place of the oldest ones."""
        with self._lock:
            if transaction.txid in self._transactions:
                return
            self._transactions[transaction.txid] = transaction
            self._size += transaction.weight
            while self._size > MOST:
                _, oldest = self._transactions.popitem(last=False)
                self._size -= oldest.weight
