"""What wallet, locks and chain of a node do where a real one can hardly be brought to."""

from pathlib import Path
from typing import Any

import pytest
from tests.wallets.scripted_node import (
    CHILD,
    COIN,
    OUR_PARENT,
    PARENT,
    SCRIPT,
    UNKNOWN,
    Refusal,
    node,
    wallet,
)
from tests.wallets.signing import sign_all

from dovetail.bitcoin import (
    FeeRate,
    OutPoint,
    Psbt,
    Txid,
)
from dovetail.errors import ChainError
from dovetail.wallets.core.chain import CoreChain
from dovetail.wallets.core.locks import CoinLocks
from dovetail.wallets.core.wallet import LOCKS
from dovetail.wallets.mempool_policy import SAME
from dovetail.wallets.ports import Accepted, Output, Refused


def chain(**says: Any) -> CoreChain:
    usual: dict[str, Any] = {"gettransaction": UNKNOWN, "gettxout": None}
    return CoreChain(node(**usual | says))


def held(value: str = "0.00100000", confirmations: int = 3, script: str = SCRIPT.hex()) -> Any:
    return {
        "bestblock": "00" * 32,
        "value": float(value),
        "confirmations": confirmations,
        "scriptPubKey": {"hex": script},
    }


def in_waiting(txid: str) -> Any:
    """The wallet has the parent, which no block has."""
    known = {"hex": PARENT.serialize().hex(), "confirmations": 0}
    return known if txid == str(PARENT.txid) else UNKNOWN


# The chain


def test_a_transaction_that_is_there_already_counts_as_accepted() -> None:
    for refusal in (Refusal(-27), Refusal(-26, "txn-already-known")):
        assert chain(sendrawtransaction=refusal).broadcast(CHILD) == Accepted()
    known = [{"allowed": False, "reject-reason": "txn-same-nonwitness-data-in-mempool"}]
    assert chain(testmempoolaccept=known).acceptance(CHILD) == Accepted()


@pytest.mark.parametrize("code", [-1, -4, -20, -37])
def test_the_nodes_own_troubles_are_no_verdict_on_a_transaction(code: int) -> None:
    with pytest.raises(ChainError, match="refused a request"):
        chain(sendrawtransaction=Refusal(code)).broadcast(CHILD)
    with pytest.raises(ChainError, match="refused a request"):
        chain(testmempoolaccept=Refusal(code)).acceptance(CHILD)


def test_another_transaction_than_was_asked_for_is_not_understood(tmp_path: Path) -> None:
    other = {"hex": CHILD.serialize().hex(), "confirmations": 1}
    with pytest.raises(ChainError, match="not what a Bitcoin Core node gives"):
        sign_all(wallet(tmp_path, gettransaction=other), Psbt.from_unsigned(CHILD))


def test_what_cannot_even_be_read_is_refused() -> None:
    told = chain(testmempoolaccept=Refusal(-22, "TX decode\nfailed")).acceptance(CHILD)
    assert told == Refused("TX decode failed")


def test_a_verdict_on_something_else_is_not_understood() -> None:
    with pytest.raises(ChainError, match="not what a Bitcoin Core node gives"):
        chain(testmempoolaccept=[]).acceptance(CHILD)
    other = [{"spendingtxid": str(PARENT.txid)}]
    with pytest.raises(ChainError, match="not what a Bitcoin Core node gives"):
        chain(gettxspendingprevout=other, getrawtransaction=PARENT.serialize().hex()).spend_of(COIN)


def test_a_parent_in_waiting_goes_along_where_the_node_takes_packages() -> None:
    missing = Refusal(-25, "bad-txns-inputs-missingorspent")
    usual = {
        "sendrawtransaction": missing,
        "gettransaction": in_waiting,
        "getmempoolentry": UNKNOWN,
    }
    member = {"txid": str(CHILD.txid)}
    taken = {"package_msg": "success", "tx-results": {"a": member}}
    assert chain(**usual, submitpackage=taken).broadcast(CHILD) == Accepted()
    failed = {"tx-results": {"a": member | {"error": "min relay fee not met"}}}
    for answer in (failed, Refusal(-32601)):
        told = chain(**usual, submitpackage=answer).broadcast(CHILD)
        assert told == Refused("bad-txns-inputs-missingorspent")


def test_a_parent_in_the_mempool_needs_no_package() -> None:
    told = chain(
        sendrawtransaction=Refusal(-25, "bad-txns-inputs-missingorspent"),
        gettransaction=in_waiting,
        getmempoolentry={},
    ).broadcast(CHILD)
    assert isinstance(told, Refused)
    with pytest.raises(ChainError):
        chain(
            sendrawtransaction=Refusal(-25, "bad-txns-inputs-missingorspent"),
            gettransaction=in_waiting,
            getmempoolentry=Refusal(-1),
        ).broadcast(CHILD)


def test_a_package_is_judged_by_its_last_transaction() -> None:
    def tested(rawtxs: list[str], maxfeerate: int) -> list[dict[str, Any]]:
        if len(rawtxs) == 1:
            return [{"allowed": False, "reject-reason": "missing-inputs"}]
        return [{"allowed": False}, {"package-error": "package-not-child-with-parents"}]

    told = chain(
        testmempoolaccept=tested, gettransaction=in_waiting, getmempoolentry=UNKNOWN
    ).acceptance(CHILD)
    assert told == Refused("package-not-child-with-parents")


def test_a_spender_that_leaves_the_mempool_between_two_answers_is_looked_for_in_blocks() -> None:
    says = {
        "gettxspendingprevout": [{"spendingtxid": str(CHILD.txid)}],
        "gettxout": {"bestblock": "00" * 32},
    }
    assert chain(**says, getrawtransaction=UNKNOWN).spend_of(COIN) is None
    with pytest.raises(ChainError, match="refused a request"):
        chain(**says, getrawtransaction=Refusal(-1)).spend_of(COIN)


def test_an_estimate_counts_where_it_is_above_what_is_relayed() -> None:
    mempool = {"mempoolminfee": 0.00001, "minrelaytxfee": 0.00001}
    told = chain(estimatesmartfee={"feerate": 0.0001234}, getmempoolinfo=mempool)
    assert told.fee_rate(target=6) == FeeRate.from_sat_per_vb("12.34")
    full = {"mempoolminfee": 0.0005, "minrelaytxfee": 0.00001}
    told = chain(estimatesmartfee={"errors": ["none"]}, getmempoolinfo=full)
    assert told.fee_rate(target=6) == FeeRate.from_sat_per_vb(50)
    odd = chain(estimatesmartfee={"feerate": -1}, getmempoolinfo=mempool)
    with pytest.raises(ChainError, match="not what a Bitcoin Core node gives"):
        odd.fee_rate(target=6)


def test_an_output_is_told_by_the_coins_the_mempool_the_wallet_or_not_at_all() -> None:
    txout = PARENT.outputs[0]
    assert chain(gettxout=held()).outputs([COIN]) == {COIN: Output(txout, 3)}
    waits = chain(
        gettxout=lambda include_mempool, **_: held(confirmations=0) if include_mempool else None
    )
    assert waits.outputs([COIN]) == {COIN: Output(txout, 0)}
    spent = chain(gettransaction=OUR_PARENT)
    assert spent.outputs([COIN, OutPoint(PARENT.txid, 1)]) == {COIN: Output(txout, 3)}
    waiting = chain(getrawtransaction=PARENT.serialize().hex())
    assert waiting.outputs([COIN]) == {COIN: Output(txout, 0)}


def test_an_output_that_a_node_cannot_tell_any_more_is_not_called_gone() -> None:
    there = True

    def gettxout(**_: Any) -> Any:
        return held() if there else None

    accepts = {"testmempoolaccept": [{"allowed": True}], "getrawtransaction": UNKNOWN}
    asked = chain(gettxout=gettxout, **accepts)
    asked.acceptance(CHILD)
    there = False
    with pytest.raises(ChainError, match="txindex"):
        asked.outputs([COIN])
    assert asked.outputs([OutPoint(PARENT.txid, 7)]) == {}  # which nobody ever saw


@pytest.mark.parametrize("answer", [held(script="zz"), held(value="-1"), Refusal(-8)])
def test_an_output_that_cannot_be_is_not_understood(answer: Any) -> None:
    with pytest.raises(ChainError):
        chain(gettxout=answer).outputs([COIN])


def test_the_least_that_is_relayed_is_what_the_mempool_takes() -> None:
    says = {"mempoolminfee": 0.00000321, "minrelaytxfee": 0.000001}
    assert chain(getmempoolinfo=says).min_fee_rate() == FeeRate.from_sat_per_vb("0.321")
    with pytest.raises(ChainError):
        chain(getmempoolinfo=says | {"mempoolminfee": -1}).min_fee_rate()


class Locking:
    """A node that keeps its locks."""

    def __init__(self) -> None:
        self.locked: set[OutPoint] = set()

    def listlockunspent(self) -> Any:
        return [{"txid": str(coin.txid), "vout": coin.vout} for coin in self.locked]

    def lockunspent(self, unlock: bool, transactions: Any, **_: Any) -> Any:  # noqa: FBT001
        [coin] = [OutPoint(Txid.from_hex(each["txid"]), each["vout"]) for each in transactions]
        if (coin in self.locked) is not unlock:
            return Refusal(-8)
        self.locked ^= {coin}
        return True


def test_a_coin_that_another_process_holds_by_now_stays_locked(tmp_path: Path) -> None:
    kept = Locking()
    says: dict[str, Any] = {
        "listlockunspent": kept.listlockunspent,
        "lockunspent": kept.lockunspent,
    }
    ours, theirs = (CoinLocks(node(**says), tmp_path / LOCKS) for _ in range(2))
    other = OutPoint(PARENT.txid, 1)
    store: list[OutPoint] = []
    with ours.holding([COIN, other], lambda: store):
        assert kept.locked == {COIN, other}
        store.append(COIN)  # a session of another process began meanwhile
        theirs.settle(lambda: store)
    assert kept.locked == {COIN}
    assert ours.held() == theirs.held() == {COIN}
    theirs.settle(list)
    assert kept.locked == set()


# What no block spends yet


class Waits:
    """A node whose mempool holds CHILD or only what it spends; blocks know nothing of either."""

    def __init__(self, *, child: bool) -> None:
        self.child = child
        self.blocks_read = 0

    def says(self) -> dict[str, Any]:
        return {
            "testmempoolaccept": [
                {"allowed": not self.child, "reject-reason": SAME if self.child else ""}
            ],
            "gettxout": self.gettxout,
            "getbestblockhash": "33" * 32,
            "getmempoolentry": {},
            "gettransaction": UNKNOWN,
            "gettxspendingprevout": [{}],
            "getblockheader": {"hash": "33" * 32, "height": 9_000, "confirmations": 1},
            "getblockcount": 9_000,
            "listsinceblock": {"transactions": []},
            "getblock": self.getblock,
        }

    def gettxout(self, include_mempool: bool, **_: Any) -> Any:  # noqa: FBT001
        return {"bestblock": "33" * 32} if include_mempool and not self.child else None

    def getblock(self, **_: Any) -> Any:
        self.blocks_read += 1
        return "00" * 80


@pytest.mark.parametrize("child", [False, True])
def test_no_block_is_read_for_a_coin_that_vanished_since_it_was_accepted(child) -> None:
    waits = Waits(child=child)
    asked = chain(**waits.says())
    assert asked.acceptance(CHILD) == Accepted(tested=True)
    waits.child = True  # what it spends is in no coin set any more, nor in the mempool
    assert asked.spends_of([COIN]) == {}
    assert waits.blocks_read == 0


def test_a_transaction_that_left_meanwhile_tells_nothing_of_its_coins() -> None:
    waits = Waits(child=True)
    asked = chain(**waits.says() | {"getmempoolentry": UNKNOWN})
    assert asked.acceptance(CHILD) == Accepted(tested=True)
    assert asked.outputs([]) == {}
    broken = chain(**waits.says() | {"getmempoolentry": Refusal(-1)})
    with pytest.raises(ChainError):
        broken.acceptance(CHILD)
