from dataclasses import replace
from pathlib import Path

import pytest
from tests.protocol.builders import (
    ALL_KINDS,
    CHANGE,
    FORBIDDEN,
    FRESH,
    KEY,
    ORIGIN,
    P2PKH,
    P2WPKH,
    PAYEE,
    SUPPLIER,
    accept,
    broken_rule,
    build_draft,
    build_proposal,
    coin,
    ecdsa,
    input_pairs,
    original,
    out,
    outputs_of,
    params,
    propose,
    sign,
    sign_ours,
    with_inputs,
    with_outputs,
)

from dovetail.bitcoin.psbt import (
    GlobalField,
    InputField,
    OutputField,
    PsbtGlobal,
    PsbtInput,
    PsbtOutput,
)
from dovetail.crypto.entropy import SeededEntropy
from dovetail.errors import ProposalRejected
from dovetail.protocol.contribution import (
    begin_draft,
    commit_outputs,
    finalize,
)
from dovetail.protocol.proposal import RULES, check_proposal, complete, fee_contribution

SCHNORR = b"\x44" * 64


def test_an_honest_proposal_is_accepted(proposal):
    accepted = accept(proposal)
    assert accepted.unsigned_transaction == proposal.unsigned_transaction
    assert outputs_of(proposal) == (out(120_000, PAYEE), out(47_910, CHANGE))


@pytest.mark.parametrize("sender", ALL_KINDS)
@pytest.mark.parametrize("receiver", ALL_KINDS)
def test_all_pairs_of_input_types_make_a_payjoin(sender, receiver):
    psbt = original((100_000, sender), (30_000, sender))
    offer = fee_contribution(psbt, PAYEE)
    sent = replace(params(), fee_contribution=offer)
    accepted = accept(build_proposal(psbt, sent, coin(script=receiver)), psbt, sent)
    signed = accepted
    for index, psbt_input in enumerate(accepted.inputs):
        if not psbt_input.is_finalized:
            signed = signed.with_input(index, psbt_input.with_final(*sign(sender)))
    payjoin = complete(accepted, signed, params=sent)
    assert payjoin == signed.extract()


def test_short_signatures_in_the_receivers_inputs_do_not_make_it_a_cheat():
    ready = build_draft(original(), params(680), coin())
    accept(finalize(ready, sign_ours(ready, ecdsa(71))))


def test_the_version_stays(proposal):
    changed = replace(proposal.unsigned_transaction, version=1)
    other = proposal.with_transaction(changed, proposal.inputs, proposal.outputs)
    assert broken_rule(other) == "version"


def test_the_lock_time_stays(proposal):
    changed = replace(proposal.unsigned_transaction, lock_time=0)
    other = proposal.with_transaction(changed, proposal.inputs, proposal.outputs)
    assert broken_rule(other) == "lock-time"


def test_extended_keys_are_refused(proposal):
    xpub = b"\x04\x88\xb2\x1e" + bytes(41) + KEY
    entries = proposal.global_map.map.with_value(GlobalField.XPUB, bytes(4), xpub)
    assert broken_rule(replace(proposal, global_map=PsbtGlobal(entries))) == "global-keys"


def test_all_of_our_inputs_stay(proposal):
    _, theirs = input_pairs(proposal)
    assert broken_rule(with_inputs(proposal, theirs)) == "sender-inputs"
    psbt = original((60_000, P2WPKH), (40_000, P2WPKH))
    first, second, ours = input_pairs(build_proposal_at_end(psbt))
    assert broken_rule(with_inputs(proposal, first, ours), psbt) == "sender-inputs"
    assert broken_rule(with_inputs(proposal, second, ours), psbt) == "sender-inputs"


def build_proposal_at_end(psbt):
    return propose(begin_draft(psbt, params(680), (0,)))


def test_our_inputs_stay_in_order():
    psbt = original((60_000, P2WPKH), (40_000, P2WPKH))
    proposal = build_proposal_at_end(psbt)
    accept(proposal, psbt)
    first, second, theirs = input_pairs(proposal)
    assert broken_rule(with_inputs(proposal, second, first, theirs), psbt) == "sender-inputs"


def test_receiver_inputs_may_stand_anywhere_among_ours():
    psbt = original((60_000, P2WPKH), (40_000, P2WPKH))
    first, second, theirs = input_pairs(build_proposal_at_end(psbt))
    for order in ((theirs, first, second), (first, theirs, second)):
        accept(with_inputs(build_proposal_at_end(psbt), *order), psbt)


def test_the_sequence_of_our_inputs_stays(proposal):
    pairs = [(replace(txin, sequence=0), each) for txin, each in input_pairs(proposal)]
    assert broken_rule(with_inputs(proposal, *pairs)) == "sender-sequence"


def test_receiver_inputs_share_our_sequence(proposal):
    ours, (txin, theirs) = input_pairs(proposal)
    changed = (replace(txin, sequence=0xFFFFFFFF), theirs)
    assert broken_rule(with_inputs(proposal, ours, changed)) == "mixed-sequences"


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize(
    ("field", "key", "value"),
    [
        (InputField.BIP32_DERIVATION, KEY, ORIGIN),
        (InputField.TAP_BIP32_DERIVATION, KEY[1:], b"\x00" + ORIGIN),
    ],
)
def test_key_paths_of_inputs_are_refused(proposal, index, field, key, value):
    leaky = PsbtInput(proposal.inputs[index].map.with_value(field, value, key))
    assert broken_rule(proposal.with_input(index, leaky)) == "input-key-paths"


@pytest.mark.parametrize("index", [0, 1])
def test_partial_signatures_are_refused(proposal, index):
    for signed in (
        proposal.inputs[index].with_partial_signature(KEY, ecdsa()),
        proposal.inputs[index].with_tap_key_signature(SCHNORR),
    ):
        assert broken_rule(proposal.with_input(index, signed)) == "input-signatures"


@pytest.mark.parametrize(
    "final",
    [
        (InputField.FINAL_SCRIPTSIG, b"\x51"),
        (InputField.FINAL_SCRIPTSIG, b""),
        (InputField.FINAL_SCRIPTWITNESS, b"\x01\x01\x51"),
        (InputField.FINAL_SCRIPTWITNESS, b"\x00"),
    ],
)
def test_our_inputs_are_not_final(proposal, final):
    finished = PsbtInput(proposal.inputs[0].map.with_value(*final))
    assert broken_rule(proposal.with_input(0, finished)) == "sender-input-final"


@pytest.mark.parametrize("sighash", [2, 3, 0x81, 0x82, 0x83])
def test_we_are_not_asked_to_sign_less_than_everything(proposal, sighash):
    asking = proposal.inputs[0].with_sighash_type(sighash)
    assert broken_rule(proposal.with_input(0, asking)) == "sender-input-sighash"


@pytest.mark.parametrize("sighash", [0, 1])
def test_all_and_default_may_be_asked_for(proposal, sighash):
    accept(proposal.with_input(0, proposal.inputs[0].with_sighash_type(sighash)))


def test_receiver_inputs_are_signed(proposal):
    unsigned = proposal.inputs[1].cleared_of(InputField.FINAL_SCRIPTWITNESS)
    assert broken_rule(proposal.with_input(1, unsigned)) == "receiver-input-not-final"


def test_receiver_inputs_tell_what_they_spend(proposal):
    blind = proposal.inputs[1].cleared_of(InputField.WITNESS_UTXO)
    assert broken_rule(proposal.with_input(1, blind)) == "receiver-input-utxo"


def test_a_receiver_signs_its_inputs(proposal):
    unsigned = sign(P2WPKH)
    with pytest.raises(ProposalRejected) as caught:
        check_proposal(
            original=original(),
            proposal=proposal.with_input(1, proposal.inputs[1].with_final(*unsigned)),
            params=params(680),
            payee=PAYEE,
            output_substitution=True,
        )
    assert caught.value.rule == "receiver-input-signature"


def test_a_legacy_input_of_the_receivers_must_prove_its_amount():
    proposal = build_proposal_with(coin(script=P2PKH))
    accept(proposal)
    claimed = proposal.inputs[1].cleared_of(InputField.NON_WITNESS_UTXO)
    claimed = claimed.with_witness_utxo(coin(script=P2PKH).utxo)
    assert broken_rule(proposal.with_input(1, claimed)) == "receiver-input-utxo"


def build_proposal_with(wallet_coin):
    return propose(begin_draft(original(), params(680), (0,)), wallet_coin)


def test_amounts_beyond_all_money_are_refused_and_not_an_error(proposal):
    rich = proposal.inputs[1].with_witness_utxo(out(2_100_000_000_000_000, P2WPKH))
    assert broken_rule(proposal.with_input(1, rich)) == "receiver-input-utxo"


@pytest.mark.parametrize(
    ("field", "key", "value"),
    [
        (OutputField.BIP32_DERIVATION, KEY, ORIGIN),
        (OutputField.TAP_BIP32_DERIVATION, KEY[1:], b"\x00" + ORIGIN),
    ],
)
def test_key_paths_of_outputs_are_refused(proposal, field, key, value):
    leaky = PsbtOutput(proposal.outputs[0].map.with_value(field, value, key))
    assert broken_rule(proposal.with_output(0, leaky)) == "output-key-paths"


def test_all_of_our_outputs_stay(proposal):
    (payment, _) = outputs_of(proposal)
    assert broken_rule(with_outputs(proposal, payment)) == "sender-outputs"


def test_our_outputs_stay_in_order():
    psbt = original(outputs=((50_000, PAYEE), (20_000, CHANGE), (28_000, SUPPLIER)))
    proposal = build_proposal(psbt, params(), coin())
    accept(proposal, psbt, params())
    payment, change, supplier = outputs_of(proposal)
    shuffled = with_outputs(proposal, payment, supplier, change)
    assert broken_rule(shuffled, psbt, params()) == "sender-outputs"


def test_two_equal_outputs_of_ours_cannot_become_one():
    psbt = original(outputs=((50_000, PAYEE), (24_000, CHANGE), (24_000, CHANGE)))
    proposal = build_proposal(psbt, params(), coin())
    accept(proposal, psbt, params())
    payment, change, _ = outputs_of(proposal)
    assert broken_rule(with_outputs(proposal, payment, change), psbt, params()) == "sender-outputs"


def test_no_other_output_of_ours_shrinks():
    psbt = original(outputs=((50_000, PAYEE), (20_000, CHANGE), (28_000, SUPPLIER)))
    proposal = build_proposal(psbt, params(680), coin())
    accept(proposal, psbt)
    payment, change, supplier = outputs_of(proposal)
    less = replace(supplier, value=supplier.value - 1)
    stolen = with_outputs(proposal, payment, change, less)
    assert broken_rule(stolen, psbt) == "sender-output-value"


def test_without_an_offer_the_change_does_not_shrink(proposal):
    assert broken_rule(proposal, sent=params()) == "sender-output-value"


@pytest.mark.parametrize("offer", [params(680, 0), params(680, 2)])
def test_an_offer_that_makes_no_sense_allows_nothing(proposal, offer):
    assert broken_rule(proposal, sent=offer) == "sender-output-value"


def test_our_outputs_may_grow(proposal):
    payment, _ = outputs_of(proposal)
    accept(with_outputs(proposal, payment, out(48_590, CHANGE)), sent=params())
    gift = replace(payment, value=payment.value - 1_000)
    accept(with_outputs(proposal, gift, out(48_600, CHANGE)))


def test_the_payment_may_be_substituted_moved_split_or_lowered(proposal):
    payment, change = outputs_of(proposal)
    for outputs in (
        (replace(payment, script_pubkey=FRESH), change),
        (change, payment),
        (out(20_000, FRESH), change, out(100_000, SUPPLIER)),
        (out(1_000, PAYEE), change, out(100_000, SUPPLIER)),
        (change,),
    ):
        accept(with_outputs(proposal, *outputs))


@pytest.mark.parametrize("sent", [params(680), FORBIDDEN])
def test_without_substitution_the_payment_stays_and_may_grow(proposal, sent):
    payment, change = outputs_of(proposal)
    forbid = {"sent": sent, "output_substitution": sent is FORBIDDEN}
    accept(proposal, **forbid)
    for outputs in (
        (replace(payment, script_pubkey=FRESH), change),
        (change, payment),
        (change,),
        (out(49_999, PAYEE), out(70_001, FRESH), change),
    ):
        other = with_outputs(proposal, *outputs)
        assert broken_rule(other, **forbid) in ("output-substitution", "sender-outputs")


def test_every_rule_has_a_test_that_breaks_it():
    files = Path(__file__).parent.glob("test_proposal*.py")
    tests = "".join(each.read_text(encoding="utf-8") for each in files)
    assert [rule for rule in RULES if f'== "{rule}"' not in tests] == []


def test_substitution_with_inserted_outputs_passes_our_own_checks():
    psbt = original(outputs=((20_000, SUPPLIER), (50_000, PAYEE), (28_000, CHANGE)))
    for seed in range(20):
        for sent in (params(), params(output_substitution=False)):
            committed = commit_outputs(
                begin_draft(psbt, sent, (1,)),
                replacement=[out(50_000, PAYEE), out(0, FRESH)],
                drain_script=FRESH,
                entropy=SeededEntropy(bytes([seed])),
            )
            accept(propose(committed), psbt, sent)
