"""A chain of one node: confirmed coins, a mempool with replacement, blocks, reorganisations."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from tests.properties.histories.people import PARENTS, UTXOS, valid
from tests.properties.histories.servers import (
    FORGED,
    IN_A_BLOCK,
    MISSING,
    NEGATIVE,
    TROUBLES,
    UNDERPAID,
    Said,
    understood,
)

from dovetail.bitcoin import OutPoint, Sats, Script, Transaction, Txid
from dovetail.wallets.ports import Output, Payment, Spend, query_each

BURIED = 100
"""How deep the coins lie that everybody begins with."""


@dataclass
class Chain:
    """Consensus lets one spender of a coin confirm; all else is at the world's whim."""

    depth: int
    """What the parties hold to be final: no reorganisation goes deeper."""
    blocks: list[list[Transaction]] = field(default_factory=list)
    mempool: list[Transaction] = field(default_factory=list)
    shows_mempool: bool = True
    server: str = "Bitcoin Core"
    """Whose words the source speaks."""
    troubled: bool = False
    """Whether the source, having passed on a broadcast, tells of troubles of its own instead."""
    final: int = 0
    vanished: dict[OutPoint, int] = field(default_factory=dict[OutPoint, int])
    """Coins that a reorganisation took with what had made them, and how many blocks were there."""

    def fee(self, tx: Transaction) -> int:
        spent = sum(int(UTXOS[outpoint].value) for outpoint in tx.contested())
        return spent - sum(int(output.value) for output in tx.outputs)

    def confirmed(self) -> list[Transaction]:
        return [tx for block in self.blocks for tx in block]

    def depth_of(self, txid: Txid) -> int:
        for height, block in enumerate(self.blocks):
            if any(tx.txid == txid for tx in block):
                return len(self.blocks) - height
        return 0

    def acceptable(self, tx: Transaction) -> bool:
        outpoints = tx.contested()
        return (
            len(set(outpoints)) == len(outpoints)
            and not self._is_missing(tx)
            and self.fee(tx) >= 0
            and valid(tx.serialize())
        )

    def _is_missing(self, tx: Transaction) -> bool:
        spent = {outpoint for known in self.confirmed() for outpoint in known.contested()}
        return any(o in spent or not self.exists(o) for o in tx.contested())

    def hand_in(self, tx: Transaction) -> bool | None:
        """Broadcast, and read what the source says of it: None where that is neither yes nor no."""
        mined, why_not = self.depth_of(tx.txid) > 0, self._why_not(tx)
        taken = self.broadcast(tx)
        if self.troubled:
            return understood(self.server, TROUBLES[len(self.blocks) % len(TROUBLES)])
        if mined:
            return understood(self.server, IN_A_BLOCK[len(self.blocks) % len(IN_A_BLOCK)])
        return True if taken else understood(self.server, why_not)

    def _why_not(self, tx: Transaction) -> Said:
        """What a node says where it does not take the transaction."""
        if self._is_missing(tx):
            return MISSING
        if self.fee(tx) < 0:
            return NEGATIVE
        return UNDERPAID if valid(tx.serialize()) else FORGED

    def broadcast(self, tx: Transaction, *, whim: bool = False) -> bool:
        """Whether the network took it or knew it; `whim` replaces what pays more, too."""
        if self.depth_of(tx.txid) or any(known.txid == tx.txid for known in self.mempool):
            return True
        if not self.acceptable(tx):
            return False
        rivals = [known for known in self.mempool if conflict(known, tx)]
        if rivals and not whim and self.fee(tx) <= sum(map(self.fee, rivals)):
            return False
        self.mempool = [known for known in self.mempool if known not in rivals]
        self.mempool.append(tx)
        self._drop_orphans()
        return True

    def mine(self, *, only: int | None = None) -> None:
        """A block of the whole mempool, or of one transaction in it."""
        chosen = self.mempool if only is None else self.mempool[only : only + 1]
        self.blocks.append(list(chosen))
        self.mempool = [
            tx for tx in self.mempool if not any(conflict(tx, taken) for taken in chosen)
        ]
        self._drop_orphans()
        self.final = max(self.final, len(self.blocks) - self.depth + 1)

    def mine_directly(self, tx: Transaction) -> None:
        """A miner confirms what the mempool would not have replaced."""
        if self.acceptable(tx):
            self.mempool = [known for known in self.mempool if not conflict(known, tx)] + [tx]
            self.mine(only=len(self.mempool) - 1)

    def take(self, tx: Transaction, *, mined: bool, whim: bool = False) -> None:
        """Somebody pays: a miner confirms it, or it waits."""
        if mined:
            self.mine_directly(tx)
        else:
            self.broadcast(tx, whim=whim)

    def reorganise(self, *, forget: bool) -> None:
        """The last block gives way, unless somebody relies on it by now."""
        if len(self.blocks) > self.final:
            block = self.blocks.pop()
            if not forget:
                self.mempool += block
            self._drop_orphans()

    def take_away(self, outpoint: OutPoint) -> None:
        """A reorganisation takes what made a coin, where no block here rests on it."""
        if all(tx.spends(outpoint) is None for tx in self.confirmed()):
            self.vanished.setdefault(outpoint, len(self.blocks))
            self._drop_orphans()

    def bring_back(self) -> None:
        """What made the coins is mined again, unless that is long ago."""
        self.vanished = {o: at for o, at in self.vanished.items() if self.is_gone(o)}

    def is_gone(self, outpoint: OutPoint) -> bool:
        """Whether a coin was taken away so long ago that it does not come back."""
        return len(self.blocks) > self.vanished.get(outpoint, len(self.blocks)) + 2

    def evict(self, index: int) -> None:
        if self.mempool:
            self.mempool.pop(index % len(self.mempool))
            self._drop_orphans()

    def exists(self, outpoint: OutPoint) -> bool:
        """Whether a coin is there, spent or not; a child is as long as its parent is."""
        parent = PARENTS.get(outpoint)
        known = (*self.confirmed(), *self.mempool)
        there = outpoint in UTXOS and outpoint not in self.vanished
        return there and (parent is None or parent in known)

    def _drop_orphans(self) -> None:
        self.mempool = [tx for tx in self.mempool if all(map(self.exists, tx.contested()))]

    # as a chain source tells it

    def height(self) -> int:
        return BURIED + len(self.blocks)

    def outputs(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Output]:
        """The coins that exist, as far as this source shows its mempool."""
        found = {}
        for outpoint in filter(self.exists, outpoints):
            parent = PARENTS.get(outpoint)
            depth = BURIED if parent is None else self.depth_of(parent.txid)
            if depth or self.shows_mempool:
                found[outpoint] = Output(UTXOS[outpoint], depth)
        return found

    def spends_of(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Spend]:
        found = {outpoint: self.spend_of(outpoint) for outpoint in outpoints}
        return {o: Spend(transaction=s[0], depth=s[1]) for o, s in found.items() if s is not None}

    def payments_to(self, script: Script) -> tuple[Payment, ...]:
        return tuple(
            Payment(txid=tx.txid, amount=Sats(amount), depth=self.depth_of(tx.txid))
            for tx in self.shown()
            if (amount := self.pays(tx, script))
        )

    def payments_to_each(self, scripts: Collection[Script]) -> Mapping[Script, tuple[Payment, ...]]:
        return query_each(scripts, self.payments_to)

    def shown(self) -> list[Transaction]:
        return [*self.confirmed(), *(self.mempool if self.shows_mempool else ())]

    @staticmethod
    def pays(tx: Transaction, script: Script) -> int:
        return sum(int(out.value) for out in tx.outputs if out.script_pubkey == script)

    def spend_of(self, outpoint: OutPoint) -> tuple[Transaction, int] | None:
        """Who spends a coin and how deep, as far as this source shows it."""
        spends = (tx for tx in self.shown() if tx.spends(outpoint) is not None)
        return next(((tx, self.depth_of(tx.txid)) for tx in spends), None)

    def deepest(self, outpoints: tuple[OutPoint, ...]) -> tuple[Transaction, int] | None:
        found = [spend for spend in map(self.spend_of, outpoints) if spend is not None]
        return max(found, key=lambda spend: spend[1], default=None)

    def paid_to(self, script: Script) -> list[Transaction]:
        return [tx for tx in self.confirmed() if self.pays(tx, script)]


def conflict(one: Transaction, other: Transaction) -> bool:
    return not set(one.contested()).isdisjoint(other.contested())
