"""Predicted weights against those of transactions with signatures of that size (BIP 141)."""

from dataclasses import replace

import pytest
from tests.bitcoin.psbt_builders import (
    KEY,
    KEYS,
    MULTISIG,
    P2PKH,
    P2TR,
    P2WPKH,
    SCHNORR,
    p2sh,
    p2wsh,
    paying_from,
    transaction,
)

from dovetail.bitcoin.psbt import PsbtInput
from dovetail.bitcoin.script import Script, ScriptType
from dovetail.bitcoin.transaction import TxOut
from dovetail.bitcoin.units import Sats, Weight
from dovetail.bitcoin.weights import input_weight, output_weight, predicted_input_weight
from dovetail.errors import InvalidPsbt

LARGEST = b"\x30\x45" + b"\x22" * 69 + b"\x01"
P2SH_P2WSH = p2wsh(MULTISIG)
ONE = PsbtInput().with_partial_signature(KEY, LARGEST)
TWO = PsbtInput().with_partial_signature(KEYS[0], LARGEST).with_partial_signature(KEYS[1], LARGEST)
SPENT = [
    pytest.param(P2PKH, ONE, 592, id="P2PKH"),
    pytest.param(P2WPKH, ONE, 272, id="P2WPKH"),
    pytest.param(p2sh(P2WPKH), ONE.with_redeem_script(P2WPKH), 364, id="P2SH-P2WPKH"),
    pytest.param(P2TR, PsbtInput().with_tap_key_signature(SCHNORR), 230, id="P2TR"),
    pytest.param(
        P2TR,
        PsbtInput().with_sighash_type(1).with_tap_key_signature(SCHNORR + b"\x01"),
        231,
        id="P2TR, sighash ALL",
    ),
    pytest.param(MULTISIG, TWO, 752, id="bare multisig"),
    pytest.param(p2sh(MULTISIG), TWO.with_redeem_script(MULTISIG), 1188, id="P2SH multisig"),
    pytest.param(p2wsh(MULTISIG), TWO.with_witness_script(MULTISIG), 418, id="P2WSH multisig"),
    pytest.param(
        p2sh(P2SH_P2WSH),
        TWO.with_redeem_script(P2SH_P2WSH).with_witness_script(MULTISIG),
        558,
        id="P2SH-P2WSH multisig",
    ),
]
FRAME = 4 * (4 + 1 + 1 + 4)


@pytest.mark.parametrize(("script_pubkey", "psbt_input", "weight"), SPENT)
def test_an_input_weighs_what_was_predicted(script_pubkey, psbt_input, weight):
    psbt = paying_from(script_pubkey, psbt_input)
    predicted = input_weight(psbt.inputs[0], psbt.utxo(0))
    assert predicted == Weight(weight)
    final = psbt.finalize()
    assert input_weight(final.inputs[0], final.utxo(0)) == predicted
    signed = final.extract()
    marker_and_flag = 2 if signed.inputs[0].witness else 0
    outputs = output_weight(signed.outputs[0])
    assert signed.weight == FRAME + marker_and_flag + predicted + outputs


@pytest.mark.parametrize(
    ("script_type", "weight"),
    [
        (ScriptType.P2PKH, 592),
        (ScriptType.P2SH, 364),
        (ScriptType.P2WPKH, 272),
        (ScriptType.P2TR, 230),
    ],
)
def test_single_key_inputs_are_predicted_from_their_type(script_type, weight):
    assert predicted_input_weight(script_type) == Weight(weight)


def test_a_finalized_input_weighs_what_it_is():
    psbt = paying_from(P2WPKH, PsbtInput().with_final(b"\x51", (b"abc",)))
    assert input_weight(psbt.inputs[0], psbt.utxo(0)) == Weight(4 * (40 + 2) + 1 + 4)


@pytest.mark.parametrize("script_type", [ScriptType.P2WSH, ScriptType.MULTISIG, ScriptType.UNKNOWN])
def test_other_types_cannot_be_predicted_without_their_scripts(script_type):
    with pytest.raises(InvalidPsbt, match="depends on its scripts"):
        predicted_input_weight(script_type)


@pytest.mark.parametrize("script_pubkey", [Script(b"\x51"), p2sh(P2WPKH), p2wsh(MULTISIG)])
def test_an_input_whose_scripts_are_not_known_has_no_weight(script_pubkey):
    with pytest.raises(InvalidPsbt):
        input_weight(PsbtInput(), TxOut(Sats(1), script_pubkey))


def test_an_output_weighs_four_times_its_size():
    template = transaction()
    more = TxOut(Sats(1), Script(bytes(300)))
    larger = replace(template, outputs=(*template.outputs, more))
    assert output_weight(more) == larger.weight - template.weight == Weight(4 * (8 + 3 + 300))
