import pytest
from tests.protocol.builders import KEY, ORIGIN, P2PKH, P2WPKH, ecdsa, funding, original, sign

from dovetail.bitcoin.psbt import InputField, PsbtInput
from dovetail.protocol.disclosure import (
    EMPTY_INPUT,
    EMPTY_OUTPUT,
    bare_psbt,
    for_counterparty,
    has_signatures,
    utxo_only,
    without_signatures,
)

SCHNORR = b"\x44" * 64


def everything(script, previous):
    """An input that a careless wallet has filled with all it knows."""
    known = PsbtInput().with_non_witness_utxo(previous).with_witness_utxo(previous.outputs[0])
    known = known.with_partial_signature(KEY, ecdsa()).with_sighash_type(1)
    entries = known.map.with_value(InputField.BIP32_DERIVATION, ORIGIN, KEY)
    entries = entries.with_value(InputField.PROPRIETARY, b"secret", b"\x01x\x00")
    return PsbtInput(entries.with_value(0xE0, b"unknown")).with_final(*sign(script))


def fields(psbt_input):
    return {InputField(key[0]) for key, _ in psbt_input.map.entries}


def test_a_counterparty_gets_the_output_of_a_witness_input():
    previous = funding(1000, P2WPKH, 1)
    sent = for_counterparty(everything(P2WPKH, previous), previous.outputs[0])
    assert fields(sent) == {InputField.WITNESS_UTXO, InputField.FINAL_SCRIPTWITNESS}
    assert sent.witness_utxo == previous.outputs[0]


def test_a_counterparty_gets_the_previous_transaction_of_a_legacy_input():
    previous = funding(1000, P2PKH, 1)
    sent = for_counterparty(everything(P2PKH, previous), previous.outputs[0])
    assert fields(sent) == {InputField.NON_WITNESS_UTXO, InputField.FINAL_SCRIPTSIG}
    assert sent.non_witness_utxo == previous


def test_a_legacy_input_without_previous_transaction_still_tells_its_output():
    previous = funding(1000, P2PKH, 1)
    sent = for_counterparty(PsbtInput().with_final(*sign(P2PKH)), previous.outputs[0])
    assert fields(sent) == {InputField.WITNESS_UTXO, InputField.FINAL_SCRIPTSIG}


def test_what_an_input_spends_can_be_kept_alone():
    kept = utxo_only(everything(P2WPKH, funding(1000, P2WPKH, 1)))
    assert fields(kept) == {InputField.NON_WITNESS_UTXO, InputField.WITNESS_UTXO}


def test_signatures_can_be_dropped_and_the_rest_kept():
    full = everything(P2WPKH, funding(1000, P2WPKH, 1)).with_tap_key_signature(SCHNORR)
    unsigned = without_signatures(full)
    assert not unsigned.is_finalized
    assert not has_signatures(unsigned)
    assert unsigned.bip32_derivations == full.bip32_derivations
    assert unsigned.map.get(0xE0) == b"unknown"


@pytest.mark.parametrize(
    "signed",
    [
        PsbtInput().with_partial_signature(KEY, ecdsa()),
        PsbtInput().with_tap_key_signature(SCHNORR),
        PsbtInput(EMPTY_INPUT.map.with_value(InputField.TAP_SCRIPT_SIG, SCHNORR, bytes(64))),
    ],
)
def test_every_kind_of_signature_is_noticed(signed):
    assert has_signatures(signed)
    assert not has_signatures(EMPTY_INPUT)


def test_a_bare_psbt_has_nothing_but_the_transaction_and_the_given_maps():
    psbt = original()
    bare = bare_psbt(psbt.unsigned_transaction, (EMPTY_INPUT,))
    assert bare.unsigned_transaction == psbt.unsigned_transaction
    assert len(bare.global_map.map.entries) == 1
    assert bare.outputs == (EMPTY_OUTPUT, EMPTY_OUTPUT)
    assert bare_psbt(psbt.unsigned_transaction, psbt.inputs, psbt.outputs) == psbt
