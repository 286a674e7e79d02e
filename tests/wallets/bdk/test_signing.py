from dataclasses import replace

import pytest
from tests.wallets.signing import sign_all

from dovetail.bitcoin import (
    OutPoint,
    Psbt,
    PsbtInput,
    Sats,
    Script,
    ScriptType,
    Transaction,
    Txid,
    TxIn,
    TxOut,
)
from dovetail.errors import WalletError
from dovetail.protocol.coin import Coin
from dovetail.protocol.signature_scope import commits_to_everything
from dovetail.wallets.ports import Accepted

KINDS = [ScriptType.P2WPKH, ScriptType.P2TR, ScriptType.P2SH, ScriptType.P2PKH]
TARGET = Script(b"\x00\x14" + bytes(20))
STRANGER = Coin(
    OutPoint(Txid(bytes(31) + b"\x07"), 3),
    PsbtInput()
    .with_witness_utxo(TxOut(Sats(50_000), TARGET))
    .with_partial_signature(b"\x02" * 33, bytes.fromhex("3006020101020101") + b"\x01"),
    TxOut(Sats(50_000), TARGET),
)


def _psbt(*coins: Coin, out: int = 60_000) -> Psbt:
    transaction = Transaction(
        version=2,
        inputs=tuple(TxIn(coin.outpoint, sequence=0xFFFFFFFD) for coin in coins),
        outputs=(TxOut(Sats(out), TARGET),),
        lock_time=0,
    )
    psbt = Psbt.from_unsigned(transaction)
    for index, coin in enumerate(coins):
        psbt = psbt.with_input(index, coin.signing_input)
    return psbt


def test_a_coin_of_ours_that_somebody_else_named_is_not_signed(make_wallet):
    wallet = make_wallet(100_000, 50_000)
    named, asked = wallet.coins()
    before = _psbt(named, asked)
    after = wallet.sign(before, inputs=[asked.outpoint])
    assert after.inputs[0] == before.inputs[0]
    assert after.inputs[1].is_finalized
    with pytest.raises(WalletError, match="None of the PSBT's inputs"):
        wallet.sign(before, inputs=[])


def test_own_coins_are_told_by_outpoint(make_wallet):
    wallet = make_wallet(100_000)
    coin = wallet.coins()[0].outpoint
    unknown = [STRANGER.outpoint, OutPoint(coin.txid, 99)]
    assert wallet.owned_coins([coin, *unknown]) == {coin}


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_wallets_own_input_is_signed(make_wallet, kind):
    wallet = make_wallet(100_000, kind=kind)
    before = _psbt(STRANGER, wallet.coins()[0])
    after = sign_all(wallet, before)
    assert after.inputs[0] == before.inputs[0]
    assert after.global_map == before.global_map
    assert after.outputs == before.outputs
    assert after.inputs[1].is_finalized
    assert not after.inputs[1].bip32_derivations
    assert commits_to_everything(after.inputs[1], wallet.coins()[0].utxo)


@pytest.mark.parametrize("kind", KINDS)
def test_a_psbt_that_tells_nothing_of_our_coin_is_signed_from_our_own_knowledge(
    chain, make_wallet, kind
):
    wallet = make_wallet(100_000, kind=kind)
    bare = Psbt.from_unsigned(_psbt(wallet.coins()[0]).unsigned_transaction)
    assert chain.acceptance(sign_all(wallet, bare).extract()) == Accepted(tested=True)


def test_a_wrong_amount_for_our_coin_is_not_believed(chain, make_wallet):
    wallet = make_wallet(100_000)
    coin = wallet.coins()[0]
    lie = PsbtInput().with_witness_utxo(replace(coin.utxo, value=Sats(1)))
    signed = sign_all(wallet, _psbt(replace(coin, psbt_input=lie)))
    assert chain.acceptance(signed.extract()) == Accepted(tested=True)


def test_old_final_scripts_of_ours_are_replaced(chain, make_wallet):
    wallet = make_wallet(100_000)
    coin = wallet.coins()[0]
    old = coin.signing_input.with_final(b"\x00", (b"old",))
    signed = sign_all(wallet, _psbt(replace(coin, psbt_input=old)))
    assert chain.acceptance(signed.extract()) == Accepted(tested=True)


def test_final_scripts_of_others_stay(make_wallet):
    wallet = make_wallet(100_000)
    final = replace(STRANGER, psbt_input=STRANGER.psbt_input.with_final(b"\x01", (b"theirs",)))
    before = _psbt(wallet.coins()[0], final)
    assert sign_all(wallet, before).inputs[1] == before.inputs[1]


def test_sighash_types_of_others_are_not_our_business(make_wallet):
    wallet = make_wallet(100_000)
    odd = replace(STRANGER, psbt_input=STRANGER.psbt_input.with_sighash_type(0x83))
    before = _psbt(wallet.coins()[0], odd)
    after = sign_all(wallet, before)
    assert after.inputs[0].is_finalized
    assert after.inputs[1] == before.inputs[1]


@pytest.mark.parametrize("sighash_type", [0x02, 0x03, 0x81, 0x82, 0x83, 0x100])
def test_a_signature_that_others_could_build_upon_is_refused(make_wallet, sighash_type):
    wallet = make_wallet(100_000)
    coin = wallet.coins()[0]
    asked = replace(coin, psbt_input=coin.signing_input.with_sighash_type(sighash_type))
    with pytest.raises(WalletError, match="use sighash ALL"):
        sign_all(wallet, _psbt(asked))


@pytest.mark.parametrize(
    ("kind", "sighash_type"),
    [(ScriptType.P2WPKH, 1), (ScriptType.P2TR, 0), (ScriptType.P2TR, 1)],
)
def test_asking_for_a_whole_signature_is_fine(chain, make_wallet, kind, sighash_type):
    wallet = make_wallet(100_000, kind=kind)
    coin = wallet.coins()[0]
    asked = replace(coin, psbt_input=coin.signing_input.with_sighash_type(sighash_type))
    assert chain.acceptance(sign_all(wallet, _psbt(asked)).extract()) == Accepted(tested=True)


def test_a_psbt_of_others_is_not_signed(make_wallet):
    wallet, other = make_wallet(100_000), make_wallet(50_000, name="other")
    with pytest.raises(WalletError, match="None of the PSBT's inputs"):
        sign_all(wallet, _psbt(STRANGER, other.coins()[0]))
    with pytest.raises(WalletError, match="None of the PSBT's inputs"):
        sign_all(wallet, Psbt.from_unsigned(_psbt(STRANGER).unsigned_transaction))


@pytest.mark.parametrize("kind", [ScriptType.P2WPKH, ScriptType.P2PKH])
def test_a_coin_that_was_never_synced_is_not_signed(server, make_wallet, kind):
    wallet = make_wallet(kind=kind)
    script = wallet.new_address().script_pubkey
    funding = server.node.fund_many([TxOut(Sats(70_000), script)])
    known = PsbtInput().with_non_witness_utxo(funding)
    if kind is ScriptType.P2WPKH:
        known = PsbtInput().with_witness_utxo(funding.outputs[0])
    coin = Coin(OutPoint(funding.txid, 0), known, funding.outputs[0])
    with pytest.raises(WalletError, match="sync the wallet first"):
        sign_all(wallet, _psbt(coin))
    wallet.sync()
    assert sign_all(wallet, _psbt(coin)).is_finalized


def test_a_coin_that_the_mempool_spends_is_still_signed(server, make_wallet):
    wallet = make_wallet(100_000)
    coin = wallet.coins()[0]
    server.node.send(sign_all(wallet, _psbt(coin)).extract())
    wallet.sync()
    assert wallet.coins() == ()
    assert sign_all(wallet, _psbt(coin, out=50_000)).is_finalized


def test_taproot_signs_only_where_it_knows_what_all_inputs_spend(make_wallet):
    wallet = make_wallet(100_000, kind=ScriptType.P2TR)
    psbt = _psbt(wallet.coins()[0], STRANGER).with_input(1, PsbtInput())
    with pytest.raises(WalletError, match="Taproot"):
        sign_all(wallet, psbt)


def test_other_types_sign_without_knowing_what_others_spend(make_wallet):
    wallet = make_wallet(100_000)
    psbt = _psbt(wallet.coins()[0], STRANGER).with_input(1, PsbtInput())
    assert sign_all(wallet, psbt).inputs[0].is_finalized


def test_a_signer_that_fails_is_told(make_wallet, monkeypatch):
    from bdkpython import SignerError, Wallet  # noqa: PLC0415  a fault to inject

    wallet = make_wallet(100_000)
    psbt = _psbt(wallet.coins()[0])
    monkeypatch.setattr(Wallet, "sign", lambda *_: False)
    with pytest.raises(WalletError, match="one of its inputs"):
        sign_all(wallet, psbt)

    def fail(*_):
        raise SignerError.MissingKey

    monkeypatch.setattr(Wallet, "sign", fail)
    with pytest.raises(WalletError, match="could not sign the PSBT"):
        sign_all(wallet, psbt)
