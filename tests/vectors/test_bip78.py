"""The exchange that BIP 78 publishes as its test vectors, seen from both sides."""

import json
from pathlib import Path

import pytest

from dovetail.bitcoin.psbt import Psbt, PsbtInput
from dovetail.bitcoin.units import FeeRate, Sats
from dovetail.errors import ProposalRejected
from dovetail.protocol.coin import Coin
from dovetail.protocol.contribution import apply_fees, begin_draft, finalize, place_coins
from dovetail.protocol.original import check_original, prepare_original
from dovetail.protocol.params import FeeContribution, SenderParams
from dovetail.protocol.proposal import check_proposal, complete, fee_contribution
from dovetail.protocol.settlement import Settlement, classify

VECTOR = json.loads((Path(__file__).parent / "bip78_exchange.json").read_text(encoding="utf-8"))
SIGNED = Psbt.from_base64(VECTOR["unfinalized_signed_psbt"])
ORIGINAL = Psbt.from_base64(VECTOR["original_psbt"])
PROPOSAL = Psbt.from_base64(VECTOR["payjoin_proposal"])
FILLED = Psbt.from_base64(VECTOR["payjoin_proposal_filled"])

PARAMS = SenderParams(version=1, fee_contribution=FeeContribution(Sats(182), 0))
PAYEE = ORIGINAL.unsigned_transaction.outputs[1].script_pubkey


def accept(original, params=PARAMS):
    return check_proposal(
        original=original, proposal=PROPOSAL, params=params, payee=PAYEE, output_substitution=True
    )


def test_the_original_is_what_a_sender_would_send():
    prepared = prepare_original(SIGNED, payee=PAYEE)
    assert prepared.unsigned_transaction == ORIGINAL.unsigned_transaction
    assert prepared.inputs == ORIGINAL.inputs
    assert check_original(prepared) == check_original(ORIGINAL)


def test_the_fee_rate_is_the_published_one_and_the_offer_a_virtual_byte_more():
    assert int(ORIGINAL.fee) == 2 * ORIGINAL.extract().weight.vbytes
    offer = fee_contribution(ORIGINAL, PAYEE)
    assert offer == FeeContribution(Sats(185), 0)  # 92 vbytes at 2.004 sat/vB


def test_the_proposal_is_accepted_and_takes_all_that_was_offered():
    accepted = accept(ORIGINAL)
    assert accepted.unsigned_transaction == FILLED.unsigned_transaction
    before, after = ORIGINAL.unsigned_transaction, accepted.unsigned_transaction
    assert before.outputs[0].value - after.outputs[0].value == 182
    assert accepted.fee - ORIGINAL.fee == 182


def test_one_satoshi_less_offered_and_the_proposal_is_refused():
    stingy = SenderParams(version=1, fee_contribution=FeeContribution(Sats(181), 0))
    with pytest.raises(ProposalRejected) as caught:
        accept(ORIGINAL, stingy)
    assert caught.value.rule == "contribution-above-maximum"


def test_the_senders_information_is_filled_in_as_published():
    known = SIGNED.combine(ORIGINAL)
    filled = accept(known)
    assert {*filled.inputs[0].map.entries} == {*FILLED.inputs[0].map.entries}
    assert {*filled.inputs[1].map.entries} == {*FILLED.inputs[1].map.entries}
    assert {*filled.outputs[0].map.entries} == {*FILLED.outputs[0].map.entries}


def test_our_receiver_proposes_the_same_transaction():
    wallet_input = PsbtInput().with_witness_utxo(PROPOSAL.utxo(1))
    redeem_script = PROPOSAL.inputs[1].final_script_sig
    assert redeem_script is not None
    coin = Coin(
        PROPOSAL.unsigned_transaction.inputs[1].previous_output,
        wallet_input.with_redeem_script(redeem_script[1:]),
        PROPOSAL.utxo(1),
    )
    started = begin_draft(ORIGINAL, PARAMS, (1,))
    placed = place_coins(started, (coin,), entropy=bytes)
    assert [each.position for each in placed.inputs] == [1]
    two = FeeRate.from_sat_per_vb(2)
    ready = apply_fees(placed, min_fee_rate=two, max_fee_rate=two)
    assert ready.transaction() == PROPOSAL.unsigned_transaction
    ours = finalize(ready, PROPOSAL)
    assert ours.inputs[1] == PROPOSAL.inputs[1]
    assert ours.inputs[0].map.entries == ()  # published with its UTXO, which the BIP's rules forbid


def test_the_payjoin_is_completed_and_recognized():
    accepted = accept(ORIGINAL)
    # The published signatures are those of the Original; their form is all that counts here.
    final = ORIGINAL.inputs[0]
    signed = accepted.with_input(
        0, accepted.inputs[0].with_final(final.final_script_sig, final.final_script_witness)
    )
    payjoin = complete(accepted, signed, params=PARAMS)
    proposal, fallback = PROPOSAL.unsigned_transaction, ORIGINAL.extract()
    assert classify(payjoin, payjoin=proposal, fallback=fallback) is Settlement.PAYJOIN
