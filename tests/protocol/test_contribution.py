from dataclasses import replace

import pytest
from tests.protocol.builders import (
    ALL_KINDS,
    CHANGE,
    FRESH,
    KEY,
    ORIGIN,
    P2PKH,
    P2TR,
    P2WPKH,
    PAYEE,
    SUPPLIER,
    build_draft,
    coin,
    ecdsa,
    funding,
    original,
    out,
    params,
    sign,
    sign_ours,
    values,
)

from dovetail.bitcoin.encoding import prefixed
from dovetail.bitcoin.psbt import InputField, Psbt, PsbtInput
from dovetail.bitcoin.script import Script
from dovetail.crypto.entropy import SeededEntropy
from dovetail.errors import PayloadTooLarge, UsageError
from dovetail.protocol.contribution import begin_draft, commit_outputs, finalize, place_coins

FORBIDDEN = params(output_substitution=False)
BATCH = ((20_000, CHANGE), (50_000, PAYEE), (28_000, SUPPLIER))


def scripts(drafted):
    return [txout.script_pubkey for txout in drafted.outputs]


def test_by_default_the_outputs_stay_as_they_are():
    started = begin_draft(original(), params(), (0,))
    assert commit_outputs(started) == started


def test_the_drain_is_chosen_among_the_receivers_outputs():
    psbt = original(outputs=((20_000, PAYEE), (50_000, CHANGE), (28_000, FRESH)))
    started = begin_draft(psbt, params(), (0, 2))
    assert commit_outputs(started).drain == 0
    assert commit_outputs(started, drain_script=FRESH).drain == 2
    with pytest.raises(UsageError, match="drain"):
        commit_outputs(started, drain_script=CHANGE)


def test_a_substitute_takes_the_place_of_the_payment():
    started = begin_draft(original(), params(), (0,))
    committed = commit_outputs(started, replacement=[out(50_000, FRESH)])
    assert scripts(committed) == [FRESH, CHANGE]
    assert committed.drain == 0


def test_what_a_replacement_pays_less_goes_to_the_drain_and_not_to_miners():
    started = begin_draft(original(), params(), (0,))
    committed = commit_outputs(
        started, replacement=[out(10_000, SUPPLIER), out(0, FRESH)], drain_script=FRESH
    )
    assert committed.fee == started.fee
    assert committed.outputs[committed.drain] == out(40_000, FRESH)


def test_what_a_replacement_pays_more_must_come_from_coins():
    started = begin_draft(original(), params(), (0,))
    committed = commit_outputs(
        started, replacement=[out(90_000, SUPPLIER), out(0, FRESH)], drain_script=FRESH
    )
    placed = place_coins(committed, [coin(70_000)])
    assert placed.outputs[placed.drain] == out(30_000, FRESH)
    assert placed.fee == started.fee
    with pytest.raises(UsageError, match="are worth less"):
        place_coins(committed, [coin(39_999)])
    with pytest.raises(UsageError, match="are worth less"):
        place_coins(committed, [])


def test_a_replacement_keeps_its_place_where_its_script_stays():
    psbt = original(outputs=((20_000, PAYEE), (50_000, CHANGE), (28_000, FRESH)))
    started = begin_draft(psbt, params(), (0, 2))
    committed = commit_outputs(started, replacement=[out(28_000, FRESH), out(20_000, SUPPLIER)])
    assert scripts(committed) == [SUPPLIER, CHANGE, FRESH]


def test_fewer_receiver_outputs_are_refused_since_peers_do():
    with pytest.raises(UsageError, match="fewer"):
        commit_outputs(begin_draft(original(), params(), (0,)), replacement=[])


def test_an_output_like_one_of_the_senders_is_refused_since_nobody_could_tell_them_apart():
    with pytest.raises(UsageError, match="distinguish the outputs"):
        commit_outputs(
            begin_draft(original(), params(), (0,)),
            replacement=[out(50_000, PAYEE), out(1_000, CHANGE)],
        )


def test_new_outputs_stand_at_drawn_places_and_the_senders_keep_their_order():
    started = begin_draft(original(outputs=BATCH), params(), (1,))
    seen = set()
    for seed in range(60):
        committed = commit_outputs(
            started,
            replacement=[out(50_000, PAYEE), out(0, FRESH)],
            entropy=SeededEntropy(bytes([seed])),
        )
        order = scripts(committed)
        seen.add(order.index(FRESH))
        assert [script for script in order if script != FRESH] == [CHANGE, PAYEE, SUPPLIER]
        assert committed.drain == order.index(PAYEE) or committed.drain == order.index(FRESH)
    assert seen == {0, 1, 2, 3}


def test_equal_entropy_gives_equal_outputs():
    started = begin_draft(original(outputs=BATCH), params(), (1,))
    replacement = [out(10_000, FRESH), out(10_000, P2TR), out(1, P2WPKH)]
    first, second = (
        commit_outputs(started, replacement=replacement, entropy=SeededEntropy(b"7"))
        for _ in range(2)
    )
    assert first == second


def test_without_substitution_script_and_value_of_the_payment_stay():
    started = begin_draft(original(), FORBIDDEN, (0,))
    for wrong in (out(50_000, FRESH), out(49_999, PAYEE)):
        with pytest.raises(UsageError, match="substitution"):
            commit_outputs(started, replacement=[wrong])
    committed = commit_outputs(started, replacement=[out(50_001, PAYEE)])
    assert values(committed.transaction()) == [50_001, 48_590]


def test_without_substitution_new_outputs_come_after_the_payment_since_peers_refuse_others():
    started = begin_draft(original(outputs=BATCH), FORBIDDEN, (1,))
    seen = set()
    for seed in range(40):
        committed = commit_outputs(
            started,
            replacement=[out(50_000, PAYEE), out(0, FRESH)],
            entropy=SeededEntropy(bytes([seed])),
        )
        seen.add(scripts(committed).index(FRESH))
    assert seen == {2, 3}


def test_coins_stand_at_drawn_positions():
    started = commit_outputs(
        begin_draft(original((60_000, P2WPKH), (40_000, P2WPKH)), params(), (0,))
    )
    seen = set()
    for seed in range(80):
        placed = place_coins(
            started, [coin(seed=8), coin(seed=9)], entropy=SeededEntropy(bytes([seed]))
        )
        seen.add(tuple(sorted(each.position for each in placed.inputs)))
        assert {each.coin for each in placed.inputs} == {coin(seed=8), coin(seed=9)}
    assert seen == {(a, b) for a in range(4) for b in range(a + 1, 4)}


def test_equal_entropy_places_coins_alike():
    started = begin_draft(original(), params(), (0,))
    first, second = (place_coins(started, [coin()], entropy=SeededEntropy(b"1")) for _ in range(2))
    assert first == second


def test_a_receiver_may_add_no_coins():
    started = begin_draft(original(), params(), (0,))
    assert place_coins(started, []) == started


def bulky_coin(script, size):
    """A coin whose previous transaction is as large as this."""
    wallet_coin = coin(script=script)
    source = funding(70_000, script, 99)
    padded = replace(
        source, outputs=(*source.outputs, out(0, Script(b"\x6a" + prefixed(bytes(size)))))
    )
    outpoint = replace(wallet_coin.outpoint, txid=padded.txid)
    return replace(
        wallet_coin, outpoint=outpoint, psbt_input=PsbtInput().with_non_witness_utxo(padded)
    )


def test_coins_that_make_the_proposal_too_large_are_refused_before_they_are_shown():
    started = begin_draft(original(), params(), (0,))
    place_coins(started, [bulky_coin(P2PKH, 6_000)])
    with pytest.raises(PayloadTooLarge):
        place_coins(started, [bulky_coin(P2PKH, 7_000)])


def test_a_coin_that_tells_its_transaction_alone_is_counted_with_it():
    started = begin_draft(original(), params(), (0,))
    shown = bulky_coin(P2WPKH, 7_000)
    with pytest.raises(PayloadTooLarge):
        place_coins(started, [shown])
    both = replace(shown, psbt_input=shown.psbt_input.with_witness_utxo(shown.utxo))
    assert place_coins(started, [both]).inputs


@pytest.mark.parametrize("script", ALL_KINDS)
def test_a_proposal_holds_our_final_inputs_and_nothing_else(script):
    ready = build_draft(original(), params(), coin(script=script))
    proposal = finalize(ready, sign_ours(ready))
    (ours,) = (each.position for each in ready.inputs)
    assert proposal.unsigned_transaction == ready.transaction()
    assert proposal.inputs[1 - ours].map.entries == ()
    assert proposal.utxo(ours) == coin(script=script).utxo
    finals = proposal.inputs[ours].final_script_sig, proposal.inputs[ours].final_script_witness
    assert (finals[0] or b"", finals[1] or ()) == sign(script)
    assert len(proposal.inputs[ours].map.entries) <= 3
    assert all(each.map.entries == () for each in proposal.outputs)
    assert len(proposal.global_map.map.entries) == 1


def test_key_paths_and_signatures_from_the_wallet_do_not_leave_the_house():
    ready = build_draft(original(), params(), coin())
    signed = sign_ours(ready)
    for index, psbt_input in enumerate(signed.inputs):
        leaky = psbt_input.map.with_value(InputField.BIP32_DERIVATION, ORIGIN, KEY)
        leaky_input = PsbtInput(leaky).with_partial_signature(KEY, ecdsa())
        signed = signed.with_input(index, leaky_input)
    assert finalize(ready, signed) == finalize(ready, sign_ours(ready))


def test_signatures_on_the_senders_inputs_are_not_passed_on():
    ready = build_draft(original(), params(), coin())
    signed = sign_ours(ready)
    for index, psbt_input in enumerate(signed.inputs):
        signed = signed.with_input(index, psbt_input.with_final(*sign(P2WPKH)))
    assert finalize(ready, signed) == finalize(ready, sign_ours(ready))


def test_a_wallet_that_changes_the_transaction_is_caught():
    ready = build_draft(original(), params(), coin())
    other = ready.with_value(ready.drain, ready.outputs[ready.drain].value - 1)
    with pytest.raises(UsageError, match="changed the transaction"):
        finalize(ready, sign_ours(other))


def test_a_wallet_that_leaves_our_input_unsigned_is_caught():
    ready = build_draft(original(), params(), coin())
    with pytest.raises(UsageError, match="did not finalize"):
        finalize(ready, ready.psbt())


def test_a_proposal_below_the_senders_minimum_is_not_sent():
    ready = build_draft(original(), params(min_fee_rate=10), coin(script=P2TR))
    signed = sign_ours(ready)
    (ours,) = (each.position for each in ready.inputs)
    script_path = (b"\x44" * 64, bytes(400), b"\xc0" + bytes(32))
    heavy = signed.with_input(ours, signed.inputs[ours].with_final(b"", script_path))
    finalize(ready, signed)
    with pytest.raises(UsageError, match="weigh more"):
        finalize(ready, heavy)


def test_a_proposal_too_large_for_the_mailbox_is_not_sent():
    ready = build_draft(original(), params(), coin(script=P2TR))
    (ours,) = (each.position for each in ready.inputs)
    signed = sign_ours(ready)
    huge = signed.inputs[ours].with_final(b"", (b"\x44" * 64, bytes(7_000), b"\xc0" + bytes(32)))
    with pytest.raises(PayloadTooLarge):
        finalize(ready, signed.with_input(ours, huge))


def test_a_proposal_is_a_psbt_that_reads_back():
    ready = build_draft(original(), params(), coin())
    proposal = finalize(ready, sign_ours(ready))
    assert Psbt.parse(proposal.serialize()) == proposal
