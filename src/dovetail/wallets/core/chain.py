"""A chain source on one Bitcoin Core node, without `txindex`."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Self

import msgspec

from dovetail.bitcoin import (
    Address,
    FeeRate,
    OutPoint,
    Sats,
    Script,
    Transaction,
    Txid,
    TxOut,
    UnixTime,
)
from dovetail.errors import ChainError, InvalidAmount, ParseError
from dovetail.wallets.broadcast_results import parse_broadcast_result
from dovetail.wallets.core.blocks import BlockSearch, gettxout
from dovetail.wallets.core.node import NOT_FOUND, CoreNode, named, parsed, per_kvb, txid_of
from dovetail.wallets.core.rpc import FAULTS, RpcError, call
from dovetail.wallets.mempool_policy import shortened, verdict_of
from dovetail.wallets.ports import Accepted, Output, Payment, Refused, Spend, Unknown, query_each

SEARCHES = "core-searches.json"
"""The usual name of the file with the states of block searches."""

# The error codes that refuse a transaction (rpc/protocol.h).
_VERDICTS = frozenset({-22, -25, -26, -27})
_ORPHANED = frozenset({"missing-inputs", "bad-txns-inputs-missingorspent"})
_ANY_FEE_RATE, _ANY_AMOUNT = 0, "21000000"
"""These disable the node's own limits, because the session has checked the fee."""


class _Verdict(msgspec.Struct, frozen=True):
    allowed: bool | None = None
    reason: str = msgspec.field(default="", name="reject-reason")
    package_error: str = msgspec.field(default="", name="package-error")


class _PackageMember(msgspec.Struct, frozen=True):
    txid: str
    error: str = ""


class _PackageVerdict(msgspec.Struct, frozen=True):
    members: dict[str, _PackageMember] = msgspec.field(name="tx-results")
    message: str = msgspec.field(default="", name="package_msg")


class _Spender(msgspec.Struct, frozen=True):
    spendingtxid: str | None = None
    blockhash: str | None = None


class _Received(msgspec.Struct, frozen=True):
    txids: list[str]


class _Estimate(msgspec.Struct, frozen=True):
    feerate: Decimal | None = None


class _Scripted(msgspec.Struct, frozen=True):
    hex: str


class _Held(msgspec.Struct, frozen=True):
    """An unspent output."""

    value: Decimal
    script: _Scripted = msgspec.field(name="scriptPubKey")
    confirmations: int

    def output(self) -> Output:
        """Raises `ChainError`."""
        try:
            txout = TxOut(Sats.from_btc(self.value), Script(bytes.fromhex(self.script.hex)))
        except (ParseError, ValueError):
            raise FAULTS.not_understood() from None
        return Output(txout, self.confirmations)


class _Timed(msgspec.Struct, frozen=True):
    time: int


class _MempoolInfo(msgspec.Struct, frozen=True):
    mempoolminfee: Decimal
    minrelaytxfee: Decimal


class CoreChain:
    """A `Chain` over one node; threads may share it.

    The spender of an outpoint is searched in the mempool, in the wallet's transactions, and in the
    blocks since it was last seen unspent. The file `memory` keeps that block over restarts. A
    pruned node is enough if it keeps the blocks since then.
    """

    def __init__(
        self, node: CoreNode, *, memory: Path | None = None, min_fee_rate: FeeRate | None = None
    ) -> None:
        """`min_fee_rate` replaces the node's minimum fee rate.

        It raises nothing, because the first request comes later.
        """
        self._node = node
        self._min_fee_rate = min_fee_rate
        self._blocks = BlockSearch(node, memory)

    def __repr__(self) -> str:
        return f"<CoreChain on {self._node.network}>"

    def close(self) -> None:
        """Close the node's connections; a second call does nothing."""
        self._node.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def height(self) -> int:
        """Return the height of its best block."""
        return self._node.ask("getblockcount", int)

    def acceptance(self, transaction: Transaction) -> Accepted | Refused:
        """Return whether the node would accept the transaction now, with parents if needed."""
        verdict = self._tested([transaction])
        if isinstance(verdict, Refused) and verdict.reason in _ORPHANED:
            parents = self._parents_in_waiting(transaction)
            if parents:
                verdict = self._tested([*parents, transaction])
        if isinstance(verdict, Accepted) or self._is_confirmed(transaction.txid):
            # Record where a later search for the spender of these coins starts.
            tested = isinstance(verdict, Accepted) and verdict.tested
            note = self._blocks.note_inputs if tested else self._note_unspent
            note(transaction)
            return verdict if isinstance(verdict, Accepted) else Accepted()
        return verdict

    def broadcast(self, transaction: Transaction) -> Accepted | Refused | Unknown:
        """Broadcast the transaction. One that is already known counts as accepted."""
        try:
            self._node.ask(
                "sendrawtransaction",
                str,
                hexstring=transaction.serialize().hex(),
                maxfeerate=_ANY_FEE_RATE,
                maxburnamount=_ANY_AMOUNT,
            )
        except RpcError as error:
            if error.code not in _VERDICTS:
                raise
            verdict = parse_broadcast_result(error.words, code=error.code)
            if not isinstance(verdict, Refused) or self._is_confirmed(transaction.txid):
                return Accepted()
            if error.words in _ORPHANED:
                parents = self._parents_in_waiting(transaction)
                if parents and self._submitted([*parents, transaction]):
                    return Accepted()
            return verdict
        return Accepted()

    def _note_unspent(self, transaction: Transaction) -> None:
        self._blocks.note(transaction.contested())

    def outputs(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Output]:
        """Return those of the outputs that exist, in the mempool or a block, spent or not.

        Raises `ChainError` for an output that was spent in a block before the first request: the
        node no longer knows it.
        """
        found = self._unspent(outpoints)
        for outpoint in outpoints:
            if outpoint not in found:
                output = self._spent_output(outpoint)
                if output is not None:
                    found[outpoint] = output
        return found

    def _unspent(self, outpoints: Collection[OutPoint]) -> dict[OutPoint, Output]:
        found: dict[OutPoint, Output] = {}
        for with_mempool in (False, True):
            wanted = [outpoint for outpoint in outpoints if outpoint not in found]
            calls = [gettxout(outpoint, mempool=with_mempool) for outpoint in wanted]
            for outpoint, answer in zip(wanted, self._node.batch(calls, msgspec.Raw), strict=True):
                if isinstance(answer, RpcError):
                    raise answer
                if bytes(answer) != b"null":
                    found[outpoint] = FAULTS.decoded(answer, _Held).output()
        return found

    def _spent_output(self, outpoint: OutPoint) -> Output | None:
        """Return a spent output, if its transaction is in the mempool, the wallet or `txindex`."""
        known = self._node.transactions([outpoint.txid]).get(outpoint.txid)
        depth = 0 if known is None else known.confirmations
        found = known.transaction() if known is not None and depth > 0 else None
        found = found or self._from_mempool(outpoint.txid)
        if found is not None:
            exists = outpoint.vout < len(found.outputs)
            return Output(found.outputs[outpoint.vout], max(0, depth)) if exists else None
        if self._blocks.knows(outpoint):
            raise ChainError(
                "A coin of the session is spent or gone, and the node no longer has its "
                "transaction: use a node with `txindex=1`."
            )
        return None

    def spends_of(self, outpoints: Collection[OutPoint]) -> Mapping[OutPoint, Spend]:
        """Return the spends of the outpoints in the mempool or blocks; unspent ones are left out.

        Raises `ChainError` if many blocks must be searched; the next call continues the search.
        Also raises it if the node has pruned the blocks.
        """
        wanted = list(dict.fromkeys(outpoints))
        if not wanted:
            return {}
        waiting = self._waiting_spends(wanted)
        # If they are confirmed, it is in a later block.
        self._blocks.note(list(waiting))
        return waiting | self._blocks.spends_of([each for each in wanted if each not in waiting])

    def spend_of(self, outpoint: OutPoint) -> Spend | None:
        """Return the spend of one outpoint; see `spends_of`."""
        return self.spends_of([outpoint]).get(outpoint)

    def _waiting_spends(self, outpoints: list[OutPoint]) -> dict[OutPoint, Spend]:
        spenders = self._node.ask(
            "gettxspendingprevout", list[_Spender], outputs=[named(each) for each in outpoints]
        )
        if len(spenders) != len(outpoints):
            raise FAULTS.not_understood()
        found: dict[OutPoint, Spend] = {}
        known: dict[str, Transaction | None] = {}
        for outpoint, spender in zip(outpoints, spenders, strict=True):
            txid = spender.spendingtxid
            if txid is None or spender.blockhash is not None:
                continue
            if txid not in known:
                known[txid] = self._from_mempool(txid_of(txid))
            transaction = known[txid]
            if transaction is None:
                continue  # it left the mempool meanwhile
            if transaction.spends(outpoint) is None:
                raise FAULTS.not_understood()
            found[outpoint] = Spend(transaction=transaction, depth=0)
        return found

    def payments_to(self, script: Script) -> tuple[Payment, ...]:
        """Return the transactions that pay a script of the wallet, most confirmations first.

        Raises `ChainError` for other scripts, of which the node keeps no history.
        """
        address = Address.from_script(script, self._node.network)
        received = self._node.ask(
            "listreceivedbyaddress",
            list[_Received],
            minconf=0,
            include_immature_coinbase=True,
            address_filter=str(address),
        )
        txids = [txid_of(txid) for each in received for txid in each.txids]
        if not txids and script not in self._node.owned([script]):
            raise ChainError(
                "The address is not of the wallet that `core_wallet` names, and the node keeps no"
                " history of others: name the wallet that the session began with."
            )
        known = self._node.transactions(txids)
        waiting = self._in_mempool(txid for txid, each in known.items() if each.confirmations == 0)
        payments = [
            Payment(
                txid=txid,
                amount=Sats.sum(
                    output.value
                    for output in each.transaction().outputs
                    if output.script_pubkey == script
                ),
                depth=each.confirmations,
            )
            for txid, each in known.items()
            if each.confirmations > 0 or txid in waiting
        ]
        return tuple(sorted(payments, key=lambda payment: -payment.depth))

    def payments_to_each(self, scripts: Collection[Script]) -> Mapping[Script, tuple[Payment, ...]]:
        """See `Chain.payments_to_each`."""
        return query_each(scripts, self.payments_to)

    def transactions(self, txids: Collection[Txid]) -> Mapping[Txid, Transaction]:
        """See `TransactionChain.transactions`; a node has those of its wallet and its mempool."""
        wanted = list(dict.fromkeys(txids))
        known = self._node.transactions(wanted)
        found = {txid: each.transaction() for txid, each in known.items()}
        for txid in wanted:
            waiting = None if txid in found else self._from_mempool(txid)
            if waiting is not None:
                found[txid] = waiting
        return found

    def block_time(self, height: int) -> UnixTime:
        """See `TransactionChain.block_time`."""
        name = self._node.ask("getblockhash", str, height=height)
        return UnixTime(self._node.ask("getblockheader", _Timed, blockhash=name).time)

    def fee_rate(self, *, target: int) -> FeeRate:
        """Return the fee rate to confirm within `target` blocks; at least the relay minimum.

        If the node has seen too few blocks to estimate, it is 1 sat/vB: older nodes refuse less,
        and receivers may.
        """
        estimate = self._node.ask("estimatesmartfee", _Estimate, conf_target=target)
        estimated = (
            FeeRate.BROADCAST_MIN if estimate.feerate is None else _fee_rate(estimate.feerate)
        )
        return max(estimated, self.min_fee_rate())

    def min_fee_rate(self) -> FeeRate:
        """Return the minimum fee rate of its mempool now."""
        if self._min_fee_rate is not None:
            return self._min_fee_rate
        mempool = self._node.ask("getmempoolinfo", _MempoolInfo)
        return max(_fee_rate(mempool.mempoolminfee), _fee_rate(mempool.minrelaytxfee))

    def _tested(self, transactions: list[Transaction]) -> Accepted | Refused:
        """Return the verdict on the last transaction; the others are its parents."""
        raw = [each.serialize().hex() for each in transactions]
        try:
            verdicts = self._node.ask(
                "testmempoolaccept", list[_Verdict], rawtxs=raw, maxfeerate=_ANY_FEE_RATE
            )
        except RpcError as error:
            if error.code not in _VERDICTS:
                raise
            return Refused(shortened(error.words))
        if len(verdicts) != len(raw):
            raise FAULTS.not_understood()
        verdict = verdicts[-1]
        reason = verdict.reason or verdict.package_error
        return verdict_of(reason, allowed=bool(verdict.allowed))

    def _submitted(self, transactions: list[Transaction]) -> bool:
        """Whether the node took the package; one without packages does not."""
        raw = [each.serialize().hex() for each in transactions]
        with suppress(RpcError):
            verdict = self._node.ask("submitpackage", _PackageVerdict, package=raw)
            last = str(transactions[-1].txid)
            return any(each.txid == last and not each.error for each in verdict.members.values())
        return False

    def _parents_in_waiting(self, transaction: Transaction) -> list[Transaction]:
        """Return its parents that the wallet has and the mempool lacks."""
        known = self._node.transactions(outpoint.txid for outpoint in transaction.contested())
        unconfirmed = [txid for txid, each in known.items() if each.confirmations == 0]
        waiting = self._in_mempool(unconfirmed)
        return [known[txid].transaction() for txid in unconfirmed if txid not in waiting]

    def _in_mempool(self, txids: Iterable[Txid]) -> frozenset[Txid]:
        wanted = list(txids)
        calls = [call("getmempoolentry", txid=str(txid)) for txid in wanted]
        answers = self._node.batch(calls, msgspec.Raw)
        for answer in answers:
            if isinstance(answer, RpcError) and answer.code != NOT_FOUND:
                raise answer
        return frozenset(
            txid
            for txid, answer in zip(wanted, answers, strict=True)
            if not isinstance(answer, RpcError)
        )

    def _from_mempool(self, txid: Txid) -> Transaction | None:
        try:
            return parsed(self._node.ask("getrawtransaction", str, txid=str(txid)))
        except RpcError as error:
            if error.code != NOT_FOUND:
                raise
            return None  # it left the mempool meanwhile

    def _is_confirmed(self, txid: Txid) -> bool:
        """Whether the wallet has it in a block, even if all its outputs are spent."""
        known = self._node.transactions([txid])
        return txid in known and known[txid].confirmations > 0


def _fee_rate(bitcoins: Decimal) -> FeeRate:
    try:
        return FeeRate.from_sat_per_vb(per_kvb(bitcoins))
    except InvalidAmount:
        raise FAULTS.not_understood() from None
