from dataclasses import replace

import pytest
from tests.wallets.keys import descriptors_of_a_key_like_a_script
from tests.wallets.signing import sign_all
from tests.wallets.taped_node import Stage

from dovetail.bitcoin import (
    FeeRate,
    OutPoint,
    Psbt,
    PsbtInput,
    Sats,
    Script,
    ScriptType,
    Transaction,
    TxIn,
    TxOut,
)
from dovetail.errors import InsufficientFunds, WalletError
from dovetail.wallets.ports import Accepted

KINDS = {
    "legacy": ScriptType.P2PKH,
    "p2sh-segwit": ScriptType.P2SH,
    "bech32": ScriptType.P2WPKH,
    "bech32m": ScriptType.P2TR,
}
RATE = FeeRate.from_sat_per_vb("2.5")


def outputs_to(psbt: Psbt, script: Script) -> list[int]:
    outputs = psbt.unsigned_transaction.outputs
    return [output.value for output in outputs if output.script_pubkey == script]


def of_kind(stage: Stage, kind: str, *values: int) -> None:
    for value in values:
        stage.fund(value, kind)


def test_core_pays_from_every_kind_of_coin(stage: Stage) -> None:
    payee = stage.stranger()
    paid = set()
    for number, (kind, script_type) in enumerate(KINDS.items()):
        coin = stage.fund(100_000 + number, kind)
        others = [each.outpoint for each in stage.wallet.coins() if each.outpoint != coin]
        original = stage.wallet.pay(payee, Sats(40_000), fee_rate=RATE, unspendable=others)

        assert original.unsigned_transaction.contested() == (coin,)
        assert original.utxo(0).script_pubkey.type is script_type
        assert outputs_to(original, payee) == [40_000]
        assert isinstance(stage.chain.acceptance(original.extract()), Accepted)
        change = [
            o.script_pubkey for o in original.unsigned_transaction.outputs if o.value != 40_000
        ]
        assert stage.wallet.owned(change) == set(change)
        assert all(txin.sequence == 0xFFFFFFFD for txin in original.unsigned_transaction.inputs)
        assert FeeRate.of(original.fee, original.extract().weight) >= FeeRate(RATE.sat_per_kwu - 25)
        assert not any(each.bip32_derivations or each.redeem_script for each in original.inputs)
        assert not any(each.map.entries for each in original.outputs)
        assert (original.inputs[0].non_witness_utxo is not None) == (kind == "legacy")
        paid.add(script_type)
    assert stage.locked() == set()
    assert paid == set(KINDS.values())


def test_core_pays_from_mixed_coins_together(stage: Stage) -> None:
    for kind in KINDS:
        stage.fund(50_000, kind)
    original = stage.wallet.pay(stage.stranger(), Sats(180_000), fee_rate=RATE)
    assert {utxo.script_pubkey.type for utxo in original.utxos()} == set(KINDS.values())
    assert isinstance(stage.chain.acceptance(original.extract()), Accepted)


def test_core_offers_coins_that_can_be_weighed_and_signed(stage: Stage) -> None:
    funded = {stage.fund(30_000 + i, kind): kind for i, kind in enumerate(KINDS)}
    stage.fund(70_000, blocks=0)  # unconfirmed
    coins = stage.wallet.coins()
    assert {coin.outpoint for coin in coins} == set(funded)
    inputs = [PsbtInput() for _ in coins]
    transaction = Transaction(
        version=2,
        inputs=tuple(TxIn(coin.outpoint) for coin in coins),
        outputs=(TxOut(Sats(100_000), stage.stranger()),),
        lock_time=0,
    )
    psbt = Psbt.from_unsigned(transaction)
    for index, _ in enumerate(inputs):
        psbt = psbt.with_input(index, coins[index].psbt_input)
    signed = sign_all(stage.wallet, psbt)
    assert signed.is_finalized
    assert isinstance(stage.chain.acceptance(signed.extract()), Accepted)


def test_core_tells_a_whole_transaction_where_a_key_may_be_a_script(stage: Stage) -> None:
    descriptor, _ = descriptors_of_a_key_like_a_script("node")
    with_checksum = stage.rpc("getdescriptorinfo", descriptor)["checksum"]
    told = {"desc": f"{descriptor}#{with_checksum}", "timestamp": "now", "range": [0, 1]}
    stage.rpc("importdescriptors", [told])
    public = stage.rpc("getdescriptorinfo", descriptor)["descriptor"]
    odd = str(stage.rpc("deriveaddresses", public, [0, 0])[0])
    stage.do(lambda node: str(node.fund(odd, 50_000)))
    stage.fund(40_000)
    coins = {int(coin.utxo.value): coin for coin in stage.wallet.coins()}
    assert coins[50_000].has_only_previous
    assert not coins[40_000].has_only_previous
    original = stage.wallet.pay(stage.stranger(), Sats(80_000), fee_rate=RATE)
    assert not any(each.non_witness_utxo for each in original.inputs)
    assert isinstance(stage.chain.acceptance(original.extract()), Accepted)


def foreign_coin(stage: Stage) -> tuple[OutPoint, Transaction]:
    """A coin of another wallet of the node."""
    told = stage.do(
        lambda node: [
            str(node.fund(node.rpc("getnewaddress", wallet="miner"), 123_456)),
        ]
    )
    outpoint = OutPoint.parse(told[0])
    raw = stage.do(
        lambda node: node.rpc("gettransaction", str(outpoint.txid), wallet="miner")["hex"]
    )
    return outpoint, Transaction.parse(bytes.fromhex(raw))


def shared(stage: Stage, ours: OutPoint) -> Psbt:
    """A PSBT of one input of ours and one of somebody else, which alone tells what it spends."""
    theirs, previous = foreign_coin(stage)
    transaction = Transaction(
        version=2,
        inputs=(TxIn(theirs), TxIn(ours)),
        outputs=(TxOut(Sats(150_000), stage.stranger()),),
        lock_time=0,
    )
    psbt = Psbt.from_unsigned(transaction)
    return psbt.with_input(
        0, PsbtInput().with_witness_utxo(previous.outputs[theirs.vout]).with_sighash_type(1)
    )


@pytest.mark.parametrize("kind", ["bech32"])
def test_core_signs_its_own_inputs_alone(stage: Stage, kind: str) -> None:
    psbt = shared(stage, stage.fund(90_000, kind))
    signed = sign_all(stage.wallet, psbt)
    assert signed.inputs[0] == psbt.inputs[0]
    assert signed.inputs[1].is_finalized
    assert signed.outputs == psbt.outputs
    assert signed.global_map == psbt.global_map


def test_core_signs_no_coin_of_its_own_that_somebody_else_named(stage: Stage) -> None:
    named, asked = stage.fund(90_000, "bech32"), stage.fund(80_000, "bech32")
    transaction = Transaction(
        version=2,
        inputs=(TxIn(named), TxIn(asked)),
        outputs=(TxOut(Sats(150_000), stage.stranger()),),
        lock_time=0,
    )
    psbt = Psbt.from_unsigned(transaction)
    signed = stage.wallet.sign(psbt, inputs=[asked])
    assert signed.inputs[0] == psbt.inputs[0]
    assert signed.inputs[1].is_finalized
    theirs, _ = foreign_coin(stage)
    assert stage.wallet.owned_coins([named, asked, theirs]) == {named, asked}


def test_core_signs_taproot_inputs_where_it_is_told_what_the_others_spend(stage: Stage) -> None:
    psbt = shared(stage, stage.fund(90_000, "bech32m"))
    signed = sign_all(stage.wallet, psbt)
    assert signed.inputs[0] == psbt.inputs[0]
    assert signed.inputs[1].is_finalized
    with pytest.raises(WalletError, match="lacks the UTXO of an input"):
        sign_all(stage.wallet, psbt.with_input(0, PsbtInput()))


def test_core_never_signs_for_less_than_the_whole_transaction(stage: Stage) -> None:
    psbt = shared(stage, stage.fund(90_000))
    for sighash in (2, 3, 0x81, 0x83):
        wanting = psbt.with_input(1, PsbtInput().with_sighash_type(sighash))
        with pytest.raises(WalletError, match="use sighash ALL or DEFAULT"):
            sign_all(stage.wallet, wanting)


def test_core_signs_nothing_that_is_not_its_own(stage: Stage) -> None:
    psbt = shared(stage, stage.fund(90_000))
    transaction = psbt.unsigned_transaction
    theirs = replace(transaction, inputs=transaction.inputs[:1])
    with pytest.raises(WalletError, match="None of the PSBT's inputs is this wallet's"):
        sign_all(stage.wallet, Psbt.from_unsigned(theirs).with_input(0, psbt.inputs[0]))


def test_core_refuses_to_sign_for_a_coin_that_it_does_not_know(stage: Stage) -> None:
    script = stage.wallet.new_address().script_pubkey
    psbt = shared(stage, stage.fund(90_000))
    invented = PsbtInput().with_witness_utxo(TxOut(Sats(1_000), script))
    with pytest.raises(WalletError, match="spends a coin of this wallet that is not known yet"):
        sign_all(stage.wallet, psbt.with_input(0, invented))


def test_core_takes_a_coin_back_from_what_spends_it(stage: Stage) -> None:
    coin = stage.fund(200_000)
    original = stage.wallet.pay(stage.stranger(), Sats(50_000), fee_rate=RATE)
    assert isinstance(stage.chain.broadcast(original.extract()), Accepted)
    revocation = stage.wallet.revoke(coin, fee_rate=FeeRate.BROADCAST_MIN)
    [back] = revocation.outputs
    assert revocation.contested() == (coin,)
    assert stage.wallet.owned([back.script_pubkey])
    assert isinstance(stage.chain.broadcast(revocation), Accepted)
    spend = stage.chain.spend_of(coin)
    assert spend is not None
    assert spend.transaction == revocation
    with pytest.raises(WalletError, match="does not know this coin"):
        stage.wallet.revoke(foreign_coin(stage)[0], fee_rate=RATE)
    with pytest.raises(InsufficientFunds, match="worth less than the fee"):
        stage.wallet.revoke(coin, fee_rate=FeeRate.from_sat_per_vb(5_000))


def test_core_says_why_it_cannot_pay(stage: Stage) -> None:
    payee = stage.stranger()
    with pytest.raises(InsufficientFunds, match="0 sats confirmed and free"):
        stage.wallet.pay(payee, Sats(10_000), fee_rate=RATE)
    coin = stage.fund(20_000)
    stage.fund(500_000, blocks=0)  # which will not do, as it is not confirmed
    for amount in (20_000, 19_999):
        with pytest.raises(InsufficientFunds, match="20,000 sats confirmed and free"):
            stage.wallet.pay(payee, Sats(amount), fee_rate=RATE)
    with pytest.raises(InsufficientFunds):
        stage.wallet.pay(payee, Sats(10_000), fee_rate=RATE, unspendable=[coin])
    with pytest.raises(WalletError, match="so small that nodes refuse it"):
        stage.wallet.pay(payee, Sats(100), fee_rate=RATE)
    with pytest.raises(WalletError, match="far too high"):
        stage.wallet.pay(payee, Sats(10_000), fee_rate=FeeRate(2**33))
    assert stage.locked() == set()


def test_core_tells_what_it_holds(stage: Stage) -> None:
    stage.wallet.sync()
    coin = stage.fund(20_000)
    stage.fund(30_000)
    stage.fund(500_000, blocks=0)
    balance = stage.wallet.balance()
    assert (balance.confirmed, balance.unconfirmed) == (50_000, 500_000)
    stage.wallet.hold(lambda: [coin])
    assert stage.wallet.balance() == balance
    assert coin in {each.outpoint for each in stage.wallet.coins()}


def test_core_gives_each_address_once_and_knows_its_own(stage: Stage) -> None:
    addresses = [stage.wallet.new_address() for _ in range(3)]
    scripts = [address.script_pubkey for address in addresses]
    assert len(set(scripts)) == 3
    odd = Script(b"\x6a\x01\x00")
    assert stage.wallet.owned([*scripts, stage.stranger(), odd]) == set(scripts)
    assert repr(stage.wallet) == "<CoreWallet on regtest>"


def test_core_locked_by_its_passphrase_says_how_to_unlock_it(stage: Stage) -> None:
    stage.fund(100_000)
    stage.rpc("encryptwallet", "a passphrase")
    with pytest.raises(WalletError, match=r"`core_wallet` names is locked.*walletpassphrase"):
        stage.wallet.pay(stage.stranger(), Sats(10_000), fee_rate=RATE)
    stage.rpc("walletpassphrase", "a passphrase", 60)
    assert stage.wallet.pay(stage.stranger(), Sats(10_000), fee_rate=RATE).is_finalized
