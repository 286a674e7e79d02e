"""The chain as one Esplora server tells it (Blockstream/esplora, API.md; mempool/electrs)."""

import math
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field
from typing import Self

import msgspec

from dovetail.bitcoin import FeeRate, Network, OutPoint, Sats, Script, Transaction, Txid, TxOut
from dovetail.bitcoin.hashes import sha256
from dovetail.extras import brought_by
from dovetail.wallets.broadcast_results import told
from dovetail.wallets.cached_chain import PACE, Key, Looks
from dovetail.wallets.mempool_policy import check_acceptance, depth_of, verdict_of
from dovetail.wallets.ports import Accepted, Output, Payment, Refused, Spend, Unknown, told_each
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
    """What `/blocks` tells of each of the newest blocks, the newest first."""

    mediantime: int


class _Verdict(msgspec.Struct, frozen=True):
    """What `POST /txs/test` answers of one transaction."""

    allowed: bool = False
    reason: str = msgspec.field(default="", name="reject-reason")


@dataclass(frozen=True, slots=True)
class _Told:
    """What the server told of a coin, or of a script; a height is that of a block."""

    spender: Transaction | None = None
    height: int | None = None
    payments: Mapping[Txid, tuple[Sats, int | None]] = field(
        default_factory=dict[Txid, tuple[Sats, int | None]]
    )


class EsploraChain:
    """A `Chain` over one Esplora server; threads may share it, and `close` ends its connections.

    `url` is the API's base without a login, `timeout` in seconds for one answer, `min_fee_rate` the
    least that its node relays, which it does not tell: 0.1 sat/vB unless given. `pace` in seconds
    spares a public server, see `sparing`; 0, as on regtest, asks it each time. Raises
    `ConfigurationError` for a URL that cannot be used. Its repr does not show the URL.
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
        self._looks = Looks[_Told](EsploraBlocks(self._http), pace=pace) if pace else None
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
        """The height of its best block, as far as it is asked for."""
        if self._looks is not None:
            return self._looks.height()
        body = self._http.get("/blocks/tip/height") or b""
        if not body.isdigit() or len(body) > 9 or int(body) > _MAX_HEIGHT:
            raise FAULTS.not_understood()
        return int(body)

    def acceptance(self, transaction: Transaction) -> Accepted | Refused:
        """Whether the network would take the transaction now, as well as the server can tell.

        Mempool's Esplora and a regtest server of ours ask their node. With any other server we
        judge by what nodes ask of form, inputs, sums, locks and the minimum fee rate. That cannot
        tell wrong signatures, which are the core's to verify, a replacement that would be taken,
        nor a full mempool.
        """
        verdict = self._nodes_verdict(transaction)
        if verdict is None:
            return self._our_verdict(transaction)
        return verdict_of(verdict.reason, allowed=verdict.allowed)

    def broadcast(self, transaction: Transaction) -> Accepted | Refused | Unknown:
        """Hand the transaction to the network. One that is known already counts as accepted."""
        answer = self._http.post("/tx", transaction.serialize().hex().encode())
        if answer is None:
            raise FAULTS.not_understood()
        agreed, body = answer
        self._drop(transaction)
        named = body.strip() == str(transaction.txid).encode()
        if (agreed and named) or self._status(transaction.txid) is not None:
            return Accepted()
        return told(body.decode("utf-8", "replace"))

    def _drop(self, transaction: Transaction) -> None:
        if self._looks is not None:
            scripts = [output.script_pubkey for output in transaction.outputs]
            self._looks.drop([*transaction.contested(), *scripts])

    def outputs(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Output]:
        """Those of the outputs that exist, in the mempool or a block, spent or not."""
        height = self.height()  # first, as a server that knows nothing must not say "gone"
        found: dict[OutPoint, Output] = {}
        for outpoint in outpoints:
            status = self._status(outpoint.txid)
            transaction = None if status is None else self._kept_transaction(outpoint.txid)
            if transaction is not None and outpoint.vout < len(transaction.outputs):
                txout = transaction.outputs[outpoint.vout]
                found[outpoint] = Output(txout, _depth_at(_block_height(status), height))
        return found

    def spends_of(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Spend]:
        """What spends the outpoints, in the mempool or a block; without those that nothing does."""
        spends = {outpoint: self.spend_of(outpoint) for outpoint in dict.fromkeys(outpoints)}
        return {outpoint: spend for outpoint, spend in spends.items() if spend is not None}

    def min_fee_rate(self) -> FeeRate:
        """The least that it relays, which no Esplora server tells: as given, or 0.1 sat/vB."""
        return self._min_fee_rate

    def spend_of(self, outpoint: OutPoint) -> Spend | None:
        """What spends an outpoint, in the mempool or a block; None while nothing does."""
        height = self.height()  # first, as a server that knows nothing must not count as "unspent"
        told = self._look(outpoint, lambda: self._spent(outpoint))
        if told.spender is None:
            return None
        return Spend(transaction=told.spender, depth=_depth_at(told.height, height))

    def payments_to(self, script: Script) -> tuple[Payment, ...]:
        """The transactions that pay a script, the deepest first; of its newest 500 or more."""
        height = self.height()
        told = self._look(script, lambda: self._paid(script))
        payments = [
            Payment(txid=txid, amount=amount, depth=_depth_at(block_height, height))
            for txid, (amount, block_height) in told.payments.items()
        ]
        return tuple(sorted(payments, key=lambda payment: -payment.depth))

    def _look(self, key: Key, ask: Callable[[], _Told]) -> _Told:
        if self._looks is None:
            return ask()
        return self._looks.get(key, lambda: (told := ask(), told.height is not None))

    def _spent(self, outpoint: OutPoint) -> _Told:
        outspend = self._outspend(outpoint)
        if outspend is None or not outspend.spent or outspend.txid is None:
            return _Told()
        with FAULTS.reading():
            spender = self._kept_transaction(Txid.from_hex(outspend.txid))
        if spender is None:
            return _Told()  # it left the mempool between the two answers
        if spender.spends(outpoint) is None:
            raise FAULTS.not_understood()
        return _Told(spender=spender, height=_block_height(outspend.status))

    def _kept_transaction(self, txid: Txid) -> Transaction | None:
        """One whose id the server has just named; what it is never changes, and is asked once."""
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
        return told_each(scripts, self.payments_to)

    def fee_rate(self, *, target: int) -> FeeRate:
        """The fee rate to confirm within `target` blocks; at least the relay minimum.

        A server without an estimate for so few blocks tells its nearest one. Where it has none at
        all, 1 sat/vB: below that receivers may refuse a payment, and older nodes do.
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
        """The median time past of the newest block (BIP 113)."""
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
        """The newest first: what waits in the mempool, then page by page of what is confirmed."""
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
