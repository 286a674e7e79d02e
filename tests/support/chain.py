"""The `Chain` port on a regtest node in this process."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from dovetail.bitcoin import FeeRate, OutPoint, Sats, Script, Transaction
from dovetail.errors import ChainError
from dovetail.regtest.index import script_hash
from dovetail.regtest.node import RegtestNode
from dovetail.wallets.ports import Accepted, Output, Payment, Refused, Spend, Unknown, query_each

KNOWN = ("txn-already-in-mempool", "txn-already-known")


class OneByOne(ABC):
    """A chain source that looks for one thing after the other."""

    @abstractmethod
    def spend_of(self, outpoint: OutPoint) -> Spend | None: ...

    @abstractmethod
    def payments_to(self, script: Script) -> tuple[Payment, ...]: ...

    def spends_of(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Spend]:
        spends = {outpoint: self.spend_of(outpoint) for outpoint in outpoints}
        return {outpoint: spend for outpoint, spend in spends.items() if spend is not None}

    def payments_to_each(self, scripts: Collection[Script]) -> Mapping[Script, tuple[Payment, ...]]:
        return query_each(scripts, self.payments_to)


@dataclass
class NodeChain(OneByOne):
    """The `Chain` of a node in this process; it can be `away`, or blind to its mempool."""

    node: RegtestNode
    away: bool = False
    shows_mempool: bool = True
    runs_scripts: bool = True
    """Whether it tests what it is asked about, as a node does."""
    refuses: Callable[[Transaction], bool] = lambda _tx: False
    mumbles: Callable[[Transaction], bool] = lambda _tx: False
    broadcasts: list[Transaction] = field(default_factory=list)
    looks: int = 0

    def height(self) -> int:
        self._require()
        return self.node.height

    def acceptance(self, transaction: Transaction) -> Accepted | Refused:
        self._require()
        if not self.runs_scripts:
            return Accepted()
        answer = self._verdict(self.node.test(transaction))
        return Accepted(tested=True) if isinstance(answer, Accepted) else answer

    def broadcast(self, transaction: Transaction) -> Accepted | Refused | Unknown:
        self._require()
        self.broadcasts.append(transaction)
        if self.mumbles(transaction):
            return Unknown("told to")
        if self.refuses(transaction):
            return Refused("told to")
        return self._verdict(self.node.send(transaction))

    def outputs(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Output]:
        self._require()
        found: dict[OutPoint, Output] = {}
        with self.node.lock:
            for outpoint in outpoints:
                transaction = self.node.transaction(outpoint.txid)
                if transaction is not None and outpoint.vout < len(transaction.outputs):
                    depth = self.node.confirmations(outpoint.txid)
                    found[outpoint] = Output(transaction.outputs[outpoint.vout], depth)
        return found

    def spends_of(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Spend]:
        self._require()
        self.looks += 1
        return super().spends_of(outpoints)

    def spend_of(self, outpoint: OutPoint) -> Spend | None:
        self._require()
        with self.node.lock:
            txid = self.node.spender(outpoint)
            transaction = None if txid is None else self.node.transaction(txid)
            if txid is None or transaction is None:
                return None
            depth = self.node.confirmations(txid)
        return Spend(transaction=transaction, depth=depth) if depth or self.shows_mempool else None

    def payments_to(self, script: Script) -> tuple[Payment, ...]:
        self._require()
        with self.node.lock:
            index = self.node.chain.index
            found = [index.transactions[t].transaction for t in index.history(script_hash(script))]
            found += [entry.transaction for entry in self.node.mempool]
            payments = [
                Payment(
                    txid=transaction.txid,
                    amount=Sats(
                        sum(o.value for o in transaction.outputs if o.script_pubkey == script)
                    ),
                    depth=self.node.confirmations(transaction.txid),
                )
                for transaction in found
                if any(output.script_pubkey == script for output in transaction.outputs)
            ]
        return tuple(sorted(payments, key=lambda payment: -payment.depth))

    def fee_rate(self, *, target: int) -> FeeRate:  # noqa: ARG002 - the port's
        self._require()
        return FeeRate.from_sat_per_vb(2)

    def min_fee_rate(self) -> FeeRate:
        self._require()
        return FeeRate.BROADCAST_MIN

    def _require(self) -> None:
        if self.away:
            raise ChainError("The chain is away.")

    @staticmethod
    def _verdict(answer: object) -> Accepted | Refused:
        reason = getattr(answer, "reason", None)
        return Accepted() if reason is None or reason in KNOWN else Refused(str(reason))
