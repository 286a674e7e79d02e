"""The published test vectors of BIP 174 and BIP 371."""

import json
from pathlib import Path

import pytest

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, TxIn, TxOut
from dovetail.bitcoin.units import Sats
from dovetail.errors import InvalidPsbt

VECTORS = Path(__file__).parents[1] / "vectors"
BIP174 = json.loads((VECTORS / "bip174.json").read_text())
BIP371 = json.loads((VECTORS / "bip371.json").read_text())
ROLES = {role: bytes.fromhex(data) for role, data in BIP174["roles"].items()}


def cases(kind):
    return [
        pytest.param(bytes.fromhex(case["psbt"]), id=case["case"])
        for vectors in (BIP174, BIP371)
        for case in vectors.get(kind, ())
    ]


@pytest.mark.parametrize("data", cases("invalid"))
def test_an_invalid_psbt_of_the_bips_is_refused(data):
    with pytest.raises(InvalidPsbt):
        Psbt.parse(data)


@pytest.mark.parametrize("data", cases("valid"))
def test_a_valid_psbt_of_the_bips_comes_back_byte_for_byte(data):
    psbt = Psbt.parse(data)
    assert psbt.serialize() == data
    assert Psbt.from_base64(psbt.to_base64()) == psbt


@pytest.mark.parametrize("data", cases("refused_by_signers"))
def test_what_only_a_signer_must_refuse_is_well_formed(data):
    """BIP 174 lists these under "Fails Signer checks": a parser takes them."""
    assert Psbt.parse(data).serialize() == data


@pytest.mark.parametrize("data", cases("refused_by_signers")[1:])
def test_scripts_that_do_not_match_their_hashes_are_never_finalized(data):
    with pytest.raises(InvalidPsbt):
        Psbt.parse(data).finalize()


def test_the_creator_makes_the_psbt_of_the_bip():
    spent = (
        "75ddabb27b8845f5247975c8a5ba7c6f336c4570708ebe230caf6db5217ae858:0",
        "1dea7cd05979072a3578cab271c02244ea8a090bbb46aa680a65ecd027048d83:1",
    )
    paid = (
        ("1.49990000", "0014d85c2b71d0060b09c9886aeb815e50991dda124d"),
        ("1.00000000", "001400aea9a2e5f0f876a588df5546e8742d1d87008f"),
    )
    transaction = Transaction(
        version=2,
        inputs=tuple(TxIn(OutPoint.parse(outpoint)) for outpoint in spent),
        outputs=tuple(
            TxOut(Sats.from_btc(amount), Script(bytes.fromhex(script))) for amount, script in paid
        ),
        lock_time=0,
    )
    assert Psbt.from_unsigned(transaction).serialize() == ROLES["creator"]


def test_an_updater_adds_the_sighash_type_as_in_the_bip():
    psbt = Psbt.parse(ROLES["updater"])
    for index, psbt_input in enumerate(psbt.inputs):
        psbt = psbt.with_input(index, psbt_input.with_sighash_type(1))
    assert psbt.serialize() == ROLES["updater with SIGHASH_ALL"]


def test_the_combiner_unites_what_both_signers_of_the_bip_added():
    first, second = Psbt.parse(ROLES["first signer"]), Psbt.parse(ROLES["second signer"])
    expected = Psbt.parse(ROLES["combiner"])
    combined = first.combine(second)
    assert combined == second.combine(first)
    assert combined == expected.combine(expected)  # the BIP orders keys in another way


def test_the_finalizer_makes_the_psbt_of_the_bip():
    assert Psbt.parse(ROLES["combiner"]).finalize().serialize() == ROLES["finalizer"]


def test_the_extractor_makes_the_transaction_of_the_bip():
    assert Psbt.parse(ROLES["finalizer"]).extract().serialize() == ROLES["extractor"]


def test_the_combiner_orders_unknown_keys_as_in_the_bip():
    first, second = Psbt.parse(ROLES["unknown fields A"]), Psbt.parse(ROLES["unknown fields B"])
    assert first.combine(second).serialize() == ROLES["combiner of unknown fields"]


def test_taproot_fields_of_the_bip_are_read():
    psbt = Psbt.parse(bytes.fromhex(BIP371["valid"][1]["psbt"]))
    psbt_input = psbt.inputs[0]
    internal_key = psbt_input.tap_internal_key
    assert internal_key is not None
    origin = psbt_input.tap_bip32_derivations[internal_key]
    assert origin.leaf_hashes == ()
    assert origin.origin.path == (0x80000056, 0x80000001, 0x80000000, 1, 0)
    assert psbt_input.tap_merkle_root is None
    assert psbt.finalize().inputs[0].final_script_witness == (psbt_input.tap_key_signature,)
    output = Psbt.parse(bytes.fromhex(BIP371["valid"][2]["psbt"])).outputs[0]
    assert output.tap_internal_key in output.tap_bip32_derivations
