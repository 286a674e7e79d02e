"""A node's wallet that answers what it should not."""

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
    wallet,
)
from tests.wallets.signing import sign_all

from dovetail.bitcoin import (
    FeeRate,
    Psbt,
    PsbtV2,
    Sats,
    Script,
    Transaction,
    TxOut,
)
from dovetail.errors import ChainError, InsufficientFunds, WalletError

RATE = FeeRate.from_sat_per_vb(2)


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
    with pytest.raises(WalletError, match="cannot be written: check the data directory"):
        wallet(tmp_path, lockunspent=_never).hold(lambda: [COIN])
    assert [path.name for path in tmp_path.iterdir()] == ["wallet.lock"]


def _never(**_: Any) -> Any:
    raise AssertionError("Nothing is locked that was not written down.")
