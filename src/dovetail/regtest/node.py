"""A regtest node in this process: chain, mempool and miner behind one lock."""

import tempfile
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxOut
from dovetail.bitcoin.units import FeeRate, Sats
from dovetail.errors import UsageError
from dovetail.regtest.blocks import BlockHash
from dovetail.regtest.chain import Chain
from dovetail.regtest.mempool import Mempool
from dovetail.regtest.mempoolfile import load_mempool, save_mempool
from dovetail.regtest.miner import REWARD_SCRIPT, Miner
from dovetail.regtest.policy import Accepted, PolicyRejection

_CHAIN_FILE = "blocks.log"
_MEMPOOL_FILE = "mempool.txt"


class RegtestNode:
    """An embedded regtest chain; close it after use.

    Each change is durable in `directory` when its method returns, the mempool included; without
    a directory everything is gone after `close`. A chain shorter than `blocks` is mined up to
    that height at the start: 110 gives the miner eleven spendable coinbases of 50 BTC. `clock`
    gives seconds since 1970 for block times. With `full_rbf` off, only transactions that
    signal it (BIP 125) can be replaced. Any thread may call any method.

    Raises StoreUnavailable when the directory is in use or cannot be written, ReplayError when
    what it holds is damaged.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        blocks: int = 0,
        clock: Callable[[], float] = time.time,
        full_rbf: bool = True,
        min_fee_rate: FeeRate = FeeRate.RELAY_MIN,
    ) -> None:
        self.lock = threading.RLock()
        self._clock = clock
        with ExitStack() as opened:
            if directory is None:
                directory = Path(
                    opened.enter_context(tempfile.TemporaryDirectory(prefix="dovetail-regtest-"))
                )
            self._mempool_file = directory / _MEMPOOL_FILE
            self.chain = opened.enter_context(Chain(directory / _CHAIN_FILE))
            self.mempool = Mempool(self.chain, full_rbf=full_rbf, min_fee_rate=min_fee_rate)
            saved = load_mempool(self._mempool_file)
            for came, transaction in saved:
                self.mempool.accept(transaction, came)
            self._saved = tuple(transaction.wtxid for _, transaction in saved)
            self._miner = Miner(self.chain, self.mempool, clock)
            if self.height < blocks:
                self.mine(blocks - self.height)
            self._resources = opened.pop_all()

    def close(self) -> None:
        """Free everything; a second call does nothing."""
        with self.lock:
            self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def height(self) -> int:
        """The height of the tip."""
        with self.lock:
            return self.chain.height

    @property
    def tip(self) -> BlockHash:
        """The hash of the tip."""
        with self.lock:
            return self.chain.tip

    @property
    def median_time(self) -> int:
        """The median time past, which lock times are compared with (BIP 113)."""
        with self.lock:
            return self.chain.median_time()

    def mine(self, blocks: int = 1, script_pubkey: Script | None = None) -> tuple[BlockHash, ...]:
        """Mine blocks that hold what waits in the mempool; rewards go to the script.

        Without one they go to the miner, who pays `fund` from them after 100 more blocks.
        Raises UsageError on a negative number.
        """
        if blocks < 0:
            raise UsageError("A number of blocks cannot be negative; give 0 or more.")
        script = REWARD_SCRIPT if script_pubkey is None else script_pubkey
        with self._changing():
            return tuple(self._miner.extend(script).block for _ in range(blocks))

    def fund(self, script_pubkey: Script, value: Sats, *, confirmations: int = 1) -> OutPoint:
        """Pay from the miner's coins and mine so many blocks; 0 leaves the payment waiting.

        Raises InsufficientFunds, or UsageError when the payment breaks a rule (dust).
        """
        payment = self.fund_many([TxOut(value, script_pubkey)], confirmations=confirmations)
        return OutPoint(payment.txid, 0)

    def fund_many(self, outputs: Sequence[TxOut], *, confirmations: int = 1) -> Transaction:
        """Pay several outputs, in order, with one transaction; otherwise as `fund`."""
        with self._changing():
            payment = self._miner.payment(outputs)
            verdict = self.mempool.accept(payment, int(self._clock()))
            if isinstance(verdict, PolicyRejection):
                raise UsageError(f"The payment is refused ({verdict}); ask for another one.")
            for _ in range(confirmations):
                self._miner.extend()
            return payment

    def send(self, transaction: Transaction) -> Accepted | PolicyRejection:
        """Offer a transaction to the mempool, as a broadcast does."""
        with self._changing():
            return self.mempool.accept(transaction, int(self._clock()))

    def test(self, transaction: Transaction) -> Accepted | PolicyRejection:
        """Say what `send` would, and change nothing."""
        with self.lock:
            return self.mempool.test(transaction)

    def reorg(
        self,
        depth: int,
        *,
        transactions: Sequence[Transaction] = (),
        blocks: int | None = None,
    ) -> tuple[BlockHash, ...]:
        """Replace the last `depth` blocks by `depth + 1` or so many `blocks` others.

        The first of these holds `transactions`, which no mempool rule restrains. Transactions of
        the old blocks return to the mempool, if they still connect. Raises UsageError when that
        cannot be done; the chain is unchanged then.
        """
        with self._changing():
            count = depth + 1 if blocks is None else blocks
            return self._miner.reorganise(depth, count, transactions)

    def submit_block(self, raw: bytes) -> BlockHash:
        """Put a block through the consensus code; on a side branch it waits there.

        Raises InvalidTransaction when the bytes are no block and UsageError when it is refused.
        """
        with self._changing():
            change = self.chain.submit(raw)
            self.mempool.follow(change, int(self._clock()))
            return change.block

    def transaction(self, txid: Txid) -> Transaction | None:
        """A transaction of the mempool or the chain."""
        with self.lock:
            waiting = self.mempool.get(txid)
            if waiting is not None:
                return waiting.transaction
            confirmed = self.chain.index.transactions.get(txid)
            return None if confirmed is None else confirmed.transaction

    def confirmations(self, txid: Txid) -> int:
        """How many blocks hold or follow a transaction; 0 when it waits or is unknown."""
        with self.lock:
            confirmed = self.chain.index.transactions.get(txid)
            return 0 if confirmed is None else self.chain.height - confirmed.height + 1

    def in_mempool(self, txid: Txid) -> bool:
        """Whether a transaction waits in the mempool."""
        with self.lock:
            return self.mempool.get(txid) is not None

    def mempool_txids(self) -> tuple[Txid, ...]:
        """The transactions in the mempool, parents before children."""
        with self.lock:
            return tuple(entry.transaction.txid for entry in self.mempool)

    def utxo(self, outpoint: OutPoint) -> TxOut | None:
        """An output that neither the chain nor the mempool spends."""
        with self.lock:
            if self.mempool.spender(outpoint) is not None:
                return None
            coin = self.chain.index.coins.get(outpoint)
            return self.mempool.output(outpoint) if coin is None else coin.output

    def spender(self, outpoint: OutPoint) -> Txid | None:
        """The transaction of the chain or the mempool that spends an outpoint."""
        with self.lock:
            index = self.chain.index
            found = index.spenders.get(outpoint) or self.mempool.spender(outpoint)
            return None if found is None else found[0]

    @contextmanager
    def _changing(self) -> Generator[None]:
        """Hold the lock, and make what was done durable even if the rest of it failed."""
        with self.lock:
            try:
                yield
            finally:
                self.chain.sync()
                waiting = tuple(entry.transaction.wtxid for entry in self.mempool)
                if waiting != self._saved:
                    save_mempool(self._mempool_file, self.mempool)
                    self._saved = waiting
