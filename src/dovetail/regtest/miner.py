"""The embedded miner: blocks on any parent, and payments from its own coinbases.

It mines to P2WSH of the one-byte script OP_TRUE, which the witness `[0x51]` satisfies: its
payments need no key and no signature. Anyone could spend these coins, which is fine on a
chain of one's own and nowhere else.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dovetail.bitcoin.hashes import sha256
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, TxIn, TxOut
from dovetail.bitcoin.units import FeeRate, Sats
from dovetail.errors import InsufficientFunds, UsageError
from dovetail.regtest.blocks import BlockHash, BlockPlan, assemble, subsidy
from dovetail.regtest.chain import Chain, Change
from dovetail.regtest.index import script_hash
from dovetail.regtest.mempool import Mempool
from dovetail.regtest.policy import COINBASE_MATURITY

_OP_TRUE = b"\x51"
REWARD_SCRIPT = Script(b"\x00\x20" + sha256(_OP_TRUE))
_FEE_RATE = FeeRate.from_sat_per_vb(2)
_REPLACEABLE = 0xFFFFFFFD


@dataclass(frozen=True, slots=True)
class Miner:
    """Makes blocks for a chain out of its mempool; `clock` gives seconds since 1970."""

    chain: Chain
    mempool: Mempool
    clock: Callable[[], float]

    def extend(self, script: Script = REWARD_SCRIPT) -> Change:
        """Mine one block on the tip that holds what waits and pays its fees to `script`."""
        entries = self.mempool.template()
        change = self._mine(
            self.chain.tip,
            script,
            tuple(entry.transaction for entry in entries),
            Sats.sum(entry.fee for entry in entries),
        )
        self.mempool.follow(change, int(self.clock()))
        return change

    def reorganise(
        self, depth: int, blocks: int, transactions: Sequence[Transaction] = ()
    ) -> tuple[BlockHash, ...]:
        """Replace the last `depth` blocks by more others, the first holding `transactions`.

        Raises UsageError when there are not so many blocks to replace, the new ones are not
        more, or the transactions cannot be mined there; the chain is as it was then.
        """
        parent = self.chain.at(self.chain.height - depth)
        if depth < 1 or blocks <= depth or parent is None:
            raise UsageError("A reorganisation needs more new blocks than it replaces; ask again.")
        mined: list[BlockHash] = []
        for index in range(blocks):
            change = self._mine(parent, REWARD_SCRIPT, () if index else tuple(transactions))
            self.mempool.follow(change, int(self.clock()))
            parent = change.block
            mined.append(parent)
        return tuple(mined)

    def payment(self, outputs: Sequence[TxOut]) -> Transaction:
        """A transaction from the miner's coins that pays `outputs` in order, change last.

        Raises InsufficientFunds.
        """
        wanted = Sats.sum(output.value for output in outputs)
        chosen: list[OutPoint] = []
        total = Sats(0)
        for outpoint, value in self._coins():
            chosen.append(outpoint)
            total += value
            complete = _signed(chosen, (*outputs, TxOut(Sats(0), REWARD_SCRIPT)))
            needed = wanted + _FEE_RATE.fee(complete.weight)
            if total >= needed + REWARD_SCRIPT.dust_limit:
                return _signed(chosen, (*outputs, TxOut(total - needed, REWARD_SCRIPT)))
        raise InsufficientFunds("The miner has too few mature coins; mine more blocks first.")

    def _mine(
        self,
        parent: BlockHash,
        script: Script,
        transactions: tuple[Transaction, ...],
        fees: Sats = Sats(0),  # noqa: B008  an immutable value
    ) -> Change:
        stored = self.chain.get(parent)
        height = 0 if stored is None else stored.height + 1
        plan = BlockPlan(
            previous=parent,
            height=height,
            time=max(int(self.clock()), self.chain.median_time(parent) + 1),
            reward_script=script,
            reward=subsidy(height) + fees,
            transactions=transactions,
            extra_nonce=secrets.token_bytes(8),
        )
        return self.chain.submit(assemble(plan).serialize())

    def _coins(self) -> Iterator[tuple[OutPoint, Sats]]:
        """Spendable coins: confirmed ones first, the largest first."""
        index = self.chain.index
        confirmed = [
            (outpoint, index.coins[outpoint].output.value)
            for outpoint in index.unspent(script_hash(REWARD_SCRIPT))
            if self.mempool.spender(outpoint) is None and self._is_mature(outpoint)
        ]
        yield from sorted(confirmed, key=lambda coin: coin[1], reverse=True)
        for entry in self.mempool:
            for vout, output in enumerate(entry.transaction.outputs):
                outpoint = OutPoint(entry.transaction.txid, vout)
                if output.script_pubkey == REWARD_SCRIPT and not self.mempool.spender(outpoint):
                    yield outpoint, output.value

    def _is_mature(self, outpoint: OutPoint) -> bool:
        coin = self.chain.index.coins[outpoint]
        return not coin.is_coinbase or self.chain.height + 1 - coin.height >= COINBASE_MATURITY


def _signed(coins: Sequence[OutPoint], outputs: tuple[TxOut, ...]) -> Transaction:
    inputs = tuple(TxIn(coin, sequence=_REPLACEABLE, witness=(_OP_TRUE,)) for coin in coins)
    return Transaction(version=2, inputs=inputs, outputs=outputs, lock_time=0)
