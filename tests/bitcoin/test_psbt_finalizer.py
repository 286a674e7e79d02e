"""From signatures to final scripts, for each kind of script (BIP 174, Input Finalizer)."""

import pytest
from tests.bitcoin.psbt_builders import (
    KEY,
    KEYS,
    MULTISIG,
    P2PKH,
    P2TR,
    P2WPKH,
    SCHNORR,
    SIGNATURE,
    input_of,
    p2sh,
    p2wsh,
    paying_from,
)

from dovetail.bitcoin.psbt import PsbtInput
from dovetail.bitcoin.script import Script
from dovetail.errors import InvalidPsbt

SECOND = SIGNATURE[:-2] + b"\x33\x01"
PUSHED = b"\x47" + SIGNATURE
ONE_SIGNATURE = PsbtInput().with_partial_signature(KEY, SIGNATURE)
TWO_SIGNATURES = (
    PsbtInput().with_partial_signature(KEYS[2], SECOND).with_partial_signature(KEYS[0], SIGNATURE)
)
P2SH_P2WSH = p2wsh(MULTISIG)
SCRIPT_SIG = b"\x00" + PUSHED + b"\x47" + SECOND
NESTED_MULTISIG = TWO_SIGNATURES.with_redeem_script(P2SH_P2WSH).with_witness_script(MULTISIG)


@pytest.mark.parametrize(
    ("script_pubkey", "psbt_input", "script_sig", "witness"),
    [
        pytest.param(P2PKH, ONE_SIGNATURE, PUSHED + b"\x21" + KEY, None, id="P2PKH"),
        pytest.param(P2WPKH, ONE_SIGNATURE, None, (SIGNATURE, KEY), id="P2WPKH"),
        pytest.param(
            p2sh(P2WPKH),
            ONE_SIGNATURE.with_redeem_script(P2WPKH),
            b"\x16" + P2WPKH,
            (SIGNATURE, KEY),
            id="P2SH-P2WPKH",
        ),
        pytest.param(MULTISIG, TWO_SIGNATURES, SCRIPT_SIG, None, id="bare multisig"),
        pytest.param(
            p2sh(MULTISIG),
            TWO_SIGNATURES.with_redeem_script(MULTISIG),
            SCRIPT_SIG + b"\x4c\x69" + MULTISIG,
            None,
            id="P2SH multisig",
        ),
        pytest.param(
            p2wsh(MULTISIG),
            TWO_SIGNATURES.with_witness_script(MULTISIG),
            None,
            (b"", SIGNATURE, SECOND, MULTISIG),
            id="P2WSH multisig",
        ),
        pytest.param(
            p2sh(P2SH_P2WSH),
            NESTED_MULTISIG,
            b"\x22" + P2SH_P2WSH,
            (b"", SIGNATURE, SECOND, MULTISIG),
            id="P2SH-P2WSH multisig",
        ),
        pytest.param(
            p2wsh(P2PKH),
            ONE_SIGNATURE.with_witness_script(P2PKH),
            None,
            (SIGNATURE, KEY, P2PKH),
            id="P2WSH-P2PKH",
        ),
        pytest.param(
            P2TR, PsbtInput().with_tap_key_signature(SCHNORR), None, (SCHNORR,), id="P2TR"
        ),
    ],
)
def test_signatures_become_final_scripts(script_pubkey, psbt_input, script_sig, witness):
    psbt = paying_from(script_pubkey, psbt_input).finalize()
    final = psbt.inputs[0]
    assert final.final_script_sig == script_sig
    assert final.final_script_witness == witness
    assert final.partial_signatures == {}
    assert final.redeem_script is final.witness_script is final.tap_key_signature is None
    assert psbt.is_finalized
    assert psbt.extract().inputs[0].witness == (witness or ())


@pytest.mark.parametrize(
    ("script_pubkey", "psbt_input"),
    [
        pytest.param(P2PKH, PsbtInput(), id="P2PKH"),
        pytest.param(P2WPKH, TWO_SIGNATURES, id="P2WPKH, signed with other keys"),
        pytest.param(P2TR, ONE_SIGNATURE, id="P2TR"),
        pytest.param(MULTISIG, PsbtInput().with_partial_signature(KEYS[1], SIGNATURE), id="2 of 3"),
    ],
)
def test_missing_signatures_are_an_error(script_pubkey, psbt_input):
    with pytest.raises(InvalidPsbt, match="lacks signatures"):
        paying_from(script_pubkey, psbt_input).finalize()


def test_multisig_takes_no_more_signatures_than_it_wants():
    everyone = TWO_SIGNATURES.with_partial_signature(KEYS[1], SECOND)
    final = paying_from(p2wsh(MULTISIG), everyone.with_witness_script(MULTISIG)).finalize()
    assert final.inputs[0].final_script_witness == (b"", SIGNATURE, SECOND, MULTISIG)


@pytest.mark.parametrize(
    ("script_pubkey", "psbt_input", "what"),
    [
        (p2sh(P2WPKH), ONE_SIGNATURE, "redeem script"),
        (p2sh(P2WPKH), ONE_SIGNATURE.with_redeem_script(P2PKH), "redeem script"),
        (p2wsh(MULTISIG), TWO_SIGNATURES, "witness script"),
        (p2wsh(MULTISIG), TWO_SIGNATURES.with_witness_script(P2PKH), "witness script"),
        (p2sh(P2SH_P2WSH), TWO_SIGNATURES.with_redeem_script(P2SH_P2WSH), "witness script"),
    ],
)
def test_a_script_that_is_missing_or_does_not_match_its_hash_is_refused(
    script_pubkey, psbt_input, what
):
    with pytest.raises(InvalidPsbt, match=f"{what} is missing"):
        paying_from(script_pubkey, psbt_input).finalize()


@pytest.mark.parametrize(
    ("script_pubkey", "psbt_input"),
    [
        pytest.param(Script(b"\x51"), PsbtInput(), id="no standard script"),
        pytest.param(p2sh(P2TR), PsbtInput().with_redeem_script(P2TR), id="P2SH-P2TR"),
        pytest.param(p2wsh(P2TR), PsbtInput().with_witness_script(P2TR), id="P2WSH-P2TR"),
        pytest.param(p2wsh(P2WPKH), PsbtInput().with_witness_script(P2WPKH), id="P2WSH-P2WPKH"),
        pytest.param(
            p2sh(p2sh(P2PKH)), PsbtInput().with_redeem_script(p2sh(P2PKH)), id="P2SH-P2SH"
        ),
    ],
)
def test_other_scripts_are_refused(script_pubkey, psbt_input):
    with pytest.raises(InvalidPsbt, match="not supported"):
        paying_from(script_pubkey, psbt_input).finalize()


@pytest.mark.parametrize(
    ("script_pubkey", "psbt_input", "sighash_type"),
    [
        (P2WPKH, ONE_SIGNATURE, 1),
        (P2TR, PsbtInput().with_tap_key_signature(SCHNORR), 0),
        (P2TR, PsbtInput().with_tap_key_signature(SCHNORR + b"\x81"), 0x81),
    ],
)
def test_signatures_must_have_the_sighash_type_asked_for(script_pubkey, psbt_input, sighash_type):
    asked = psbt_input.with_sighash_type(sighash_type)
    assert paying_from(script_pubkey, asked).finalize().is_finalized
    other = psbt_input.with_sighash_type(3)
    with pytest.raises(InvalidPsbt, match="another sighash type"):
        paying_from(script_pubkey, other).finalize()


def test_utxos_and_foreign_fields_outlive_finalizing():
    foreign = input_of((b"\x55", b"unknown"), (b"\xfc\x01a\x00", b"proprietary"))
    signed = foreign.with_partial_signature(KEY, SIGNATURE)
    final = paying_from(P2WPKH, signed).finalize().inputs[0]
    assert [key[0] for key, _ in final.map.entries] == [0x00, 0x08, 0x55, 0xFC]


def test_a_finalized_input_is_left_as_it_is():
    psbt = paying_from(P2WPKH, ONE_SIGNATURE.with_final(b"", (b"done",)))
    assert psbt.finalize() == psbt


def test_long_redeem_scripts_are_pushed_with_a_long_length():
    script = Script(b"\x51" + (b"\x21" + KEY) * 8 + b"\x58\xae")
    psbt_input = ONE_SIGNATURE.with_redeem_script(script)
    final = paying_from(p2sh(script), psbt_input).finalize().inputs[0]
    assert final.final_script_sig == b"\x00" + PUSHED + b"\x4d\x13\x01" + script
