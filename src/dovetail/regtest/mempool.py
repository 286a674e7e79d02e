"""The mempool: what would connect to the tip and pay its way; replacement by BIP 125's rules.

Every transaction counts as replaceable (full RBF, Bitcoin Core's default since 28.0) unless
`full_rbf` is false. Not modelled: package relay, TRUC topology (BIP 431), the limit of
signature operations, script rules that are policy alone (low S, minimal pushes, clean stack),
and eviction from a full pool.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dovetail.bitcoin.relay_policy import is_final
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxOut
from dovetail.bitcoin.units import FeeRate, Sats
from dovetail.regtest.blocks import Block
from dovetail.regtest.chain import Chain, Change
from dovetail.regtest.index import Coin, script_hash
from dovetail.regtest.kernel import first_unsatisfied_input
from dovetail.regtest.policy import (
    Accepted,
    PolicyRejection,
    check_amounts,
    check_form,
    check_standard,
    meets_sequence_locks,
)

_MAX_REPLACEMENTS = 100
_MAX_CHAIN = 25
_MAX_BLOCK_WEIGHT = 3_996_000
_SIGNALS_REPLACEMENT = 0xFFFFFFFD


@dataclass(frozen=True, slots=True)
class Entry:
    """A transaction that waits for a block; `time` is when it came, in seconds since 1970."""

    transaction: Transaction
    fee: Sats
    time: int


class Mempool:
    """The unconfirmed transactions on top of a chain, parents before children."""

    def __init__(
        self,
        chain: Chain,
        *,
        full_rbf: bool = True,
        min_fee_rate: FeeRate = FeeRate.RELAY_MIN,
    ) -> None:
        self.min_fee_rate = min_fee_rate
        """The least rate that it relays, and that a replacement pays for its own relay."""
        self._chain = chain
        self._full_rbf = full_rbf
        self._entries: dict[Txid, Entry] = {}
        self._spenders: dict[OutPoint, tuple[Txid, int]] = {}

    @property
    def usual_fee_rate(self) -> FeeRate:
        """The rate of its wallets: nothing competes for space here; many pay no less elsewhere."""
        return max(self.min_fee_rate, FeeRate.BROADCAST_MIN)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries.values()))

    def get(self, txid: Txid) -> Entry | None:
        """The entry of a transaction, if it waits here."""
        return self._entries.get(txid)

    def spender(self, outpoint: OutPoint) -> tuple[Txid, int] | None:
        """The waiting transaction that spends an outpoint, and by which input."""
        return self._spenders.get(outpoint)

    def output(self, outpoint: OutPoint) -> TxOut | None:
        """An output of a waiting transaction, spent or not."""
        entry = self._entries.get(outpoint.txid)
        if entry is None or outpoint.vout >= len(entry.transaction.outputs):
            return None
        return entry.transaction.outputs[outpoint.vout]

    def history(self, script: bytes) -> tuple[Txid, ...]:
        """The waiting transactions that pay to or spend from a script hash, newest first."""
        found = [
            txid
            for txid, entry in self._entries.items()
            if any(script_hash(output.script_pubkey) == script for output in self._touched(entry))
        ]
        return tuple(reversed(found))

    def test(self, transaction: Transaction) -> Accepted | PolicyRejection:
        """Decide on a transaction and change nothing."""
        height = self._chain.height + 1
        refused = check_form(transaction) or check_standard(transaction)
        if refused is not None:
            return refused
        if not is_final(transaction, height, self._chain.median_time()):
            return PolicyRejection("non-final")
        waiting = self._entries.get(transaction.txid)
        if waiting is not None:
            same = waiting.transaction.wtxid == transaction.wtxid
            return PolicyRejection(
                "txn-already-in-mempool" if same else "txn-same-nonwitness-data-in-mempool"
            )
        conflicts = self._conflicts(transaction)
        if not self._full_rbf and not all(_signals(item) for item in conflicts.values()):
            return PolicyRejection("txn-mempool-conflict")
        coins = self._coins(transaction)
        if isinstance(coins, PolicyRejection):
            return coins
        if not meets_sequence_locks(transaction, coins, height, self._median_time_at):
            return PolicyRejection("non-BIP68-final")
        fee = check_amounts(transaction, coins, height)
        if isinstance(fee, PolicyRejection):
            return fee
        return self._decide(transaction, fee, coins, conflicts)

    def accept(self, transaction: Transaction, time: int) -> Accepted | PolicyRejection:
        """Decide on a transaction and, if it is good, take it and evict what it replaces."""
        verdict = self.test(transaction)
        if isinstance(verdict, Accepted):
            for txid in verdict.replaced:
                self._remove(txid)
            self._entries[transaction.txid] = Entry(transaction, verdict.fee, time)
            for index, item in enumerate(transaction.inputs):
                self._spenders[item.previous_output] = (transaction.txid, index)
        return verdict

    def follow(self, change: Change, time: int) -> None:
        """Adapt to a change of the active chain.

        Transactions that a new block confirmed or made impossible leave. Those that a
        reorganisation took out of the chain come back, if they still connect.
        """
        if not change.disconnected:
            for block in change.connected:
                self._leave_to(block)
            return
        returning = [
            (transaction, time)
            for block in reversed(change.disconnected)
            for transaction in block.transactions[1:]
        ]
        staying = [(entry.transaction, entry.time) for entry in self._entries.values()]
        self._entries.clear()
        self._spenders.clear()
        for transaction, came in (*returning, *staying):
            self.accept(transaction, came)

    def template(self) -> tuple[Entry, ...]:
        """Transactions of the next block: as many as fit, oldest first, parents before children."""
        room = _MAX_BLOCK_WEIGHT
        chosen: dict[Txid, Entry] = {}
        for txid, entry in self._entries.items():
            parents = self._parents(entry.transaction)
            if entry.transaction.weight <= room and all(parent in chosen for parent in parents):
                chosen[txid] = entry
                room -= entry.transaction.weight
        return tuple(chosen.values())

    def _decide(
        self,
        transaction: Transaction,
        fee: Sats,
        coins: tuple[Coin, ...],
        conflicts: dict[Txid, Entry],
    ) -> Accepted | PolicyRejection:
        least = self.min_fee_rate.fee(transaction.weight)
        if fee < least:
            return PolicyRejection("min relay fee not met", f"{fee} < {least}")
        ancestors = self._ancestors(transaction)
        if not ancestors.isdisjoint(conflicts):
            return PolicyRejection("bad-txns-spends-conflicting-tx")
        replaced = self._with_descendants(conflicts)
        refused = self._check_replacement(transaction, fee, conflicts, replaced)
        if refused is not None:
            return refused
        if self._is_chain_too_long(ancestors, replaced):
            return PolicyRejection("too-long-mempool-chain", f"[limit: {_MAX_CHAIN}]")
        failed = first_unsatisfied_input(transaction, [coin.output for coin in coins])
        if failed is not None:
            return PolicyRejection(
                "mandatory-script-verify-flag-failed (the script does not verify)",
                f"input {failed}",
            )
        return Accepted(transaction.txid, fee, transaction.weight, tuple(replaced))

    def _check_replacement(
        self,
        transaction: Transaction,
        fee: Sats,
        conflicts: dict[Txid, Entry],
        replaced: dict[Txid, Entry],
    ) -> PolicyRejection | None:
        """BIP 125, rules 2 to 5, and the higher fee rate that Bitcoin Core asks for."""
        if not conflicts:
            return None
        size = transaction.weight.vbytes
        for old in conflicts.values():
            old_size = old.transaction.weight.vbytes
            if fee * old_size <= old.fee * size:
                return PolicyRejection(
                    "insufficient fee",
                    f"rejecting replacement; new feerate {fee}/{size} vB"
                    f" <= old feerate {old.fee}/{old_size} vB",
                )
        if len(replaced) > _MAX_REPLACEMENTS:
            return PolicyRejection(
                "too many potential replacements",
                f"rejecting replacement; {len(replaced)} > {_MAX_REPLACEMENTS}",
            )
        known = {parent for old in conflicts.values() for parent in self._parents(old.transaction)}
        if not known.issuperset(self._parents(transaction)):
            return PolicyRejection("replacement-adds-unconfirmed")
        old_fees = Sats.sum(old.fee for old in replaced.values())
        if fee < old_fees:
            return PolicyRejection(
                "insufficient fee",
                f"rejecting replacement; less fees than conflicting txs; {fee} < {old_fees}",
            )
        least = self.min_fee_rate.fee(transaction.weight)
        if fee - old_fees < least:
            return PolicyRejection(
                "insufficient fee",
                "rejecting replacement; not enough additional fees to relay;"
                f" {fee - old_fees} < {least}",
            )
        return None

    def _coins(self, transaction: Transaction) -> tuple[Coin, ...] | PolicyRejection:
        coins = [self._coin(item.previous_output) for item in transaction.inputs]
        found = tuple(coin for coin in coins if coin is not None)
        if len(found) == len(coins):
            return found
        made = (OutPoint(transaction.txid, index) for index in range(len(transaction.outputs)))
        if any(outpoint in self._chain.index.coins for outpoint in made):
            return PolicyRejection("txn-already-known")
        return PolicyRejection("bad-txns-inputs-missingorspent")

    def _coin(self, outpoint: OutPoint) -> Coin | None:
        """A coin of the chain or of a waiting transaction, also when another one spends it."""
        output = self.output(outpoint)
        if output is not None:
            return Coin(output, self._chain.height + 1, is_coinbase=False)
        return self._chain.index.coins.get(outpoint)

    def _median_time_at(self, height: int) -> int:
        return self._chain.median_time(self._chain.at(height))

    def _conflicts(self, transaction: Transaction) -> dict[Txid, Entry]:
        spenders = (self._spenders.get(item.previous_output) for item in transaction.inputs)
        return {found[0]: self._entries[found[0]] for found in spenders if found is not None}

    def _parents(self, transaction: Transaction) -> set[Txid]:
        sources = {item.previous_output.txid for item in transaction.inputs}
        return {txid for txid in sources if txid in self._entries}

    def _ancestors(self, transaction: Transaction) -> set[Txid]:
        """The waiting transactions it builds on, itself left out."""
        found: set[Txid] = set()
        pending = self._parents(transaction)
        while pending:
            txid = pending.pop()
            found.add(txid)
            pending |= self._parents(self._entries[txid].transaction) - found
        return found

    def _with_descendants(self, roots: Iterable[Txid]) -> dict[Txid, Entry]:
        """Some waiting transactions and all that build on them, parents before children."""
        found = set(roots)
        for txid, entry in self._entries.items():
            if not found.isdisjoint(self._parents(entry.transaction)):
                found.add(txid)
        return {txid: entry for txid, entry in self._entries.items() if txid in found}

    def _is_chain_too_long(self, ancestors: set[Txid], replaced: dict[Txid, Entry]) -> bool:
        if len(ancestors) >= _MAX_CHAIN:
            return True
        families = (self._with_descendants([txid]).keys() - replaced.keys() for txid in ancestors)
        return any(len(family) >= _MAX_CHAIN for family in families)

    def _leave_to(self, block: Block) -> None:
        for transaction in block.transactions[1:]:
            self._remove(transaction.txid)
            for txid in self._with_descendants(self._conflicts(transaction)):
                self._remove(txid)

    def _remove(self, txid: Txid) -> None:
        entry = self._entries.pop(txid, None)
        if entry is not None:
            for item in entry.transaction.inputs:
                del self._spenders[item.previous_output]

    def _touched(self, entry: Entry) -> Iterator[TxOut]:
        yield from entry.transaction.outputs
        for item in entry.transaction.inputs:
            outpoint = item.previous_output
            spent = self.output(outpoint) or self._chain.index.output(outpoint)
            if spent is not None:
                yield spent


def _signals(entry: Entry) -> bool:
    """BIP 125, rule 1: some input's sequence number allows replacement."""
    return any(item.sequence <= _SIGNALS_REPLACEMENT for item in entry.transaction.inputs)
