from dataclasses import replace

import pytest
from tests.protocol.builders import (
    ALL_KINDS,
    CHANGE,
    FRESH,
    P2PKH,
    P2TR,
    P2WPKH,
    PAYEE,
    SUPPLIER,
    coin,
    original,
    params,
    rate,
    sign,
    sign_ours,
)

from dovetail.bitcoin.transaction import TxOut
from dovetail.bitcoin.units import FeeRate, Sats, Weight
from dovetail.errors import FeeTooHigh, UsageError
from dovetail.protocol.contribution import begin_draft, commit_outputs, place_coins
from dovetail.protocol.fees import (
    apply_fees,
    expected_weight,
    meets_minimum,
    most_for_inputs,
    shared_weight,
    total,
)

# The default Original weighs 562 units, which is 141 vbytes, and pays 1,410 sats: 10 sat/vB.
# A P2WPKH coin adds 272 units: 68 vbytes, 680 sats at 10 sat/vB; 675 make 10 sat/vB of the whole,
# as the Original's fee was rounded up to whole vbytes.


def placed(sender_params, *coins, psbt=None, receiver_outputs=(0,)):
    started = begin_draft(psbt or original(), sender_params, receiver_outputs)
    return place_coins(started, coins or (coin(),))


def shares(before, after):
    """What sender and receiver pay: how much less each has than before."""
    lost = [
        int(old.value) - int(new.value)
        for old, new in zip(before.outputs, after.outputs, strict=True)
    ]
    receiver = lost.pop(before.drain)
    return sum(lost), receiver


def pay(before, *, minimum=1, maximum=20, floor=0.1):
    after = apply_fees(
        before,
        min_fee_rate=rate(minimum),
        max_fee_rate=rate(maximum),
        relay_fee_rate=rate(floor),
    )
    assert after.fee - before.fee == sum(shares(before, after))
    return shares(before, after)


def test_the_receiver_pays_where_the_sender_demands_a_rate_and_offers_nothing():
    assert pay(placed(params(min_fee_rate=10))) == (0, 675)
    assert pay(placed(params(min_fee_rate=8))) == (0, 258)


def test_the_receiver_pays_nothing_that_nobody_demands():
    assert pay(placed(params())) == (0, 0)
    assert pay(placed(params(500))) == (500, 0)
    assert pay(placed(params(min_fee_rate=6))) == (0, 0)  # which the Original's fee covers


def test_the_receivers_own_minimum_is_paid_in_whole_virtual_bytes():
    psbt = original(outputs=((50_000, PAYEE), (49_859, CHANGE)))
    assert psbt.fee == 141
    assert pay(placed(params(), psbt=psbt)) == (0, 209 - 141)


def test_the_sender_pays_first():
    assert pay(placed(params(680, min_fee_rate=10))) == (680, 0)
    assert pay(placed(params(500, min_fee_rate=10))) == (500, 175)


def test_what_an_offer_lacks_by_rounding_is_not_taken_from_the_receiver():
    assert pay(placed(params(675, min_fee_rate=10))) == (675, 0)
    assert pay(placed(params(665, min_fee_rate=10))) == (665, 0)
    assert pay(placed(params(664, min_fee_rate=10))) == (664, 11)


def test_what_inputs_share_is_not_taken_from_the_receiver():
    # A segwit coin beside a legacy input costs 3 units more than its own 272, which some senders
    # do not let be taken from their change: 8 sats at 10 sat/vB.
    psbt = original((100_000, P2PKH), outputs=((50_000, PAYEE), (47_800, CHANGE)))
    assert (psbt.fee, psbt.extract().weight) == (2_200, 880)
    assert pay(placed(params(1_500, min_fee_rate=10), psbt=psbt)) == (680, 0)
    assert pay(placed(params(min_fee_rate=10), psbt=psbt)) == (0, 688)


def test_a_receiver_does_not_pay_for_what_the_sender_underpaid():
    with pytest.raises(FeeTooHigh):
        pay(placed(params(min_fee_rate=11)), maximum=200)


def test_an_offer_beyond_the_cost_of_the_input_is_not_used_up():
    assert pay(placed(params(10_000, min_fee_rate=10))) == (680, 0)


def test_the_sender_pays_for_inputs_and_not_for_outputs():
    started = begin_draft(original(), params(10_000, min_fee_rate=10), (0,))
    replacement = [TxOut(Sats(50_000), PAYEE), TxOut(Sats(1_000), SUPPLIER)]
    ready = place_coins(commit_outputs(started, replacement=replacement), (coin(),))
    sender, receiver = pay(replace(ready, drain=ready.outputs.index(max(ready.outputs, key=value))))
    assert (sender, receiver) == (683, 675 + 310 - 683)  # 683 are the Original's own rate


def value(txout):
    return txout.value


TAPROOT = original((100_000, P2TR), outputs=((50_000, PAYEE), (48_690, CHANGE)))


def test_a_sender_of_version_1_does_not_pay_for_heavier_inputs_than_its_own():
    offer = replace(params(10_000, min_fee_rate=10), version=1)
    sender, receiver = pay(placed(offer, coin(script=P2PKH), psbt=TAPROOT))
    weight = TAPROOT.extract().weight
    assert sender <= TAPROOT.fee * 232 / weight < sender + 10
    assert receiver > sender


def test_a_sender_of_version_2_pays_for_the_inputs_that_are_added():
    # BIP 77 has receivers and senders of many kinds, who hold each input to its own weight.
    offer = params(10_000, min_fee_rate=10)
    assert pay(placed(offer, coin(script=P2PKH), psbt=TAPROOT))[1] == 0
    assert pay(placed(offer, coin(), psbt=TAPROOT))[1] == 0


def test_a_light_coin_costs_the_sender_only_its_own_weight():
    sender, receiver = pay(placed(params(10_000, min_fee_rate=10), coin(script=P2TR)))
    assert (sender, receiver) == (
        570,
        0,
    )  # of 57.5 vbytes, as the Original's are rounded up already
    literal = replace(params(10_000), version=1)
    assert pay(placed(literal, coin(script=P2TR))) == (570, 0)


@pytest.mark.parametrize(
    "offer",
    [
        pytest.param(params(1_000, 2), id="out of range"),
        pytest.param(params(1_000, 0), id="the receiver's own output"),
        pytest.param(params(48_591, 1), id="more than the output holds"),
        pytest.param(params(0, 1), id="nothing"),
    ],
)
def test_an_impossible_offer_is_ignored(offer):
    assert pay(placed(replace(offer, min_fee_rate=rate(10)))) == (0, 675)


def test_an_offer_of_the_whole_output_is_good():
    assert pay(placed(params(48_590))) == (680, 0)


def test_the_fee_output_is_found_behind_inserted_outputs():
    psbt = original(outputs=((20_000, SUPPLIER), (50_000, PAYEE), (28_000, CHANGE)))
    started = begin_draft(psbt, params(500, 2, min_fee_rate=10), (1,))
    committed = commit_outputs(
        started, replacement=[TxOut(Sats(50_000), PAYEE), TxOut(Sats(0), FRESH)], drain_script=FRESH
    )
    ready = place_coins(committed, (coin(),))
    after = apply_fees(ready, min_fee_rate=rate(1), max_fee_rate=rate(20))
    paid = {
        old.script_pubkey: int(old.value) - int(new.value)
        for old, new in zip(ready.outputs, after.outputs, strict=True)
    }
    assert paid[CHANGE] == 500
    assert paid[SUPPLIER] == paid[PAYEE] == 0
    assert paid[FRESH] > 0


def test_the_senders_change_does_not_become_dust():
    psbt = original(outputs=((98_090, PAYEE), (500, CHANGE)))
    sender, _ = pay(placed(params(500), psbt=psbt))
    assert sender == 500 - 294
    dusty = original(outputs=((98_390, PAYEE), (200, CHANGE)))
    assert pay(placed(params(200), psbt=dusty))[0] == 0


def test_the_receiver_never_pays_more_than_it_accepts():
    demanding = params(min_fee_rate=10)
    assert pay(placed(demanding), maximum=10) == (0, 675)
    assert pay(placed(demanding), maximum=9.8) == (0, 667)  # which the sender takes for rounding
    with pytest.raises(FeeTooHigh):
        pay(placed(demanding), maximum=9)
    assert pay(placed(params(400, min_fee_rate=10)), maximum=5) == (400, 275)


def test_a_minimum_above_the_receivers_limit_is_too_high():
    with pytest.raises(FeeTooHigh):
        pay(placed(params()), minimum=10, maximum=5)


def test_the_receivers_minimum_is_paid_on_what_it_adds():
    assert pay(placed(params()), minimum=20) == (0, 1_360)


# 220 vbytes and as many satoshis, of a legacy coin: a P2TR coin of 57.5 vbytes comes with marker,
# flag and an empty witness, which makes 58.25, and rust-payjoin's sender pays for 58 at most.
LEAST = original((100_000, P2PKH), outputs=((50_000, PAYEE), (49_780, CHANGE)))


def test_rounding_at_the_receivers_own_minimum_is_not_taken_from_it():
    assert 4 * LEAST.fee == LEAST.extract().weight
    offer = params(148, min_fee_rate=1)
    assert pay(placed(offer, coin(script=P2TR), psbt=LEAST)) == (58, 0)
    assert pay(placed(params(148), coin(script=P2TR), psbt=LEAST), minimum=1) == (58, 0)


def test_what_nodes_relay_from_is_kept_to_the_satoshi():
    offer = params(148, min_fee_rate=1)
    assert pay(placed(offer, coin(script=P2TR), psbt=LEAST), floor=1) == (58, 1)
    assert pay(placed(offer, coin(script=P2PKH), psbt=LEAST), floor=1) == (148, 0)


def test_an_offer_that_does_not_cover_the_receivers_minimum_is_no_matter_of_rounding():
    assert pay(placed(params(50), coin(script=P2TR), psbt=LEAST)) == (50, 9)
    assert pay(placed(params(), coin(script=P2TR), psbt=LEAST)) == (0, 59)


def test_the_senders_minimum_is_reached_by_the_whole_transaction():
    ready = placed(params(min_fee_rate=10))
    after = apply_fees(ready, min_fee_rate=rate(1), max_fee_rate=rate(20))
    signed = sign_ours(after)
    finals = [
        each if each.is_finalized else each.with_final(*sign(P2WPKH)) for each in signed.inputs
    ]
    transaction = replace(signed, inputs=tuple(finals)).extract()
    assert FeeRate.of(after.fee, transaction.weight) >= rate(10)
    assert FeeRate.of(after.fee - 1, transaction.weight) < rate(10)
    assert meets_minimum(after.fee, transaction, rate(10))
    assert not meets_minimum(after.fee - 30, transaction, rate(10))


def test_absurd_rates_from_a_sender_are_too_high_and_nothing_else():
    with pytest.raises(FeeTooHigh):
        pay(placed(replace(params(), min_fee_rate=FeeRate(2**64 - 1))))


def test_a_receiver_that_adds_nothing_pays_nothing():
    ready = place_coins(begin_draft(original(), params(1_000), (0,)), ())
    assert pay(ready) == (0, 0)


def test_a_smaller_transaction_never_pays_a_lower_fee():
    psbt = original(outputs=((50_000, FRESH), (48_590, CHANGE)))
    started = begin_draft(psbt, params(1_000), (0,))
    ready = place_coins(commit_outputs(started, replacement=[TxOut(Sats(50_000), PAYEE)]), ())
    assert pay(ready) == (0, 0)


def test_the_drain_stays_above_dust():
    replacement = [TxOut(Sats(49_000), SUPPLIER), TxOut(Sats(0), FRESH)]
    committed = commit_outputs(
        begin_draft(original(), params(min_fee_rate=9), (0,)),
        replacement=replacement,
        drain_script=FRESH,
    )
    ready = place_coins(committed, (coin(100),))
    with pytest.raises(FeeTooHigh):
        apply_fees(ready, min_fee_rate=rate(1), max_fee_rate=rate(20))
    ready = replace(ready, params=params(min_fee_rate=8.68))
    after = apply_fees(ready, min_fee_rate=rate(1), max_fee_rate=rate(20))
    assert after.outputs[after.drain].value == FRESH.dust_limit
    dusty = place_coins(replace(committed, outputs=started_with_dust(committed)), ())
    with pytest.raises(FeeTooHigh, match="too small"):
        pay(dusty)


def started_with_dust(committed):
    """The same outputs, but nearly all in the supplier's."""
    return tuple(
        replace(txout, value=Sats(100 if txout.script_pubkey == FRESH else 49_900))
        if txout.script_pubkey in (FRESH, SUPPLIER)
        else txout
        for txout in committed.outputs
    )


def test_without_substitution_the_payment_never_shrinks():
    fixed = params(min_fee_rate=10, output_substitution=False)
    assert pay(placed(fixed, coin(675))) == (0, 675)
    with pytest.raises(FeeTooHigh):
        pay(placed(fixed, coin(500)))
    assert pay(placed(params(min_fee_rate=10), coin(500))) == (0, 675)


def test_without_substitution_an_added_drain_may_shrink():
    sent = params(min_fee_rate=10, output_substitution=False)
    started = begin_draft(original(), sent, (0,))
    replacement = [TxOut(Sats(50_000), PAYEE), TxOut(Sats(0), FRESH)]
    ready = place_coins(
        commit_outputs(started, replacement=replacement, drain_script=FRESH), (coin(2_000),)
    )
    assert pay(ready) == (0, 675 + 10 * 43)


def test_fees_are_applied_once():
    after = apply_fees(placed(params(680)), min_fee_rate=rate(1), max_fee_rate=rate(20))
    with pytest.raises(UsageError, match="once"):
        apply_fees(after, min_fee_rate=rate(1), max_fee_rate=rate(20))


def test_fees_wait_for_the_coins_that_pay_for_the_outputs():
    replacement = [TxOut(Sats(90_000), PAYEE)]
    committed = commit_outputs(begin_draft(original(), params(), (0,)), replacement=replacement)
    with pytest.raises(UsageError, match="after the coins"):
        apply_fees(committed, min_fee_rate=rate(1), max_fee_rate=rate(20))


@pytest.mark.parametrize("sender", ALL_KINDS)
@pytest.mark.parametrize("receiver", ALL_KINDS)
def test_the_expected_weight_is_that_of_the_signed_transaction(sender, receiver):
    psbt = original((100_000, sender), (10_000, sender), outputs=((50_000, PAYEE),))
    ready = place_coins(begin_draft(psbt, params(), (0,)), (coin(script=receiver),))
    signed = sign_ours(ready)
    finals = [
        each if each.is_finalized else each.with_final(*sign(sender)) for each in signed.inputs
    ]
    assert expected_weight(ready) == replace(signed, inputs=tuple(finals)).extract().weight


def test_the_minimum_allows_for_longer_signatures_and_not_for_more():
    transaction = original().extract()  # 140.5 vbytes
    assert meets_minimum(Sats(141), transaction, rate(1))
    assert meets_minimum(Sats(140), transaction, rate(1))
    assert not meets_minimum(Sats(139), transaction, rate(1))
    assert meets_minimum(Sats(0), transaction, FeeRate(0))


def test_the_most_for_inputs_is_whole_vbytes_at_the_originals_rate_and_one_more():
    transaction = original().extract()
    assert most_for_inputs(1_410, transaction, [Weight(271)]) == -(-1_410 * 276 // 562)
    assert most_for_inputs(1_410, transaction, [Weight(272), Weight(230)]) == -(-1_410 * 508 // 562)
    assert most_for_inputs(1_410, transaction, [Weight(272)], 3) == -(-1_410 * 280 // 562)
    assert most_for_inputs(1_410, transaction, []) == 0


def test_inputs_share_the_marker_the_empty_witnesses_and_their_count():
    assert shared_weight([True], [True]) == 0
    assert shared_weight([False], [False]) == 0
    assert shared_weight([False, False], [True]) == 2 + 2
    assert shared_weight([True], [False, False]) == 2
    assert shared_weight([True] * 252, [True]) == 8


def test_sums_may_exceed_all_money():
    supply = TxOut(Sats(2_100_000_000_000_000), PAYEE)
    assert total([supply, supply]) == 2 * supply.value
