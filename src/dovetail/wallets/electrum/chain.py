"""A chain source on one Electrum server (Electrum protocol, versions 1.4 to 1.7)."""

import re
import time
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
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
from dovetail.wallets.broadcast_results import parse_broadcast_result
from dovetail.wallets.cached_chain import PACE
from dovetail.wallets.electrum.connection import FAULTS
from dovetail.wallets.electrum.mempool_test import MempoolTest
from dovetail.wallets.electrum.rpc import Denied, ElectrumRpc, require_answer
from dovetail.wallets.electrum.subscriptions import (
    HISTORY,
    TIP,
    Entry,
    ScriptWatch,
    height_of,
    history_of,
)
from dovetail.wallets.mempool_policy import check_acceptance, depth_of
from dovetail.wallets.ports import Accepted, Output, Payment, Refused, Spend, Unknown, query_each
from dovetail.wallets.server_url import ChainServer
from dovetail.wallets.transaction_cache import KeptTransactions

_TIMEOUT = 30.0
_NEWEST_PAYMENTS = 500
_TO_SAT_PER_VB = 5  # decimal places from bitcoins per 1000 vB
_UNTOLD = -1.0
_OP_RETURN = 0x6A
_HEADER_SIZE = 80
# Messages of servers whose node does not have a transaction.
_MISSING = re.compile(r"no such mempool|missing transaction|(?<!\d)-5\b", re.IGNORECASE)


class _MempoolInfo(msgspec.Struct, frozen=True):
    """The answer of `mempool.get_info`: the minimum relay fee in bitcoins per 1000 vB."""

    minrelaytxfee: float


class ElectrumChain:
    """A `Chain` over one Electrum server; threads may share it, and `close` ends its connection.

    `server` is its URL, or a `ChainServer` that also names a certificate or Tor's proxy. `timeout`
    is in seconds for one answer. `min_fee_rate` replaces the minimum that the server reports.
    `pace` is the seconds between two requests for the tip (see `subscriptions`); 0, as on regtest,
    asks each time. The server is trusted about confirmations. Raises `ConfigurationError` for an
    unusable server. Its repr does not show the URL.
    """

    def __init__(
        self,
        server: ChainServer | str,
        network: Network,
        *,
        timeout: float = _TIMEOUT,
        min_fee_rate: FeeRate | None = None,
        pace: float | None = None,
    ) -> None:
        self._rpc = ElectrumRpc(ChainServer.of(server), network, timeout=timeout)
        self._test = MempoolTest(ChainServer.of(server), network, timeout=timeout)
        self._network = network
        self._kept = KeptTransactions()
        self._min_fee_rate = min_fee_rate
        if pace is None:
            pace = 0 if network is Network.REGTEST else PACE
        self._pace = pace
        self._missing_at: dict[Txid, float] = {}
        self._script_watch = ScriptWatch(self._rpc, pace=pace) if pace else None

    def __repr__(self) -> str:
        return f"<ElectrumChain on {self._network}>"

    def close(self) -> None:
        """Close its connections; a second call does nothing."""
        self._rpc.close()
        self._test.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def height(self) -> int:
        """Return the height of its best block."""
        if self._script_watch is not None:
            return self._script_watch.height()
        return height_of(self._rpc.ask(TIP, kind=msgspec.Raw))

    def acceptance(self, transaction: Transaction) -> Accepted | Refused:
        """Return whether the network would accept the transaction now, as far as is known.

        A server of version 1.7 lets its node test it. Older versions cannot, so the form, inputs,
        sums, lock times and the minimum fee rate are checked here. These checks do not find wrong
        signatures (the core verifies them), possible replacements, or a full mempool.
        """
        height = self.height()
        verdict = self._test.verdict(transaction)
        if isinstance(verdict, Accepted):
            return verdict
        if self._is_known(transaction):
            return Accepted()
        return verdict or check_acceptance(
            transaction,
            height=height,
            unspent=self._unspent,
            outputs=self.outputs,
            median_time=lambda: self._median_time(height),
            min_fee_rate=self.min_fee_rate(),
        )

    def broadcast(self, transaction: Transaction) -> Accepted | Refused | Unknown:
        """Broadcast the transaction. One that is already known counts as accepted."""
        raw = transaction.serialize().hex()
        answer = self._rpc.ask_optional("blockchain.transaction.broadcast", raw, kind=str)
        if answer == str(transaction.txid) or self._is_known(transaction):
            return Accepted()
        return parse_broadcast_result(answer.message if isinstance(answer, Denied) else answer)

    def outputs(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Output]:
        """Return those of the outputs that exist, in the mempool or a block, spent or not."""
        self.height()  # a server without a chain must not report "gone"
        found: dict[OutPoint, Output] = {}
        for outpoint in outpoints:
            txout = self._output(outpoint)
            if txout is not None:
                height, history = self._look(txout.script_pubkey)
                place = next((e for e in history if e.tx_hash == str(outpoint.txid)), None)
                if place is not None:
                    found[outpoint] = Output(txout, _depth(place, height))
        return found

    def spends_of(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Spend]:
        """Return the spends of the outpoints in mempool and blocks, without unspent ones."""
        wanted = list(dict.fromkeys(outpoints))
        if len(wanted) > 1:
            self._transactions(dict.fromkeys(each.txid for each in wanted))  # all in one request
        spends = {outpoint: self.spend_of(outpoint) for outpoint in wanted}
        return {outpoint: spend for outpoint, spend in spends.items() if spend is not None}

    def transactions(self, txids: Collection[Txid]) -> Mapping[Txid, Transaction]:
        """See `TransactionChain.transactions`; one that it named may come from the cache."""
        return dict(self._transactions(dict.fromkeys(txids)))

    def min_fee_rate(self) -> FeeRate:
        """Return the minimum fee rate that the server's node relays."""
        if self._min_fee_rate is None:
            self._min_fee_rate = self._relay_fee()
        return self._min_fee_rate

    def _relay_fee(self) -> FeeRate:
        """Ask for it by the method of the server's protocol version."""
        least = self._rpc.ask_optional("blockchain.relayfee", kind=float)
        if isinstance(least, Denied):
            mempool = self._rpc.ask_optional("mempool.get_info", kind=_MempoolInfo)
            least = _UNTOLD if isinstance(mempool, Denied) else mempool.minrelaytxfee
        with FAULTS.reading():
            return FeeRate.RELAY_MIN if least == _UNTOLD else _fee_rate(least)

    def spend_of(self, outpoint: OutPoint) -> Spend | None:
        """Return the spend of an outpoint in the mempool or a block, or None."""
        output = self._output(outpoint)
        if output is None:
            self.height()  # a server without a chain must not count as "unspent"
            return None
        height, history = self._look(output.script_pubkey)
        places = {Txid.from_hex(entry.tx_hash): entry for entry in reversed(history)}
        for txid, found in self._transactions(places):
            if found.spends(outpoint) is not None:
                return Spend(transaction=found, depth=_depth(places[txid], height))
        return None

    def payments_to(self, script: Script) -> tuple[Payment, ...]:
        """Return the newest 500 transactions that pay a script, most confirmations first."""
        height, history = self._look(script)
        newest = history[-_NEWEST_PAYMENTS:]
        places = {Txid.from_hex(entry.tx_hash): entry for entry in newest}
        found: list[Payment] = []
        for txid, transaction in self._transactions(places):
            amounts = [out.value for out in transaction.outputs if out.script_pubkey == script]
            if amounts:
                depth = _depth(places[txid], height)
                with FAULTS.reading():
                    found.append(Payment(txid=txid, amount=Sats.sum(amounts), depth=depth))
        return tuple(sorted(found, key=lambda payment: -payment.depth))

    def payments_to_each(self, scripts: Collection[Script]) -> Mapping[Script, tuple[Payment, ...]]:
        """See `Chain.payments_to_each`."""
        return query_each(scripts, self.payments_to)

    def fee_rate(self, *, target: int) -> FeeRate:
        """Return the fee rate to confirm within `target` blocks; at least the relay minimum.

        Without an estimate it is 1 sat/vB: older nodes refuse less, and receivers may.
        """
        estimate = self._rpc.ask("blockchain.estimatefee", target, kind=float)
        least = self.min_fee_rate()
        with FAULTS.reading():
            told = FeeRate.BROADCAST_MIN if estimate == _UNTOLD else _fee_rate(estimate)
            return max(least, told)

    def _is_known(self, transaction: Transaction) -> bool:
        """Whether it is in a block or the mempool, by the history of a script that it pays."""
        scripts = [out.script_pubkey for out in transaction.outputs]
        script = next((each for each in scripts if each[:1] != bytes([_OP_RETURN])), None)
        if script is None:
            return self._transaction(transaction.txid) is not None
        _, history = self._look(script)
        return any(entry.tx_hash == str(transaction.txid) for entry in history)

    def block_time(self, height: int) -> UnixTime:
        """See `TransactionChain.block_time`."""
        (time_of_it,) = self._times([height])
        return UnixTime(time_of_it)

    def _median_time(self, height: int) -> int:
        """Return the median time of the eleven blocks up to this height (BIP 113)."""
        times = sorted(self._times(range(max(0, height - 10), height + 1)))
        return times[len(times) // 2]

    def _times(self, heights: Iterable[int]) -> list[int]:
        """Return the times in the headers of the blocks at these heights."""
        questions = [("blockchain.block.header", (each,)) for each in heights]
        times: list[int] = []
        for answer in self._rpc.ask_each(questions, str):
            with FAULTS.reading():
                try:
                    header = bytes.fromhex(require_answer(answer))
                except ValueError:
                    raise FAULTS.not_understood() from None
            if len(header) != _HEADER_SIZE:
                raise FAULTS.not_understood()
            times.append(int.from_bytes(header[68:72], "little"))
        return times

    def _unspent(self, outpoint: OutPoint) -> TxOut | None:
        output = self._output(outpoint)
        return None if output is None or self.spend_of(outpoint) is not None else output

    def _output(self, outpoint: OutPoint) -> TxOut | None:
        previous = self._transaction(outpoint.txid)
        if previous is None or outpoint.vout >= len(previous.outputs):
            return None
        return previous.outputs[outpoint.vout]

    def _transaction(self, txid: Txid) -> Transaction | None:
        return next((found for _, found in self._transactions([txid])), None)

    def _transactions(self, txids: Iterable[Txid]) -> list[tuple[Txid, Transaction]]:
        """Return those that the server has, in their order."""
        wanted = list(txids)
        found = {txid: kept for txid in wanted if (kept := self._kept.get(txid)) is not None}
        missing = [txid for txid in wanted if txid not in found and not self._was_missing(txid)]
        questions = [("blockchain.transaction.get", (str(txid),)) for txid in missing]
        for txid, answer in zip(missing, self._rpc.ask_each(questions, str), strict=True):
            if isinstance(answer, Denied) and _MISSING.search(answer.message) is not None:
                self._missing_at[txid] = time.monotonic()
                continue
            found[txid] = _parsed(require_answer(answer), txid)
            self._kept.put(found[txid])
        return [(txid, found[txid]) for txid in wanted if txid in found]

    def _was_missing(self, txid: Txid) -> bool:
        """Whether the server did not have it a short time ago; only if `pace` is set."""
        return time.monotonic() - self._missing_at.get(txid, float("-inf")) < self._pace

    def _look(self, script: Script) -> tuple[int, list[Entry]]:
        """Return the height and the history of a script, oldest first, mempool last.

        Both are requested together, because servers may delay each short answer for a second.
        """
        name = sha256(script)[::-1].hex()
        if self._script_watch is not None:
            return self._script_watch.look(name)
        tip, told = self._rpc.ask_each([(TIP, ()), (HISTORY, (name,))], msgspec.Raw)
        return height_of(require_answer(tip)), history_of(require_answer(told))


def _parsed(text: str, txid: Txid) -> Transaction:
    with FAULTS.reading():
        try:
            transaction = Transaction.parse(bytes.fromhex(text))
        except ValueError:
            raise FAULTS.not_understood() from None
    if transaction.txid != txid:
        raise FAULTS.not_understood()
    return transaction


def _depth(entry: Entry, height: int) -> int:
    return depth_of(entry.height, height) if entry.height > 0 else 0


def _fee_rate(rate: float) -> FeeRate:
    return FeeRate.from_sat_per_vb(Decimal(repr(rate)).scaleb(_TO_SAT_PER_VB))
