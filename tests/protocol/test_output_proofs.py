import pytest
from tests.protocol.builders import UNKNOWN, coin, sign
from tests.protocol.signer import ALL_KINDS, KEY, NESTED, P2PKH, P2SH, P2TR, P2WPKH, P2WSH

from dovetail.bitcoin.hashes import hash160, sha256
from dovetail.bitcoin.psbt import PsbtInput
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import TxOut
from dovetail.bitcoin.units import Sats
from dovetail.protocol.disclosure import for_counterparty
from dovetail.protocol.output_proofs import proves_output, signature_will_prove

OP_TRUE = b"\x51"


def final(script_sig=b"", *witness):
    return PsbtInput().with_final(script_sig, witness)


@pytest.mark.parametrize("script", ALL_KINDS)
def test_a_witness_that_we_can_verify_proves_its_output(script):
    expected = script not in (P2PKH, P2SH)
    assert proves_output(final(sign(script)[0], *sign(script)[1]), coin(1, script).utxo) is expected


def test_a_script_that_only_a_node_can_run_proves_nothing():
    program = Script(b"\x00\x20" + sha256(OP_TRUE))
    nested = Script(b"\xa9\x14" + hash160(program) + b"\x87")
    for script, script_sig in ((program, b""), (nested, b"\x22" + program), (UNKNOWN, b"")):
        utxo = TxOut(Sats(1), script)
        assert not proves_output(final(script_sig, b"\x01", OP_TRUE), utxo)
    assert not proves_output(final(b"", b"\x44" * 64, OP_TRUE, KEY), coin(1, P2TR).utxo)
    assert not proves_output(final(b"\x51"), coin(1, P2WPKH).utxo)


def test_what_a_witness_does_not_prove_keeps_its_previous_transaction():
    program = Script(b"\x00\x20" + sha256(OP_TRUE))
    source = coin(script=P2PKH).psbt_input.non_witness_utxo
    assert source is not None
    told = final(b"", b"\x01", OP_TRUE).with_non_witness_utxo(source)
    assert for_counterparty(told, TxOut(Sats(1), program)).non_witness_utxo == source
    told = final(b"", *sign(P2WSH)[1]).with_non_witness_utxo(source)
    assert for_counterparty(told, coin(1, P2WSH).utxo).non_witness_utxo is None


def test_a_nested_key_is_named_by_the_script_sig():
    assert proves_output(final(*[sign(NESTED)[0], *sign(NESTED)[1]]), coin(1, NESTED).utxo)


@pytest.mark.parametrize("script", ALL_KINDS)
def test_a_wallet_knows_before_it_signs_what_its_signature_will_prove(script):
    wallet_coin = coin(1, script)
    known = wallet_coin.psbt_input
    expected = script not in (P2PKH, P2SH)
    assert signature_will_prove(known, wallet_coin.utxo, KEY) is expected
    if script != P2TR:
        unknown = signature_will_prove(PsbtInput(), wallet_coin.utxo, None)
        assert not unknown


def test_no_signature_proves_what_a_key_like_a_script_spends():
    odd = b"\x02\xaa\xbb\x6d\x1c" + bytes(28)
    assert not signature_will_prove(PsbtInput(), coin(1, P2WPKH).utxo, odd)


def test_no_signature_proves_what_a_script_in_a_script_spends():
    program = Script(b"\x00\x20" + sha256(OP_TRUE))
    known = PsbtInput().with_redeem_script(program)
    nested = TxOut(Sats(1), Script(b"\xa9\x14" + hash160(program) + b"\x87"))
    assert not signature_will_prove(known.with_witness_script(OP_TRUE), nested, None)
    multisig = coin(1, P2WSH).psbt_input.witness_script
    assert multisig is not None
    assert signature_will_prove(known.with_witness_script(multisig), nested, None)
