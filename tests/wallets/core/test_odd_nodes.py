"""What wallet, locks and chain of a node do where a real one can hardly be brought to."""

from pathlib import Path
from typing import Any

import pytest
from tests.wallets.core_says import Refusal, node
from tests.wallets.signing import sign_all

from dovetail.bitcoin import (
    FeeRate,
    OutPoint,
    Psbt,
    PsbtV2,
    Sats,
    Script,
    Transaction,
    Txid,
    TxIn,
    TxOut,
)
from dovetail.errors import ChainError, InsufficientFunds, WalletError
from dovetail.wallets.core.chain import CoreChain
from dovetail.wallets.core.locks import CoinLocks
from dovetail.wallets.core.wallet import LOCKS, CoreWallet
from dovetail.wallets.mempool_policy import SAME
from dovetail.wallets.ports import Accepted, Output, Refused

SCRIPT = Script(b"\x00\x14" + bytes(20))
PARENT = Transaction(
    version=2,
    inputs=(TxIn(OutPoint.parse(f"{'11' * 32}:1")),),
    outputs=(TxOut(Sats(100_000), SCRIPT),),
    lock_time=0,
)
COIN = OutPoint(PARENT.txid, 0)
CHILD = Transaction(
    version=2, inputs=(TxIn(COIN),), outputs=(TxOut(Sats(90_000), SCRIPT),), lock_time=0
)
RATE = FeeRate.from_sat_per_vb(2)
UNKNOWN = Refusal(-5)
OUR_PARENT = {"hex": PARENT.serialize().hex(), "confirmations": 3, "blockhash": "22" * 32}
OURS = {"ismine": True, "solvable": True}


def chain(**says: Any) -> CoreChain:
    usual: dict[str, Any] = {"gettransaction": UNKNOWN, "gettxout": None}
    return CoreChain(node(**usual | says))


def wallet(folder: Path, **says: Any) -> CoreWallet:
    usual: dict[str, Any] = {
        "gettransaction": OUR_PARENT,
        "getaddressinfo": OURS,
        "listlockunspent": [],
        "listunspent": [],
        "getrawchangeaddress": "bcrt1q6rz28mcfaxtmd6v789l9rrlrusdprr9pz3cppk",
    }
    return CoreWallet(node(**usual | says), folder)


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


# The wallet


def test_a_wallet_without_addresses_says_to_unlock_it(tmp_path: Path) -> None:
    with pytest.raises(WalletError, match=r"no more addresses.*walletpassphrase"):
        wallet(tmp_path, getnewaddress=Refusal(-12)).new_address()
    with pytest.raises(ChainError, match="refused a request"):
        wallet(tmp_path, getnewaddress=Refusal(-4)).new_address()
    with pytest.raises(ChainError, match="not what a Bitcoin Core node gives"):
        wallet(tmp_path, getnewaddress="no address").new_address()


def test_amounts_that_are_none_are_not_understood(tmp_path: Path) -> None:
    with pytest.raises(ChainError, match="not what a Bitcoin Core node gives"):
        wallet(tmp_path, getbalance=-1).balance()


def test_a_coin_that_cannot_be_weighed_is_not_offered(tmp_path: Path) -> None:
    nested = Transaction(
        version=2,
        inputs=PARENT.inputs,
        outputs=(TxOut(Sats(100_000), Script(b"\xa9\x14" + bytes(20) + b"\x87")),),
        lock_time=0,
    )
    listed = {
        "txid": str(nested.txid),
        "vout": 0,
        "scriptPubKey": "",
        "amount": 0.001,
        "redeemScript": "51",
        "witnessScript": "51",
    }
    says = {"gettransaction": OUR_PARENT | {"hex": nested.serialize().hex()}}
    assert wallet(tmp_path, listunspent=[listed], **says).coins() == ()
    with pytest.raises(ChainError, match="not what a Bitcoin Core node gives"):
        wallet(tmp_path, listunspent=[listed | {"redeemScript": "?"}], **says).coins()


def funded(transaction: Transaction) -> dict[str, Any]:
    return {"hex": transaction.serialize().hex()}


def test_another_payment_than_was_asked_for_is_not_signed(tmp_path: Path) -> None:
    made = wallet(tmp_path, fundrawtransaction=funded(CHILD))
    with pytest.raises(WalletError, match="built another payment"):
        made.pay(SCRIPT, Sats(80_000), fee_rate=RATE)


def test_an_unconfirmed_coin_is_not_spent_even_where_the_node_chose_it(tmp_path: Path) -> None:
    made = wallet(
        tmp_path, fundrawtransaction=funded(CHILD), gettransaction=OUR_PARENT | {"confirmations": 0}
    )
    with pytest.raises(WalletError, match="chose a coin that is not confirmed"):
        made.pay(SCRIPT, Sats(90_000), fee_rate=RATE)


def test_what_the_node_cannot_build_is_told_apart_from_a_shortage(tmp_path: Path) -> None:
    listed = {"txid": str(COIN.txid), "vout": 0, "scriptPubKey": "", "amount": 0.001}
    says = {"listunspent": [listed], "fundrawtransaction": Refusal(-4, "secret words")}
    with pytest.raises(WalletError, match="could not build the transaction") as caught:
        wallet(tmp_path, **says).pay(SCRIPT, Sats(90_000), fee_rate=RATE)
    assert "secret words" not in str(caught.value)
    with pytest.raises(InsufficientFunds, match="100,000 sats confirmed and free"):
        wallet(tmp_path, **says).pay(SCRIPT, Sats(99_900), fee_rate=RATE)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Refusal(-4), "could not sign the PSBT"),
        ({"psbt": "no psbt"}, "did not answer with a PSBT"),
        ({"psbt": Psbt.from_unsigned(PARENT).to_base64()}, "signed another transaction"),
        ({"psbt": Psbt.from_unsigned(CHILD).to_base64()}, "could not sign one of its inputs"),
    ],
)
def test_a_signature_that_does_not_come_is_told(tmp_path: Path, answer: Any, sentence: str) -> None:
    made = wallet(tmp_path, walletprocesspsbt=answer)
    with pytest.raises(WalletError, match=sentence):
        sign_all(made, Psbt.from_unsigned(CHILD))


def test_a_node_may_answer_in_version_2(tmp_path: Path) -> None:
    def process(psbt: str, **_: Any) -> dict[str, str]:
        asked = Psbt.from_base64(psbt)
        final = asked.inputs[0].with_final(witness=(b"\x01", b"\x02"))
        return {"psbt": PsbtV2.of(asked.with_input(0, final)).to_base64()}

    signed = sign_all(wallet(tmp_path, walletprocesspsbt=process), Psbt.from_unsigned(CHILD))
    assert signed.inputs[0].final_script_witness == (b"\x01", b"\x02")


def test_a_spender_that_is_gone_costs_nothing_to_replace(tmp_path: Path) -> None:
    asked: list[Psbt] = []

    def process(psbt: str, **_: Any) -> dict[str, str]:
        asked.append(Psbt.from_base64(psbt))
        return {"psbt": psbt}

    gone = [{"spendingtxid": str(CHILD.txid)}]
    made = wallet(
        tmp_path,
        gettxspendingprevout=gone,
        getmempoolentry=UNKNOWN,
        walletprocesspsbt=process,
    )
    with pytest.raises(WalletError, match="could not sign one of its inputs"):
        made.revoke(COIN, fee_rate=RATE)
    [draft] = asked
    assert draft.unsigned_transaction.outputs[0].value > 99_000


# The locks


def test_locks_that_the_node_cannot_make_are_told(tmp_path: Path) -> None:
    with pytest.raises(ChainError, match="refused a request"):
        wallet(tmp_path, lockunspent=Refusal(-20)).hold(lambda: [COIN])


def test_locks_that_cannot_be_written_down_are_not_made(tmp_path: Path, monkeypatch) -> None:
    def full(*_: Any) -> None:
        raise OSError

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(WalletError, match="cannot be written down: check the data directory"):
        wallet(tmp_path, lockunspent=_never).hold(lambda: [COIN])
    assert [path.name for path in tmp_path.iterdir()] == ["wallet.lock"]


def _never(**_: Any) -> Any:
    raise AssertionError("Nothing is locked that was not written down.")


def held(value: str = "0.00100000", confirmations: int = 3, script: str = SCRIPT.hex()) -> Any:
    return {
        "bestblock": "00" * 32,
        "value": float(value),
        "confirmations": confirmations,
        "scriptPubKey": {"hex": script},
    }


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
