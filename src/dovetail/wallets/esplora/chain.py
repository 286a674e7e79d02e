"""A chain source on one Esplora server (Blockstream/esplora, API.md; mempool/electrs)."""

import math
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field
from typing import Self

import msgspec

from dovetail.bitcoin import (
    FeeRate,
    Network,
    OutPoint,
    Sats,
    Script,
    Transaction,
    Txid,
    TxOut,
    UnixTime,
)
from dovetail.bitcoin.hashes import sha256
from dovetail.extras import brought_by
from dovetail.wallets.broadcast_results import parse_broadcast_result
from dovetail.wallets.cached_chain import PACE, AnswerCache, Key
from dovetail.wallets.mempool_policy import check_acceptance, depth_of, verdict_of
from dovetail.wallets.ports import Accepted, Output, Payment, Refused, Spend, Unknown, query_each
from dovetail.wallets.transaction_cache import KeptTransactions

with brought_by("agent", "dovetail.wallets.esplora.EsploraChain"):
    from dovetail.wallets.esplora.http import (
        FAULTS,
        EsploraBlocks,
        EsploraHttp,
        Outspend,
        Payer,
        Status,
    )

_TIMEOUT = 30.0
_MAX_HEIGHT = 100_000_000
_MAX_PAGES = 20


class _Block(msgspec.Struct, frozen=True):
    """A block in the answer of `/blocks`, which lists the newest first."""

    mediantime: int
    timestamp: int = 0


class _Verdict(msgspec.Struct, frozen=True):
    """The answer of `POST /txs/test` for one transaction."""

    allowed: bool = False
    reason: str = msgspec.field(default="", name="reject-reason")


@dataclass(frozen=True, slots=True)
class _Told:
    """The server's answer about a coin or a script; heights are those of blocks."""

    spender: Transaction | None = None
    height: int | None = None
    payments: Mapping[Txid, tuple[Sats, int | None]] = field(
        default_factory=dict[Txid, tuple[Sats, int | None]]
    )


class EsploraChain:
    """A `Chain` over one Esplora server; threads may share it, and `close` ends its connections.

    `url` is the API's base without a login. `timeout` is in seconds for one answer. `min_fee_rate`
    is the minimum that its node relays, which Esplora does not report; the default is 0.1 sat/vB.
    `pace` is the seconds between two refreshes of the cache (see `cached_chain`); 0, as on
    regtest, asks each time. Raises `ConfigurationError` for an unusable URL. Its repr does not
    show the URL.
    """

    def __init__(
        self,
        url: str,
        network: Network,
        *,
        timeout: float = _TIMEOUT,
        min_fee_rate: FeeRate | None = None,
        pace: float | None = None,
    ) -> None:
        self._http = EsploraHttp(url, timeout=timeout)
        self._network = network
        self._min_fee_rate = min_fee_rate or FeeRate.RELAY_MIN
        if pace is None:
            pace = 0 if network is Network.REGTEST else PACE
        self._cache = AnswerCache[_Told](EsploraBlocks(self._http), pace=pace) if pace else None
        self._kept = KeptTransactions()

    def __repr__(self) -> str:
        return f"<EsploraChain on {self._network}>"

    def close(self) -> None:
        """Close its connections; a second call does nothing."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def height(self) -> int:
        """Return the height of its best block, perhaps from the cache."""
        if self._cache is not None:
            return self._cache.height()
        body = self._http.get("/blocks/tip/height") or b""
        if not body.isdigit() or len(body) > 9 or int(body) > _MAX_HEIGHT:
            raise FAULTS.not_understood()
        return int(body)

    def acceptance(self, transaction: Transaction) -> Accepted | Refused:
        """Return whether the network would accept the transaction now, as far as is known.

        Mempool's Esplora and Dovetail's regtest server ask their node. With any other server the
        form, inputs, sums, lock times and the minimum fee rate are checked here. These checks do
        not find wrong signatures (the core verifies them), possible replacements, or a full
        mempool.
        """
        verdict = self._nodes_verdict(transaction)
        if verdict is None:
            return self._our_verdict(transaction)
        return verdict_of(verdict.reason, allowed=verdict.allowed)

    def broadcast(self, transaction: Transaction) -> Accepted | Refused | Unknown:
        """Broadcast the transaction. One that is already known counts as accepted."""
        answer = self._http.post("/tx", transaction.serialize().hex().encode())
        if answer is None:
            raise FAULTS.not_understood()
        agreed, body = answer
        self._drop(transaction)
        named = body.strip() == str(transaction.txid).encode()
        if (agreed and named) or self._status(transaction.txid) is not None:
            return Accepted()
        return parse_broadcast_result(body.decode("utf-8", "replace"))

    def _drop(self, transaction: Transaction) -> None:
        if self._cache is not None:
            scripts = [output.script_pubkey for output in transaction.outputs]
            self._cache.drop([*transaction.contested(), *scripts])

    def outputs(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Output]:
        """Return those of the outputs that exist, in the mempool or a block, spent or not."""
        height = self.height()  # first: a server without a chain must not report "gone"
        found: dict[OutPoint, Output] = {}
        for outpoint in outpoints:
            status = self._status(outpoint.txid)
            transaction = None if status is None else self._kept_transaction(outpoint.txid)
            if transaction is not None and outpoint.vout < len(transaction.outputs):
                txout = transaction.outputs[outpoint.vout]
                found[outpoint] = Output(txout, _depth_at(_block_height(status), height))
        return found

    def spends_of(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Spend]:
        """Return the spends of the outpoints in mempool and blocks, without unspent ones."""
        spends = {outpoint: self.spend_of(outpoint) for outpoint in dict.fromkeys(outpoints)}
        return {outpoint: spend for outpoint, spend in spends.items() if spend is not None}

    def transactions(self, txids: Collection[Txid]) -> Mapping[Txid, Transaction]:
        """See `TransactionChain.transactions`; one that it named may come from the cache."""
        found = {txid: self._kept_transaction(txid) for txid in dict.fromkeys(txids)}
        return {txid: each for txid, each in found.items() if each is not None}

    def block_time(self, height: int) -> UnixTime:
        """See `TransactionChain.block_time`."""
        blocks = self._http.get_json(f"/blocks/{height}", list[_Block])
        if not blocks:
            raise FAULTS.not_understood()
        return UnixTime(blocks[0].timestamp)

    def min_fee_rate(self) -> FeeRate:
        """Return the configured minimum fee rate, or 0.1 sat/vB; Esplora does not report it."""
        return self._min_fee_rate

    def spend_of(self, outpoint: OutPoint) -> Spend | None:
        """Return the spend of an outpoint in the mempool or a block, or None."""
        height = self.height()  # first: a server without a chain must not count as "unspent"
        told = self._look(outpoint, lambda: self._spent(outpoint))
        if told.spender is None:
            return None
        return Spend(transaction=told.spender, depth=_depth_at(told.height, height))

    def payments_to(self, script: Script) -> tuple[Payment, ...]:
        """Return the newest 500 or more payments to a script, most confirmations first."""
        height = self.height()
        told = self._look(script, lambda: self._paid(script))
        payments = [
            Payment(txid=txid, amount=amount, depth=_depth_at(block_height, height))
            for txid, (amount, block_height) in told.payments.items()
        ]
        return tuple(sorted(payments, key=lambda payment: -payment.depth))

    def _look(self, key: Key, ask: Callable[[], _Told]) -> _Told:
        if self._cache is None:
            return ask()
        return self._cache.get(key, lambda: (told := ask(), told.height is not None))

    def _spent(self, outpoint: OutPoint) -> _Told:
        outspend = self._outspend(outpoint)
        if outspend is None or not outspend.spent or outspend.txid is None:
            return _Told()
        with FAULTS.reading():
            spender = self._kept_transaction(Txid.from_hex(outspend.txid))
        if spender is None:
            return _Told()  # it left the mempool meanwhile
        if spender.spends(outpoint) is None:
            raise FAULTS.not_understood()
        return _Told(spender=spender, height=_block_height(outspend.status))

    def _kept_transaction(self, txid: Txid) -> Transaction | None:
        """Return a transaction of a txid that the server named, from the cache if possible."""
        kept = self._kept.get(txid)
        found = self._transaction(txid) if kept is None else kept
        if found is not None:
            self._kept.put(found)
        return found

    def _paid(self, script: Script) -> _Told:
        found: dict[Txid, tuple[Sats, int | None]] = {}
        with FAULTS.reading():
            for payer in self._history(script):
                amounts = [o.value for o in payer.vout if o.scriptpubkey == script.hex()]
                if amounts:
                    txid = Txid.from_hex(payer.txid)
                    found[txid] = (Sats.sum(amounts), _block_height(payer.status))
        return _Told(payments=found)

    def payments_to_each(self, scripts: Collection[Script]) -> Mapping[Script, tuple[Payment, ...]]:
        """See `Chain.payments_to_each`."""
        return query_each(scripts, self.payments_to)

    def fee_rate(self, *, target: int) -> FeeRate:
        """Return the fee rate to confirm within `target` blocks; at least the relay minimum.

        If the server has no estimate for so few blocks, its nearest one is used. Without any
        estimate it is 1 sat/vB: older nodes refuse less, and receivers may.
        """
        estimates = self._http.get_json("/fee-estimates", dict[int, float])
        if estimates is None:
            raise FAULTS.not_understood()
        if not estimates:
            return max(FeeRate.BROADCAST_MIN, self._min_fee_rate)
        within = [blocks for blocks in estimates if blocks <= target]
        rate = estimates[max(within) if within else min(estimates)]
        if not math.isfinite(rate) or rate < 0:
            raise FAULTS.not_understood()
        with FAULTS.reading():
            return max(FeeRate.from_sat_per_vb(rate), self._min_fee_rate)

    def _nodes_verdict(self, transaction: Transaction) -> _Verdict | None:
        raw = transaction.serialize().hex()
        answer = self._http.post("/txs/test", msgspec.json.encode([raw]))
        if answer is not None and answer[0]:
            verdicts = FAULTS.decoded(answer[1], list[_Verdict])
            if len(verdicts) == 1:
                return verdicts[0]
        return None

    def _our_verdict(self, transaction: Transaction) -> Accepted | Refused:
        height = self.height()
        if self._status(transaction.txid) is not None:
            return Accepted()
        return check_acceptance(
            transaction,
            height=height,
            unspent=self._unspent,
            outputs=self.outputs,
            median_time=self._median_time,
            min_fee_rate=self._min_fee_rate,
        )

    def _median_time(self) -> int:
        """Return the median time past of the newest block (BIP 113)."""
        newest = self._http.get_json("/blocks", list[_Block])
        if not newest:
            raise FAULTS.not_understood()
        return newest[0].mediantime

    def _unspent(self, outpoint: OutPoint) -> TxOut | None:
        previous = self._transaction(outpoint.txid)
        outspend = self._outspend(outpoint)
        if previous is None or outspend is None or outspend.spent:
            return None
        return previous.outputs[outpoint.vout] if outpoint.vout < len(previous.outputs) else None

    def _status(self, txid: Txid) -> Status | None:
        payer = self._http.get_json(f"/tx/{txid}", Payer)
        return None if payer is None else payer.status

    def _outspend(self, outpoint: OutPoint) -> Outspend | None:
        return self._http.get_json(f"/tx/{outpoint.txid}/outspend/{outpoint.vout}", Outspend)

    def _transaction(self, txid: Txid) -> Transaction | None:
        body = self._http.get(f"/tx/{txid}/hex")
        if body is None:
            return None
        with FAULTS.reading():
            try:
                transaction = Transaction.parse(bytes.fromhex(body.decode("ascii")))
            except ValueError:
                raise FAULTS.not_understood() from None
        if transaction.txid != txid:
            raise FAULTS.not_understood()
        return transaction

    def _history(self, script: Script) -> Generator[Payer]:
        """Yield the history, newest first: mempool transactions, then pages of confirmed ones."""
        path = f"/scripthash/{sha256(script).hex()}/txs"
        page = self._http.get_json(path, list[Payer]) or []
        yield from page
        last = ""
        for _ in range(_MAX_PAGES):
            confirmed = [payer.txid for payer in page if payer.status.confirmed]
            if not confirmed or confirmed[-1] == last:
                return
            last = confirmed[-1]
            Txid.from_hex(last)
            page = self._http.get_json(f"{path}/chain/{last}", list[Payer]) or []
            yield from page


def _block_height(status: Status | None) -> int | None:
    return status.block_height if status is not None and status.confirmed else None


def _depth_at(block_height: int | None, height: int) -> int:
    return 0 if block_height is None else depth_of(block_height, height)
