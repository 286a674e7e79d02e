"""What a proposal may take for fees, and for what."""

from dataclasses import replace

from tests.protocol.builders import (
    CHANGE,
    FORBIDDEN,
    FRESH,
    P2PKH,
    P2WSH,
    PAYEE,
    accept,
    broken_rule,
    coin,
    input_pairs,
    original,
    out,
    outputs_of,
    params,
    propose,
    sign_ours,
    with_inputs,
    with_outputs,
)

from dovetail.bitcoin.units import Sats
from dovetail.protocol.contribution import (
    begin_draft,
    finalize,
    place_coins,
)


def test_lowering_the_payment_without_substitution_has_its_own_rule(proposal):
    _, change = outputs_of(proposal)
    lower = with_outputs(proposal, out(49_999, PAYEE), change)
    assert broken_rule(lower, sent=FORBIDDEN) == "output-substitution"
    gone = with_outputs(proposal, out(120_000, FRESH), change)
    assert broken_rule(gone, sent=FORBIDDEN) == "output-substitution"


def test_the_fee_does_not_fall(proposal):
    payment, _ = outputs_of(proposal)
    before = with_outputs(proposal, payment, out(48_590, CHANGE))
    accept(before, sent=params())
    more = replace(payment, value=payment.value + 1)
    assert broken_rule(with_outputs(proposal, more, out(48_590, CHANGE))) == "fee-decreased"


def test_outputs_beyond_the_inputs_are_a_lower_fee(proposal):
    _, change = outputs_of(proposal)
    assert broken_rule(with_outputs(proposal, out(900_000, PAYEE), change)) == "fee-decreased"


def test_no_more_is_taken_than_we_offered(proposal):
    payment, change = outputs_of(proposal)
    greedy = with_outputs(proposal, payment, replace(change, value=change.value - 1))
    assert broken_rule(greedy) == "contribution-above-maximum"


def test_what_is_taken_goes_to_the_fee_and_not_to_the_receiver(proposal):
    payment, change = outputs_of(proposal)
    pocketed = with_outputs(proposal, replace(payment, value=payment.value + 1), change)
    assert broken_rule(pocketed) == "contribution-not-fee"


def test_what_is_taken_pays_for_the_inputs_that_were_added(proposal):
    generous = params(5_000)
    payment, change = outputs_of(proposal)
    # 272 weight units, and a virtual byte, at 1,410 sats for 562 are 692.5 sats.
    accept(
        with_outputs(proposal, payment, replace(change, value=Sats(48_590 - 693))), sent=generous
    )
    greedy = with_outputs(proposal, payment, replace(change, value=Sats(48_590 - 694)))
    assert broken_rule(greedy, sent=generous) == "contribution-not-inputs"


def test_nothing_is_taken_where_no_input_was_added(proposal):
    ours, _ = input_pairs(proposal)
    alone = with_outputs(with_inputs(proposal, ours), out(50_000, PAYEE), out(48_589, CHANGE))
    assert broken_rule(alone) == "contribution-not-inputs"


def test_a_receiver_may_add_no_input(proposal):
    ours, _ = input_pairs(proposal)
    accept(with_outputs(with_inputs(proposal, ours), out(50_000, FRESH), out(48_590, CHANGE)))


def test_heavier_inputs_of_another_type_may_cost_more():
    generous = params(5_000)
    proposal = propose(begin_draft(original(), generous, (0,)), coin(script=P2WSH))
    payment, _ = outputs_of(proposal)
    weight = 4 * (coin(script=P2WSH).weight.vbytes + 1)
    most = -(-1_410 * weight // 562)
    accept(with_outputs(proposal, payment, out(48_590 - most, CHANGE)), sent=generous)
    greedy = with_outputs(proposal, payment, out(48_590 - most - 1, CHANGE))
    assert broken_rule(greedy, sent=generous) == "contribution-not-inputs"


def test_the_fee_rate_does_not_fall_below_our_minimum(proposal):
    demanding = params(680, min_fee_rate=10)
    accept(proposal, sent=demanding)
    payment, _ = outputs_of(proposal)
    lower = with_outputs(proposal, replace(payment, value=payment.value + 100), out(48_010, CHANGE))
    accept(with_outputs(lower, payment, out(48_010, CHANGE)))
    cheap = with_outputs(proposal, payment, out(48_010, CHANGE))
    assert broken_rule(cheap, sent=demanding) == "minimum-fee-rate"


def test_what_a_segwit_input_adds_beside_itself_may_be_taken_too():
    # BTCPay Server weighs the whole transaction: marker, flag and the legacy input's empty witness.
    psbt = original((100_000, P2PKH), outputs=((50_000, PAYEE), (47_800, CHANGE)))
    generous = params(5_000)
    proposal = propose(begin_draft(psbt, generous, (0,)), coin())
    payment, _ = outputs_of(proposal)
    most = 10 * (68 + 1 + 1)
    accept(with_outputs(proposal, payment, out(47_800 - most, CHANGE)), psbt, generous)
    greedy = with_outputs(proposal, payment, out(47_800 - most - 1, CHANGE))
    assert broken_rule(greedy, psbt, generous) == "contribution-not-inputs"


def test_a_payjoin_diluted_by_unpaid_inputs_is_refused():
    # Twenty inputs that pay nothing would make 10 sat/vB to 0.9, and pin the payment.
    coins = [coin(seed=seed) for seed in range(100, 120)]
    unpaid = place_coins(begin_draft(original(), params(), (0,)), coins)
    diluted = finalize(unpaid, sign_ours(unpaid))
    accept(diluted, sent=params())
    assert broken_rule(diluted, sent=params(680, min_fee_rate=10)) == "minimum-fee-rate"
