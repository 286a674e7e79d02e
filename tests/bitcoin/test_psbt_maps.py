import pytest
from tests.bitcoin.psbt_builders import (
    KEY,
    P2WPKH,
    SCHNORR,
    SIGNATURE,
    funding,
    input_of,
    transaction,
)

from dovetail.bitcoin.psbt import (
    InputField,
    KeyMap,
    KeyOrigin,
    OutputField,
    PsbtGlobal,
    PsbtInput,
    PsbtOutput,
    TapKeyOrigin,
)
from dovetail.bitcoin.transaction import TxOut
from dovetail.bitcoin.units import Sats
from dovetail.errors import InvalidPsbt

X_ONLY = b"\x33" * 32
TXOUT = TxOut(Sats(100_000), P2WPKH)
ORIGIN = KeyOrigin(b"\xde\xad\xbe\xef", (0,))
UNKNOWN = (b"\x55", b"unknown")
PROPRIETARY = (b"\xfc\x03abc\x00", b"proprietary")


def full_input() -> PsbtInput:
    kept = input_of(PROPRIETARY, UNKNOWN).with_non_witness_utxo(funding()).with_witness_utxo(TXOUT)
    return (
        kept.with_partial_signature(KEY, SIGNATURE)
        .with_sighash_type(1)
        .with_redeem_script(b"\x51")
        .with_witness_script(b"\x52")
        .with_tap_key_signature(SCHNORR)
    )


def test_what_is_set_is_read_back():
    psbt_input = full_input()
    assert psbt_input.non_witness_utxo == funding()
    assert psbt_input.witness_utxo == TXOUT
    assert psbt_input.partial_signatures == {KEY: SIGNATURE}
    assert psbt_input.sighash_type == 1
    assert psbt_input.redeem_script == b"\x51"
    assert psbt_input.witness_script == b"\x52"
    assert psbt_input.tap_key_signature == SCHNORR


def test_an_empty_input_knows_nothing():
    psbt_input = PsbtInput()
    assert psbt_input.non_witness_utxo is None
    assert psbt_input.witness_utxo is None
    assert psbt_input.partial_signatures == {}
    assert psbt_input.sighash_type is None
    assert psbt_input.redeem_script is None
    assert psbt_input.final_script_sig is None
    assert psbt_input.final_script_witness is None
    assert not psbt_input.is_finalized


def test_derivations_are_read():
    psbt_input = input_of(
        (b"\x06" + KEY, ORIGIN.serialize()),
        (b"\x16" + X_ONLY, TapKeyOrigin((X_ONLY,), ORIGIN).serialize()),
        (b"\x17", X_ONLY),
        (b"\x18", X_ONLY),
    )
    assert psbt_input.bip32_derivations == {KEY: ORIGIN}
    assert psbt_input.tap_bip32_derivations == {X_ONLY: TapKeyOrigin((X_ONLY,), ORIGIN)}
    assert psbt_input.tap_internal_key == psbt_input.tap_merkle_root == X_ONLY


@pytest.mark.parametrize(
    ("script_sig", "witness"),
    [(b"\x51", ()), (b"", (b"", SIGNATURE)), (b"\x51", (SIGNATURE, KEY))],
)
def test_final_scripts_are_set_unless_they_are_empty(script_sig, witness):
    psbt_input = full_input().with_final(b"\x52", (b"old",)).with_final(script_sig, witness)
    assert psbt_input.is_finalized
    assert psbt_input.final_script_sig == (script_sig or None)
    assert psbt_input.final_script_witness == (witness or None)


def test_empty_final_scripts_finalize_nothing():
    assert not PsbtInput().with_final().is_finalized
    assert not input_of((b"\x07", b""), (b"\x08", b"\x00")).is_finalized


def test_clearing_removes_whole_kinds_of_fields():
    psbt_input = full_input().cleared_of(InputField.NON_WITNESS_UTXO, InputField.PARTIAL_SIG)
    assert psbt_input.non_witness_utxo is None
    assert psbt_input.partial_signatures == {}
    assert psbt_input.witness_utxo == TXOUT


def test_without_signing_data_utxos_final_scripts_and_foreign_fields_are_left():
    psbt_input = full_input().with_final(b"\x51", (b"w",)).without_signing_data()
    keys = [key for key, _ in psbt_input.map.entries]
    assert keys == [b"\x00", b"\x01", b"\x07", b"\x08", PROPRIETARY[0], UNKNOWN[0]]


def test_an_input_cannot_be_made_malformed():
    with pytest.raises(InvalidPsbt):
        PsbtInput().with_partial_signature(KEY, b"no signature")
    with pytest.raises(InvalidPsbt):
        PsbtInput().with_tap_key_signature(b"no signature")


def test_an_output_reads_its_fields():
    tap_origin = TapKeyOrigin((), ORIGIN)
    output = PsbtOutput(
        KeyMap(
            (
                (b"\x00", b"\x51"),
                (b"\x01", b"\x52"),
                (b"\x02" + KEY, ORIGIN.serialize()),
                (b"\x05", X_ONLY),
                (b"\x07" + X_ONLY, tap_origin.serialize()),
            )
        )
    )
    assert output.redeem_script == b"\x51"
    assert output.witness_script == b"\x52"
    assert output.bip32_derivations == {KEY: ORIGIN}
    assert output.tap_internal_key == X_ONLY
    assert output.tap_bip32_derivations == {X_ONLY: tap_origin}
    assert output.cleared_of(OutputField.BIP32_DERIVATION).bip32_derivations == {}
    assert PsbtOutput().redeem_script is None


def test_the_global_map_wants_a_transaction_without_script_sigs():
    signed = funding()
    with pytest.raises(InvalidPsbt, match="has signatures"):
        PsbtGlobal(KeyMap().with_value(0, signed.serialize(witness=False)))
    with pytest.raises(InvalidPsbt, match="strip them"):
        PsbtGlobal.of(signed)
    with pytest.raises(InvalidPsbt, match="no unsigned transaction"):
        PsbtGlobal(KeyMap())


def test_no_map_shows_its_contents():
    assert repr(full_input()) == "<PsbtInput of 9 fields, not final>"
    assert repr(PsbtInput().with_final(b"\x51")) == "<PsbtInput of 1 fields, final>"
    assert repr(PsbtOutput()) == "<PsbtOutput of 0 fields>"
    assert repr(PsbtGlobal.of(transaction())) == "<PsbtGlobal of 1 fields>"


def test_maps_are_values():
    assert full_input() == full_input()
    assert len({full_input(), full_input(), PsbtInput()}) == 2
