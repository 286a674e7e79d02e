from dataclasses import replace

import pytest
from tests.protocol.builders import (
    CHANGE,
    FRESH,
    KEY,
    NESTED,
    ORIGIN,
    P2PKH,
    P2SH,
    P2TR,
    P2WPKH,
    P2WSH,
    PAYEE,
    UNKNOWN,
    coin,
    original,
    params,
    rate,
    values,
)

from dovetail.bitcoin.psbt import InputField, PsbtInput
from dovetail.bitcoin.transaction import TxOut
from dovetail.bitcoin.units import Sats
from dovetail.errors import InvalidPsbt, UsageError
from dovetail.protocol.coin import Coin, PlacedCoin
from dovetail.protocol.contribution import apply_fees, commit_outputs, place_coins, select_coins
from dovetail.protocol.draft import Draft, begin_draft

TWO_INPUTS = ((60_000, P2WPKH), (40_000, P2WPKH))


@pytest.mark.parametrize(
    ("script", "segwit"),
    [(P2WPKH, True), (P2TR, True), (P2WSH, True), (NESTED, True), (P2PKH, False), (P2SH, False)],
)
def test_a_coin_knows_whether_it_is_spent_with_a_witness(script, segwit):
    assert coin(script=script).is_segwit is segwit


def test_a_coin_with_another_script_has_another_weight():
    known = coin()
    assert known.weight == known.weight == 272
    assert replace(known, utxo=TxOut(known.utxo.value, P2TR)).weight == 230


def test_a_coin_of_an_unknown_kind_has_no_weight():
    with pytest.raises(InvalidPsbt):
        _ = coin(script=UNKNOWN).weight


def test_a_coin_always_tells_the_wallet_what_it_is():
    bare = replace(coin(), psbt_input=PsbtInput())
    assert bare.signing_input.witness_utxo == bare.utxo
    legacy = coin(script=P2PKH)
    assert legacy.signing_input is legacy.psbt_input
    assert coin().signing_input.witness_utxo == coin().utxo


def test_a_legacy_coin_is_larger_by_its_whole_transaction():
    legacy = coin(script=P2PKH)
    assert legacy.psbt_input.non_witness_utxo is not None
    previous = len(legacy.psbt_input.non_witness_utxo.serialize())
    assert coin(script=P2WPKH).size < previous < legacy.size


def test_a_new_draft_is_the_original():
    psbt = original()
    started = begin_draft(psbt, params(), (0,))
    assert started.transaction() == psbt.unsigned_transaction
    assert started.fee == psbt.fee
    assert started.drain == 0


def test_a_draft_needs_an_output_of_the_receivers():
    with pytest.raises(UsageError, match="no output of ours"):
        begin_draft(original(), params(), ())


@pytest.mark.parametrize(
    "wrong",
    [
        {"drain": 2},
        {"drain": -1},
        {"receiver_outputs": ()},
        {"receiver_outputs": (2,)},
        {"receiver_outputs": (-1,)},
        {"inputs": (PlacedCoin(coin(), 2),)},
        {"inputs": (PlacedCoin(coin(), -1),)},
        {"inputs": (PlacedCoin(coin(seed=1), 1), PlacedCoin(coin(seed=2), 0))},
        {"inputs": (PlacedCoin(coin(seed=1), 1), PlacedCoin(coin(seed=2), 1))},
    ],
)
def test_impossible_indices_from_a_log_are_refused(wrong):
    started = begin_draft(original(), params(), (0,))
    with pytest.raises(UsageError):
        replace(started, **wrong)


def test_the_drain_grows_by_what_coins_bring():
    placed = begin_draft(original(), params(), (0,)).with_inputs((PlacedCoin(coin(70_000), 1),))
    assert values(placed.transaction()) == [120_000, 48_590]
    assert placed.fee == placed.original.fee


def test_coins_pay_first_for_what_the_receivers_outputs_take_more():
    started = begin_draft(original(), params(), (0,)).with_value(0, Sats(60_000))
    placed = started.with_inputs((PlacedCoin(coin(70_000), 0),))
    assert values(placed.transaction()) == [120_000, 48_590]


def test_coins_that_bring_too_little_are_refused():
    started = begin_draft(original(), params(), (0,)).with_value(0, Sats(200_000))
    poorer = replace(started, outputs=(*started.outputs, TxOut(Sats(500_000), FRESH)), drain=0)
    with pytest.raises(UsageError, match="are worth less"):
        poorer.with_inputs((PlacedCoin(coin(70_000), 0),))


def test_coins_are_placed_once():
    placed = begin_draft(original(), params(), (0,)).with_inputs((PlacedCoin(coin(), 1),))
    with pytest.raises(UsageError, match="already"):
        placed.with_inputs((PlacedCoin(coin(seed=5), 0),))


def test_an_outpoint_is_spent_once():
    started = begin_draft(original(), params(), (0,))
    with pytest.raises(UsageError, match="already"):
        started.with_inputs((PlacedCoin(coin(), 0), PlacedCoin(coin(), 1)))
    senders = coin(100_000, P2WPKH, seed=1)
    with pytest.raises(UsageError, match="already"):
        started.with_inputs((PlacedCoin(senders, 0),))


def test_inputs_stand_at_their_positions_and_the_senders_keep_their_order():
    coins = [coin(seed=seed) for seed in (7, 8)]
    started = begin_draft(original(*TWO_INPUTS), params(), (0,))
    placed = started.with_inputs((PlacedCoin(coins[0], 0), PlacedCoin(coins[1], 2)))
    first, second = started.original.unsigned_transaction.contested()
    assert placed.transaction().contested() == (
        coins[0].outpoint,
        first,
        coins[1].outpoint,
        second,
    )


def test_our_inputs_copy_the_senders_sequence_and_the_rest_is_unchanged():
    started = begin_draft(original(sequence=0xFFFFFFFE), params(), (0,))
    transaction = started.with_inputs((PlacedCoin(coin(), 0),)).transaction()
    assert {txin.sequence for txin in transaction.inputs} == {0xFFFFFFFE}
    assert transaction.lock_time == 800_000
    assert transaction.version == 2


def test_the_wallet_gets_no_void_signatures_and_all_it_needs_for_its_own():
    known = coin()
    entries = known.psbt_input.map.with_value(InputField.BIP32_DERIVATION, ORIGIN, KEY)
    known = Coin(known.outpoint, PsbtInput(entries), known.utxo)
    psbt = begin_draft(original(), params(), (0,)).with_inputs((PlacedCoin(known, 1),)).psbt()
    assert not psbt.inputs[0].is_finalized
    assert psbt.utxo(0) == original().utxo(0)
    assert psbt.inputs[1] == known.psbt_input
    assert psbt.outputs[0].map.entries == ()


def test_a_value_is_set_alone():
    started = begin_draft(original(), params(), (0,))
    assert values(started.with_value(1, Sats(7)).transaction()) == [50_000, 7]


def test_the_senders_outputs_are_found_wherever_they_stand():
    psbt = original(outputs=((10_000, CHANGE), (50_000, PAYEE), (20_000, CHANGE), (18_000, P2TR)))
    started = begin_draft(psbt, params(), (1,))
    extra = TxOut(Sats(1_000), FRESH)
    moved = replace(started, outputs=(extra, *started.outputs[:2], extra, *started.outputs[2:]))
    assert moved.sender_positions() == (1, 4, 5)


def test_a_senders_output_that_was_changed_is_noticed():
    with pytest.raises(UsageError, match="changed before"):
        begin_draft(original(), params(), (0,)).with_value(1, Sats(1)).sender_positions()


def test_a_draft_equals_one_rebuilt_from_its_decisions():
    placed = begin_draft(original(), params(), (0,)).with_inputs((PlacedCoin(coin(), 1),))
    rebuilt = Draft(
        original=original(),
        params=params(),
        receiver_outputs=(0,),
        outputs=placed.outputs,
        drain=0,
        inputs=(PlacedCoin(coin(), 1),),
    )
    assert rebuilt == placed


def test_no_repr_shows_scripts_or_the_psbt():
    placed = begin_draft(original(), params(), (0,)).with_inputs((PlacedCoin(coin(), 1),))
    assert PAYEE.hex() not in repr(placed)
    assert repr(bytes(PAYEE)) not in repr(placed)


class NeverSearched(tuple[int, ...]):
    """Indices in which nobody looks for one by one: that is quadratic, and peers choose how many.

    120,000 outputs and two coins took 97 seconds.
    """

    __slots__ = ()

    def __contains__(self, index: object) -> bool:
        raise AssertionError(index)


@pytest.mark.parametrize("substituted", [False, True])
def test_no_list_of_outputs_is_searched_again_and_again(substituted):
    paid = [(1_000 + index, PAYEE) for index in range(100)]
    psbt = original((1_000_000, P2WPKH), outputs=[*paid, (48_590, CHANGE)])
    started = replace(
        begin_draft(psbt, params(680, 100, min_fee_rate=1), range(100)),
        receiver_outputs=NeverSearched(range(100)),
    )
    replacement = [TxOut(Sats(value), FRESH) for value, _ in paid] if substituted else None
    committed = commit_outputs(started, replacement=replacement)
    ready = place_coins(committed, select_coins(committed, [coin(), coin(seed=98)]))
    after = apply_fees(ready, min_fee_rate=rate(1), max_fee_rate=rate(20))
    assert ready.sender_positions() == (100,)
    assert len(after.outputs) == 101
