from tests.protocol.builders import (
    CHANGE,
    FRESH,
    P2PKH,
    P2TR,
    P2WPKH,
    PAYEE,
    SUPPLIER,
    UNKNOWN,
    coin,
    original,
    params,
)

from dovetail.bitcoin.transaction import TxOut
from dovetail.bitcoin.units import Sats
from dovetail.crypto.entropy import SeededEntropy
from dovetail.protocol.coin_selection import select_coins
from dovetail.protocol.contribution import begin_draft, commit_outputs
from dovetail.protocol.draft import Draft

SWEEP = ((98_000, PAYEE),)


def start(*inputs, outputs=((50_000, PAYEE), (48_590, CHANGE)), **wishes):
    psbt = original(*inputs, outputs=outputs)
    receiver_output = [script for _, script in outputs].index(PAYEE)
    return begin_draft(psbt, params(**wishes), (receiver_output,))


def drawn(started, candidates, rounds=30):
    """All selections that come up over many seeds."""
    return {
        select_coins(started, candidates, entropy=SeededEntropy(bytes([seed])))
        for seed in range(rounds)
    }


def test_without_coins_nothing_is_selected():
    assert select_coins(start(), []) == ()


def test_one_coin_is_selected():
    assert select_coins(start(), [coin()]) == (coin(),)


def test_a_coin_smaller_than_every_output_makes_an_input_look_unnecessary():
    small, large = coin(30_000, seed=7), coin(60_000, seed=8)
    assert drawn(start(), [small, large]) == {(large,)}


def test_a_coin_that_leaves_the_change_the_smallest_output_is_second_choice():
    outputs = ((1_000, PAYEE), (98_000, CHANGE))
    misleads, reveals = coin(50_000, seed=7), coin(97_500, seed=8)
    assert drawn(start(outputs=outputs), [misleads, reveals]) == {(misleads,)}


def test_an_unnecessary_input_is_worse_than_a_change_that_shows():
    outputs = ((1_000, PAYEE), (98_000, CHANGE))
    misleads, plain = coin(50_000, seed=7), coin(99_500, seed=8)
    assert drawn(start(outputs=outputs), [misleads, plain]) == {(plain,)}


def test_an_exposed_coin_goes_first_whatever_else_speaks_against_it():
    exposed, better = coin(1_000, seed=7, exposed=True), coin(60_000, seed=8)
    assert drawn(start(), [better, exposed]) == {(exposed,)}


def test_equal_coins_are_drawn():
    coins = [coin(60_000, seed=seed) for seed in (7, 8, 9)]
    assert drawn(start(), coins) == {(each,) for each in coins}


def test_without_change_any_coin_will_do():
    coins = [coin(10_000, seed=7), coin(500_000, seed=8)]
    assert drawn(start(outputs=SWEEP), coins) == {(each,) for each in coins}


def test_the_draw_depends_on_entropy_and_not_on_the_order_of_candidates():
    coins = [coin(60_000, seed=seed) for seed in range(5, 15)]
    for seed in range(10):
        entropy = bytes([seed])
        first = select_coins(start(), coins, entropy=SeededEntropy(entropy))
        assert select_coins(start(), coins[::-1], entropy=SeededEntropy(entropy)) == first
        assert select_coins(start(), set(coins), entropy=SeededEntropy(entropy)) == first


def test_coins_that_cost_more_than_they_are_worth_are_left_out():
    assert select_coins(start(), [coin(600)]) == ()  # 68 vbytes at 10 sat/vB
    assert select_coins(start(), [coin(800)]) == (coin(800),)
    assert select_coins(start(min_fee_rate=20), [coin(800)]) == ()


def test_coins_we_cannot_weigh_are_left_out():
    assert select_coins(start(), [coin(script=UNKNOWN)]) == ()


def test_a_coin_that_the_sender_spends_is_left_out():
    assert select_coins(start(), [coin(100_000, P2WPKH, seed=1)]) == ()


def test_a_mixed_type_is_as_good_as_another():
    coins = [coin(60_000, script, seed=7) for script in (P2PKH, P2TR)]
    assert {select_coins(start(), [each]) for each in coins} == {(each,) for each in coins}


def batch(amount, drain=0):
    """A draft whose receiver also pays a supplier."""
    replacement = [TxOut(Sats(amount), SUPPLIER), TxOut(Sats(drain), FRESH)]
    return commit_outputs(start(), replacement=replacement, drain_script=FRESH)


def test_a_coin_that_pays_for_the_receivers_outputs_is_preferred_to_several():
    coins = [coin(30_000, seed=7), coin(30_000, seed=8), coin(60_000, seed=9)]
    assert drawn(batch(90_000), coins) == {(coin(60_000, seed=9),)}


def test_the_drain_must_come_out_above_dust():
    assert select_coins(batch(50_000), [coin(900)]) == ()
    assert select_coins(batch(50_000), [coin(2_000)]) == (coin(2_000),)
    assert select_coins(batch(49_000, drain=1_000), [coin(900)]) == (coin(900),)


def test_several_coins_are_taken_where_one_does_not_pay_for_the_outputs():
    coins = [coin(30_000, seed=7), coin(20_000, seed=8), coin(25_000, seed=9)]
    assert drawn(batch(90_000), coins) == {(coins[0], coins[2])}


def test_exposed_coins_go_first_also_where_several_are_needed():
    exposed = coin(20_000, seed=8, exposed=True)
    coins = [coin(30_000, seed=7), exposed, coin(25_000, seed=9)]
    assert drawn(batch(90_000), coins) == {(exposed, coins[0])}


def test_coins_that_do_not_suffice_together_are_not_taken():
    assert select_coins(batch(90_000), [coin(30_000), coin(10_000, seed=7)]) == ()


def test_what_coins_share_is_found_once_however_many_there_are(monkeypatch):
    asked: list[Draft] = []
    found = Draft.sender_positions

    def count(draft: Draft) -> tuple[int, ...]:
        asked.append(draft)
        return found(draft)

    monkeypatch.setattr(Draft, "sender_positions", count)
    coins = [coin(70_000 + seed, seed=seed) for seed in range(20, 60)]
    assert len(select_coins(start(), coins)) == 1
    assert len(asked) == 1
