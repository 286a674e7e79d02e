from dataclasses import replace

import pytest
from tests.protocol.builders import (
    ALL_KINDS,
    CHANGE,
    KEY,
    NESTED,
    ORIGIN,
    P2PKH,
    P2TR,
    P2WPKH,
    PAYEE,
    ecdsa,
    funding,
    input_pairs,
    original,
    with_inputs,
)

from dovetail.bitcoin.psbt import (
    GlobalField,
    InputField,
    OutputField,
    Psbt,
    PsbtGlobal,
    PsbtInput,
    PsbtOutput,
)
from dovetail.bitcoin.units import FeeRate
from dovetail.errors import InvalidPsbt, OriginalRejected, UsageError
from dovetail.protocol.original import (
    check_original,
    fallback_of,
    fee_rate,
    prepare_original,
    receiver_outputs,
)


def rejection(psbt):
    with pytest.raises(OriginalRejected) as caught:
        check_original(psbt)
    return str(caught.value)


@pytest.mark.parametrize("script", ALL_KINDS)
def test_a_signed_payment_is_a_fallback(script):
    psbt = original((100_000, script))
    assert check_original(psbt) == psbt.extract()


def test_an_original_that_nodes_do_not_relay_is_refused_for_its_weight():
    # 100,000 virtual bytes are standard (Bitcoin Core); 124 units are an output of 31 bytes.
    one = ((50_000, PAYEE),)
    fixed = original(outputs=one).extract().weight + 8  # two bytes more count the outputs
    most = 1 + (400_000 - fixed) // 124
    heaviest = original((500_000_000, P2WPKH), outputs=one * most)
    assert 400_000 - 124 < heaviest.extract().weight <= 400_000
    assert check_original(heaviest) == heaviest.extract()
    heavier = original((500_000_000, P2WPKH), outputs=one * (most + 1))
    assert "too heavy for nodes to relay" in rejection(heavier)
    assert fallback_of(heavier) == heavier.extract()  # as a log of earlier days may hold one


def test_inputs_of_different_types_are_fine():
    psbt = original((60_000, P2WPKH), (40_000, P2TR), (5_000, P2PKH))
    assert check_original(psbt) == psbt.extract()


def test_an_unsigned_input_is_refused():
    psbt = original((60_000, P2WPKH), (40_000, P2WPKH))
    unsigned = psbt.inputs[1].cleared_of(InputField.FINAL_SCRIPTWITNESS)
    assert "not final" in rejection(psbt.with_input(1, unsigned))


def test_an_original_without_inputs_is_refused():
    empty = replace(original().unsigned_transaction, inputs=())
    assert "not final" in rejection(Psbt.from_unsigned(empty))


def test_missing_utxos_are_refused():
    psbt = original()
    blind = psbt.inputs[0].cleared_of(InputField.WITNESS_UTXO)
    assert "what each input spends" in rejection(psbt.with_input(0, blind))


def test_outputs_beyond_the_inputs_are_refused():
    assert "spends more" in rejection(original((90_000, P2WPKH)))


def test_an_original_without_a_fee_is_refused():
    assert "no fee" in rejection(original(outputs=((100_000, PAYEE),)))


def test_mixed_sequences_are_refused_since_no_proposal_could_mend_them():
    psbt = original((60_000, P2WPKH), (40_000, P2WPKH))
    (first, first_map), second = input_pairs(psbt)
    psbt = with_inputs(psbt, (replace(first, sequence=0), first_map), second)
    assert "different sequences" in rejection(psbt)


@pytest.mark.parametrize("sighash", [0x02, 0x03, 0x81])
def test_a_signature_that_others_could_change_is_refused_even_undeclared(sighash):
    assert "does not cover" in rejection(original(signature=ecdsa(72, sighash)))


def test_a_declared_sighash_type_other_than_all_is_refused():
    psbt = original()
    assert "does not cover" in rejection(psbt.with_input(0, psbt.inputs[0].with_sighash_type(3)))


@pytest.mark.parametrize("sighash", [0, 1])
def test_sighash_all_and_default_may_be_declared(sighash):
    psbt = original()
    check_original(psbt.with_input(0, psbt.inputs[0].with_sighash_type(sighash)))


def test_no_message_tells_what_was_in_the_psbt():
    message = rejection(original((90_000, P2WPKH)))
    assert message.count(".") == 1
    assert PAYEE.hex() not in message


def test_the_fee_rate_is_that_of_the_signed_transaction():
    psbt = original()
    assert fee_rate(psbt) == FeeRate.of(psbt.fee, psbt.extract().weight)


def test_the_receivers_outputs_are_found_by_their_scripts():
    transaction = original(outputs=((1, PAYEE), (2, CHANGE), (3, PAYEE))).unsigned_transaction
    assert receiver_outputs(transaction, {PAYEE}) == (0, 2)
    assert receiver_outputs(transaction, ()) == ()


def private(psbt):
    """The PSBT as a wallet has it: key paths, extended keys, whole previous transactions."""
    xpub = b"\x04\x88\xb2\x1e" + bytes(41) + KEY
    entries = psbt.inputs[0].map.with_value(InputField.BIP32_DERIVATION, ORIGIN, KEY)
    known = PsbtInput(entries).with_non_witness_utxo(funding(100_000, P2WPKH, 1))
    change = PsbtOutput(psbt.outputs[1].map.with_value(OutputField.BIP32_DERIVATION, ORIGIN, KEY))
    globals_ = PsbtGlobal(psbt.global_map.map.with_value(GlobalField.XPUB, bytes(4), xpub))
    return replace(psbt, global_map=globals_).with_input(0, known).with_output(1, change)


def test_what_the_receiver_does_not_need_is_not_sent():
    psbt = original()
    assert prepare_original(private(psbt), payee=PAYEE) == psbt


def test_a_signed_psbt_is_finalized_before_it_is_sent():
    psbt = original()
    signed = psbt.inputs[0].cleared_of(InputField.FINAL_SCRIPTWITNESS)
    signed = signed.with_partial_signature(KEY, ecdsa())
    assert prepare_original(psbt.with_input(0, signed), payee=PAYEE) == psbt


def test_a_legacy_input_keeps_the_previous_transaction_it_needs():
    psbt = original((100_000, P2PKH))
    assert prepare_original(psbt, payee=PAYEE).inputs[0].non_witness_utxo is not None


def test_a_nested_input_is_sent_without_its_redeem_script_field():
    psbt = original((100_000, NESTED))
    known = psbt.with_input(0, psbt.inputs[0].with_redeem_script(P2WPKH))
    assert prepare_original(known, payee=PAYEE) == psbt


def test_an_unsigned_psbt_cannot_be_sent():
    psbt = original()
    unsigned = psbt.with_input(0, psbt.inputs[0].cleared_of(InputField.FINAL_SCRIPTWITNESS))
    with pytest.raises(InvalidPsbt):
        prepare_original(unsigned, payee=PAYEE)


@pytest.mark.parametrize(
    "outputs",
    [((98_000, CHANGE),), ((50_000, PAYEE), (40_000, PAYEE))],
)
def test_the_receiver_must_be_paid_exactly_once(outputs):
    with pytest.raises(UsageError, match="exactly once"):
        prepare_original(original(outputs=outputs), payee=PAYEE)


def test_what_a_receiver_would_refuse_is_not_sent():
    with pytest.raises(UsageError, match="does not cover"):
        prepare_original(original(signature=ecdsa(72, 0x82)), payee=PAYEE)
