"""Honest receivers are accepted, by us and by peers; what is accepted costs no more than said."""

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.protocol.builders import (
    ALL_KINDS,
    CHANGE,
    FRESH,
    P2PKH,
    P2TR,
    PAYEE,
    SUPPLIER,
    coin,
    original,
    sign,
    sign_ours,
    with_outputs,
)
from tests.protocol.other_senders import Case, reference_sender_accepts, rust_payjoin_accepts
from tests.protocol.signer import signed_again

from dovetail.bitcoin.psbt import Psbt, PsbtInput
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.bitcoin.units import MAX_SATS, FeeRate, Sats
from dovetail.crypto.entropy import SeededEntropy
from dovetail.errors import FeeTooHigh, OriginalRejected, ProposalRejected, UsageError
from dovetail.protocol.contribution import (
    Draft,
    apply_fees,
    begin_draft,
    commit_outputs,
    finalize,
    place_coins,
    select_coins,
)
from dovetail.protocol.fees import expected_weight, fee_at
from dovetail.protocol.original import check_original
from dovetail.protocol.params import FeeContribution, SenderParams
from dovetail.protocol.proposal import check_proposal, complete
from dovetail.protocol.settlement import Settlement, classify, rebuild, sender_signatures

pytestmark = pytest.mark.property
fast = settings(max_examples=150, deadline=None, derandomize=True)

PARTNER = Script(b"\x00\x14" + b"\x05" * 20)
KINDS = st.sampled_from(ALL_KINDS)
AMOUNTS = st.integers(1_000, 10_000_000)


@st.composite
def cases(pick: st.DrawFn) -> Case:
    kinds = pick(st.lists(KINDS, min_size=1, max_size=3))
    payment = (pick(AMOUNTS), PAYEE)
    others = [
        (pick(AMOUNTS), script)
        for script in pick(st.lists(st.sampled_from((CHANGE, SUPPLIER, P2TR)), max_size=3))
    ]
    place = pick(st.integers(0, len(others)))
    outputs = [*others[:place], payment, *others[place:]]
    fee = pick(st.integers(150, 60_000))
    total = sum(value for value, _ in outputs) + fee
    share = total // len(kinds)
    amounts = [share] * (len(kinds) - 1) + [total - share * (len(kinds) - 1)]
    psbt = original(*zip(amounts, kinds, strict=True), outputs=outputs)
    offer = pick(
        st.none()
        | st.builds(
            FeeContribution, st.integers(0, 100_000).map(Sats), st.integers(0, len(outputs))
        )
    )
    substitution = pick(st.booleans())
    own_rate = FeeRate.of(psbt.fee, psbt.extract().weight).sat_per_kwu
    params = SenderParams(
        version=pick(st.sampled_from((1, 2))),
        min_fee_rate=FeeRate(pick(st.integers(0, own_rate + 100))),
        fee_contribution=offer,
        output_substitution=substitution,
    )
    coins = tuple(
        coin(pick(AMOUNTS), kind, seed=100 + number)
        for number, kind in enumerate(pick(st.lists(KINDS, max_size=3)))
    )
    replacement = None
    if pick(st.booleans()):
        kept = TxOut(Sats(payment[0]), FRESH if substitution else PAYEE)
        extra = pick(st.lists(st.builds(TxOut, AMOUNTS.map(Sats), st.just(PARTNER)), max_size=2))
        replacement = (kept, *extra)
    rates = sorted(pick(st.integers(0, 20_000)) for _ in range(2))
    return Case(
        psbt, params, place, coins, replacement, FeeRate(rates[0]), FeeRate(rates[1]),
        pick(st.binary(min_size=1, max_size=4)),
    )  # fmt: skip


def place(case: Case) -> Draft:
    entropy = SeededEntropy(case.seed)
    started = begin_draft(case.original, case.params, (case.receiver_output,))
    drain_script = None if case.replacement is None else case.replacement[0].script_pubkey
    committed = commit_outputs(
        started, replacement=case.replacement, drain_script=drain_script, entropy=entropy
    )
    return place_coins(committed, case.coins, entropy=entropy)


def negotiate(case: Case) -> tuple[Draft, Draft, Psbt]:
    """The draft before and after fees, and the proposal; cases that end earlier do not count."""
    try:
        placed = place(case)
        ready = apply_fees(placed, min_fee_rate=case.min_fee_rate, max_fee_rate=case.max_fee_rate)
    except (FeeTooHigh, UsageError):
        assume(False)
        raise
    return placed, ready, finalize(ready, sign_ours(ready))


def senders_utxos(case: Case) -> dict[OutPoint, TxOut]:
    outpoints = case.original.unsigned_transaction.contested()
    return dict(zip(outpoints, case.original.utxos(), strict=True))


def accept(case: Case, proposal: Psbt) -> Psbt:
    return check_proposal(
        original=case.original,
        proposal=signed_again(proposal, senders_utxos(case)),
        params=case.params,
        payee=PAYEE,
        output_substitution=True,
    )


@fast
@given(cases())
def test_an_honest_proposal_is_accepted_signed_and_recognized(case: Case) -> None:
    _, _, proposal = negotiate(case)
    signed_for_real = signed_again(proposal, senders_utxos(case))
    accepted = accept(case, Psbt.parse(signed_for_real.serialize()))
    signed = accepted
    for index, psbt_input in enumerate(accepted.inputs):
        if not psbt_input.is_finalized:
            script = accepted.utxo(index).script_pubkey
            signed = signed.with_input(index, psbt_input.with_final(*sign(script)))
    payjoin = complete(accepted, signed, params=case.params)
    fallback = check_original(case.original)
    unsigned = proposal.unsigned_transaction
    assert classify(payjoin, payjoin=unsigned, fallback=fallback) is Settlement.PAYJOIN
    assert rebuild(signed_for_real, sender_signatures(payjoin, proposal)) == payjoin


@fast
@given(cases())
def test_each_side_pays_what_it_agreed_to_and_no_more(case: Case) -> None:
    placed, ready, proposal = negotiate(case)
    lost = [
        int(before.value) - int(after.value)
        for before, after in zip(placed.outputs, ready.outputs, strict=True)
    ]
    from_receiver = lost[ready.drain]
    from_sender = sum(lost) - from_receiver
    assert all(amount >= 0 for amount in lost)
    assert int(ready.fee) == int(case.original.fee) + from_sender + from_receiver

    weight = expected_weight(ready)
    added = max(0, weight - case.original.extract().weight)
    demanded = case.params.min_fee_rate
    assert from_receiver <= fee_at(case.max_fee_rate, added)
    assert from_receiver <= fee_at(max(case.min_fee_rate, demanded), added)
    inputs = len(case.original.inputs) + len(case.coins)
    # Beside a contribution the receiver makes up for no rounding.
    judged = weight - 4 * inputs if from_sender else weight
    lacking = fee_at(case.min_fee_rate, judged) - int(case.original.fee)
    assert from_sender + from_receiver >= min(lacking, fee_at(case.min_fee_rate, added))
    assert ready.fee >= fee_at(demanded, weight - 4 * inputs)

    offer = case.params.fee_contribution
    assert from_sender <= (0 if offer is None else offer.max_amount)
    coins = sum(each.weight for each in case.coins)
    assert (from_sender - 1) * case.original.extract().weight < int(case.original.fee) * coins
    if not case.params.output_substitution:
        payment = case.original.unsigned_transaction.outputs[case.receiver_output]
        stays = [out for out in ready.outputs if out.script_pubkey == payment.script_pubkey]
        assert max(out.value for out in stays) >= payment.value
    assert proposal.unsigned_transaction.outputs == ready.outputs


@fast
@given(cases())
def test_peers_accept_our_proposals(case: Case) -> None:
    _, _, proposal = negotiate(case)
    assert rust_payjoin_accepts(case, proposal)
    assert reference_sender_accepts(case, proposal)


@fast
@given(cases())
def test_a_draft_is_rebuilt_from_the_decisions_in_a_log(case: Case) -> None:
    placed, ready, _ = negotiate(case)
    started = begin_draft(case.original, case.params, (case.receiver_output,))
    # What the events store: outputs and drain, placed coins, final values.
    before = placed.outputs
    brought = sum(int(each.utxo.value) for each in case.coins)
    deficit = int(placed.outputs[placed.drain].value) - brought
    assume(deficit >= 0)
    committed = replace(started, outputs=before, drain=placed.drain).with_value(
        placed.drain, Sats(deficit)
    )
    rebuilt = committed.with_inputs(placed.inputs)
    assert rebuilt == placed
    for index, txout in enumerate(ready.outputs):
        rebuilt = rebuilt.with_value(index, txout.value)
    assert rebuilt == ready


@fast
@given(cases(), st.data())
def test_whatever_is_accepted_keeps_the_senders_money(case: Case, data: st.DataObject) -> None:
    _, _, proposal = negotiate(case)
    outputs = list(proposal.unsigned_transaction.outputs)
    for _ in range(data.draw(st.integers(1, 3))):
        match data.draw(st.sampled_from(("value", "drop", "swap", "insert"))):
            case "value" if outputs:
                index = data.draw(st.integers(0, len(outputs) - 1))
                change = data.draw(st.integers(-2_000, 2_000))
                value = max(0, int(outputs[index].value) + change)
                outputs[index] = replace(outputs[index], value=Sats(value))
            case "drop" if outputs:
                outputs.pop(data.draw(st.integers(0, len(outputs) - 1)))
            case "swap":
                outputs = list(data.draw(st.permutations(outputs)))
            case _:
                script = data.draw(st.sampled_from((CHANGE, SUPPLIER, FRESH, PAYEE)))
                index = data.draw(st.integers(0, len(outputs)))
                outputs.insert(index, TxOut(data.draw(AMOUNTS.map(Sats)), script))
    meddled = with_outputs(proposal, *outputs)
    try:
        accepted = accept(case, meddled)
    except ProposalRejected:
        return
    assert_sender_keeps_its_money(case, accepted)


def assert_sender_keeps_its_money(case: Case, accepted: Psbt) -> None:
    offer = case.params.fee_contribution
    allowed = 0 if offer is None else int(offer.max_amount)
    new_entries = int(accepted.fee) - int(case.original.fee)
    assert new_entries >= 0
    before = case.original.unsigned_transaction.outputs
    after = accepted.unsigned_transaction.outputs
    for script in {txout.script_pubkey for txout in before} - {PAYEE}:
        had = sum(int(txout.value) for txout in before if txout.script_pubkey == script)
        has = sum(int(txout.value) for txout in after if txout.script_pubkey == script)
        taken = had - has
        assert taken <= min(allowed, new_entries)
        allowed -= max(taken, 0)
    if not case.params.output_substitution:
        asked = before[case.receiver_output].value
        assert any(out.script_pubkey == PAYEE and out.value >= asked for out in after)


@fast
@given(cases(), st.integers(0, 7), st.binary(max_size=4))
def test_coin_selection_is_a_function_of_its_arguments(
    case: Case, exposed: int, seed: bytes
) -> None:
    coins = [
        replace(each, exposed=bool(exposed >> number & 1)) for number, each in enumerate(case.coins)
    ]
    started = begin_draft(case.original, case.params, (case.receiver_output,))
    chosen = select_coins(started, coins, entropy=SeededEntropy(seed))
    assert chosen == select_coins(started, coins[::-1], entropy=SeededEntropy(seed))
    assert set(chosen) <= set(coins)
    usable = [each for each in coins if select_coins(started, [each])]
    assert bool(chosen) == bool(usable)
    if any(each.exposed for each in usable):
        assert all(each.exposed for each in chosen)


HOSTILE_AMOUNTS = st.sampled_from((0, 1, 546, 1_000_000, MAX_SATS - 1, MAX_SATS)).map(Sats)


@st.composite
def hostile_psbts(pick: st.DrawFn) -> Psbt:
    """Well-formed PSBTs that say anything at all."""
    count = pick(st.integers(0, 3))
    sequences = st.sampled_from((0, 0xFFFFFFFD, 0xFFFFFFFF))
    seeds = pick(st.permutations(range(1, 6)))[:count]
    inputs = tuple(
        TxIn(OutPoint(Txid(bytes([seed]) * 32), 0), sequence=pick(sequences)) for seed in seeds
    )
    outputs = tuple(
        TxOut(pick(st.integers(0, 2**40).map(Sats)), pick(st.sampled_from((PAYEE, CHANGE, P2PKH))))
        for _ in range(pick(st.integers(0, 3)))
    )
    psbt = Psbt.from_unsigned(Transaction(pick(st.integers(0, 3)), inputs, outputs, 0))
    for index in range(count):
        psbt_input = PsbtInput()
        script = pick(KINDS)
        if pick(st.integers(0, 9)):
            psbt_input = psbt_input.with_witness_utxo(TxOut(pick(HOSTILE_AMOUNTS), script))
        if pick(st.integers(0, 9)):
            psbt_input = psbt_input.with_final(*sign(script))
        if not pick(st.integers(0, 9)):
            psbt_input = psbt_input.with_sighash_type(pick(st.integers(0, 0x83)))
        psbt = psbt.with_input(index, psbt_input)
    return psbt


@fast
@given(hostile_psbts())
def test_every_original_is_checked_or_refused(psbt: Psbt) -> None:
    try:
        assert check_original(psbt).without_signatures() == psbt.unsigned_transaction
    except OriginalRejected:
        return
    params = SenderParams(fee_contribution=FeeContribution(Sats(1_000), 0))
    receiver_output = len(psbt.outputs) - 1
    assume(receiver_output >= 0)
    started = begin_draft(psbt, params, (receiver_output,))
    chosen = select_coins(started, [coin()])
    try:
        ready = apply_fees(
            place_coins(started, chosen), min_fee_rate=FeeRate(250), max_fee_rate=FeeRate(5_000)
        )
    except UsageError:
        return
    assert ready.fee >= psbt.fee


@fast
@given(cases(), hostile_psbts())
def test_every_proposal_is_accepted_or_refused_by_a_rule(case: Case, hostile: Psbt) -> None:
    with pytest.raises(ProposalRejected):
        accept(case, hostile)


@fast
@given(cases(), HOSTILE_AMOUNTS, KINDS)
def test_claims_about_added_inputs_are_never_an_error(case: Case, value: Sats, kind) -> None:
    _, _, proposal = negotiate(case)
    for index, psbt_input in enumerate(proposal.inputs):
        if psbt_input.is_finalized:
            claimed = PsbtInput().with_witness_utxo(TxOut(value, kind)).with_final(*sign(kind))
            proposal = proposal.with_input(index, claimed)
    try:
        accepted = accept(case, proposal)
    except ProposalRejected:
        return
    assert_sender_keeps_its_money(case, accepted)
