from dataclasses import replace

import pytest
from tests.protocol.builders import (
    CHANGE,
    FRESH,
    KEY,
    NESTED,
    ORIGIN,
    P2PKH,
    P2TR,
    P2WPKH,
    P2WSH,
    PAYEE,
    SUPPLIER,
    UNKNOWN,
    accept,
    coin,
    ecdsa,
    funding,
    input_pairs,
    original,
    out,
    outputs_of,
    params,
    sign,
    with_inputs,
    with_outputs,
)

from dovetail.bitcoin.psbt import (
    InputField,
    OutputField,
    Psbt,
    PsbtInput,
    PsbtOutput,
)
from dovetail.bitcoin.transaction import TxIn
from dovetail.bitcoin.units import Sats
from dovetail.errors import InvalidPsbt, ProposalRejected, UsageError
from dovetail.protocol.params import FeeContribution
from dovetail.protocol.proposal import complete, cost_of_input, fee_contribution


def test_our_own_utxos_are_restored_and_theirs_never_trusted(proposal):
    lie = proposal.inputs[0].with_witness_utxo(out(1, P2WPKH))
    accepted = accept(proposal.with_input(0, lie))
    assert accepted == accept(proposal)
    assert accepted.utxo(0) == original().utxo(0)
    assert not accepted.inputs[0].is_finalized
    assert accepted.is_finalized is False


def test_what_our_original_knows_comes_back_for_the_wallet(proposal):
    psbt = original()
    known = psbt.inputs[0].map.with_value(InputField.BIP32_DERIVATION, ORIGIN, KEY)
    change = PsbtOutput(psbt.outputs[1].map.with_value(OutputField.BIP32_DERIVATION, ORIGIN, KEY))
    psbt = psbt.with_input(0, PsbtInput(known)).with_output(1, change)
    accepted = accept(proposal, psbt)
    assert accepted.inputs[0].bip32_derivations
    assert accepted.outputs[1] == change
    assert accepted.outputs[0].map.entries == ()


def test_what_the_receiver_added_beyond_need_is_dropped(proposal):
    noisy = PsbtInput(proposal.inputs[1].map.with_value(0xE0, b"noise"))
    assert accept(proposal.with_input(1, noisy)) == accept(proposal)


def signed(accepted, signature=None):
    return accepted.with_input(0, accepted.inputs[0].with_final(*sign(P2WPKH, signature)))


def test_a_payjoin_is_completed_with_our_signatures(proposal):
    accepted = accept(proposal)
    payjoin = complete(accepted, signed(accepted), params=params(680))
    assert payjoin.without_signatures() == proposal.unsigned_transaction
    assert payjoin.inputs[0].witness == sign(P2WPKH)[1]


def test_nothing_but_our_signatures_is_taken_from_the_wallet(proposal):
    accepted = accept(proposal)
    meddled = signed(accepted).with_input(1, accepted.inputs[1].with_final(b"\x51", (b"x",)))
    assert complete(accepted, meddled, params=params()) == complete(
        accepted, signed(accepted), params=params()
    )


def test_a_wallet_that_changes_the_proposal_is_caught(proposal):
    accepted = accept(proposal)
    payment, change = outputs_of(proposal)
    other = with_outputs(signed(accepted), payment, replace(change, value=Sats(1)))
    with pytest.raises(UsageError, match="changed the transaction"):
        complete(accepted, other, params=params())


def test_a_wallet_that_does_not_sign_is_caught(proposal):
    accepted = accept(proposal)
    with pytest.raises(UsageError, match="did not finalize"):
        complete(accepted, accepted, params=params())


def test_a_wallet_that_signs_less_than_everything_is_caught(proposal):
    accepted = accept(proposal)
    with pytest.raises(UsageError, match="less than the whole"):
        complete(accepted, signed(accepted, ecdsa(72, 0x83)), params=params())


def test_the_signed_transaction_is_held_to_our_minimum_too(proposal):
    accepted = accept(proposal)
    demanding = params(min_fee_rate=20)
    with pytest.raises(ProposalRejected) as caught:
        complete(accepted, signed(accepted), params=demanding)
    assert caught.value.rule == "minimum-fee-rate"


def vbytes_at_its_rate(psbt, vbytes):
    return Sats(-(-int(psbt.fee) * vbytes * 4 // psbt.extract().weight))


# One virtual byte more than the input weighs, as some receivers weigh the whole transaction.


def test_the_offer_is_the_cost_of_an_input_like_ours():
    offer = fee_contribution(original(), PAYEE)
    assert offer == FeeContribution(vbytes_at_its_rate(original(), 69), 1)
    legacy = original((100_000, P2PKH))
    assert cost_of_input(legacy, PAYEE) == vbytes_at_its_rate(legacy, 149)


def test_the_offer_is_the_cost_of_an_input_like_the_payees_where_that_is_more():
    taproot = original((100_000, P2TR))
    assert cost_of_input(taproot, PAYEE) == vbytes_at_its_rate(taproot, 69)
    assert cost_of_input(taproot, NESTED) == vbytes_at_its_rate(taproot, 92)
    assert cost_of_input(taproot, P2PKH) == vbytes_at_its_rate(taproot, 150)  # an empty witness
    assert cost_of_input(taproot, P2TR) == vbytes_at_its_rate(taproot, 59)
    assert cost_of_input(taproot, UNKNOWN) == vbytes_at_its_rate(taproot, 59)


def test_multisig_inputs_are_offered_at_their_own_weight():
    psbt = original((100_000, P2WSH))
    most = vbytes_at_its_rate(psbt, coin(script=P2WSH).weight.vbytes + 1)
    assert fee_contribution(psbt, PAYEE) == FeeContribution(most, 1)


def test_a_sweep_has_nothing_to_offer():
    assert fee_contribution(original(outputs=((98_000, PAYEE),)), PAYEE) is None


def test_with_several_others_our_change_must_be_named():
    psbt = original(outputs=((50_000, PAYEE), (20_000, CHANGE), (28_000, SUPPLIER)))
    assert fee_contribution(psbt, PAYEE) is None
    cost = Sats(cost_of_input(psbt, PAYEE))
    assert fee_contribution(psbt, PAYEE, change={CHANGE}) == FeeContribution(cost, 1)
    ours = {CHANGE, SUPPLIER}
    assert fee_contribution(psbt, PAYEE, change=ours) == FeeContribution(cost, 2)
    assert fee_contribution(psbt, PAYEE, change={FRESH}) is None


def test_somebody_elses_output_is_no_change():
    assert fee_contribution(original(), PAYEE, change=()) is None


def test_the_offer_never_makes_dust_of_our_change():
    psbt = original(outputs=((98_090, PAYEE), (500, CHANGE)))
    assert fee_contribution(psbt, PAYEE) == FeeContribution(Sats(500 - 294), 1)
    assert fee_contribution(original(outputs=((98_390, PAYEE), (200, CHANGE))), PAYEE) is None


def test_an_unsigned_original_has_no_cost_yet():
    with pytest.raises(InvalidPsbt):
        fee_contribution(Psbt.from_unsigned(original().unsigned_transaction), PAYEE)


def test_an_input_of_ours_from_elsewhere_is_the_receivers_business(proposal):
    # Another coin of ours, passed off as the receiver's: it stays as it came, unsigned by us.
    ours, theirs = input_pairs(proposal)
    foreign = coin(5_000, seed=50, script=UNKNOWN)
    smuggled = (
        TxIn(foreign.outpoint, sequence=ours[0].sequence),
        PsbtInput().with_non_witness_utxo(funding(5_000, UNKNOWN, 50)).with_final(b"\x51"),
    )
    accepted = accept(with_inputs(proposal, ours, theirs, smuggled))
    wallet = signed(accepted)
    wallet = wallet.with_input(2, wallet.inputs[2].with_final(*sign(P2WPKH)))
    payjoin = complete(accepted, wallet, params=params())
    assert (payjoin.inputs[2].script_sig, payjoin.inputs[2].witness) == (b"\x51", ())
