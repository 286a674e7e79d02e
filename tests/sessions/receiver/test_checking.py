"""The receiver's checks of the Original PSBT, and what each of them ends in."""

from collections.abc import Callable, Mapping

import pytest
from tests.sessions.receiver.play import (
    ALICE,
    AMOUNT,
    BOB,
    ELSEWHERE,
    EXPIRES_AT,
    NOW,
    ORIGINAL,
    PARAMS,
    SENDER_COINS,
    Play,
    expect,
)
from tests.support.keys import as_claimed

from dovetail.bitcoin.hashes import sha256
from dovetail.bitcoin.psbt import Psbt, PsbtInput
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import OutPoint, TxOut
from dovetail.bitcoin.units import FeeRate, Sats
from dovetail.errors import UsageError
from dovetail.protocol.error_replies import ErrorCode
from dovetail.protocol.mailbox import encode_original
from dovetail.sessions import outcomes, receiver
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver.events import CheckedBroadcastSuitability


def test_an_original_that_no_node_accepts_is_refused_and_not_a_fallback(play: Play) -> None:
    error = play.error_without_fallback()
    assert error.reason is Reason.ORIGINAL_NOT_BROADCASTABLE
    assert error.error.code is ErrorCode.ORIGINAL_PSBT_REJECTED
    assert error.held is None


@pytest.mark.parametrize(("rate", "accepted"), [(1, True), (1000, False)])
def test_an_original_must_pay_the_lowest_fee_rate(play: Play, rate: int, *, accepted: bool) -> None:
    session = play.retrieved()
    transition = session.check_broadcast_suitability(
        True, tested=False, spent=as_claimed(session), min_fee_rate=FeeRate.from_sat_per_vb(rate)
    )
    assert isinstance(play.save(transition), receiver.MaybeInputsOwned) is accepted


def judged(
    play: Play,
    session: receiver.UncheckedOriginalPayload,
    spent: Mapping[OutPoint, TxOut] | None = None,
    *,
    tested: bool = False,
) -> Reason | None:
    """Why an Original is refused that the chain's source has nothing against."""
    known = as_claimed(session) if spent is None else spent
    state = play.save(session.check_broadcast_suitability(True, tested=tested, spent=known))
    if isinstance(state, receiver.HasReplyableError):
        assert state.error.code is ErrorCode.ORIGINAL_PSBT_REJECTED
        assert state.held is None
        return state.reason
    return None


def test_an_original_whose_inputs_do_not_exist_is_refused(play: Play) -> None:
    session = play.retrieved()
    spent = as_claimed(session)
    del spent[SENDER_COINS[1].outpoint]
    assert judged(play, session, spent) is Reason.ORIGINAL_INPUTS_MISSING


@pytest.mark.parametrize(
    "truly",
    [
        TxOut(Sats(SENDER_COINS[0].utxo.value - 1), SENDER_COINS[0].utxo.script_pubkey),
        TxOut(SENDER_COINS[0].utxo.value, BOB.script(3)),
    ],
)
def test_an_original_is_held_to_what_the_chain_says_of_its_inputs(play: Play, truly: TxOut) -> None:
    session = play.retrieved()
    spent = {**as_claimed(session), SENDER_COINS[0].outpoint: truly}
    assert judged(play, session, spent, tested=True) is Reason.ORIGINAL_INPUTS_MISSTATED


@pytest.mark.parametrize("tested", [True, False])
def test_an_original_with_a_wrong_signature_is_refused_whoever_accepts_it(
    play: Play, *, tested: bool
) -> None:
    session = play.retrieved(with_flipped_bit())
    assert judged(play, session, tested=tested) is Reason.ORIGINAL_SIGNATURE_INVALID


@pytest.mark.parametrize("tested", [True, False])
def test_what_cannot_be_verified_here_must_have_been_tested(play: Play, *, tested: bool) -> None:
    script = b"\x51"
    utxo = TxOut(SENDER_COINS[0].utxo.value, Script(b"\x00\x20" + sha256(script)))
    told = PsbtInput().with_witness_utxo(utxo).with_final(witness=(script,))
    session = play.retrieved(ORIGINAL.with_input(0, told))
    expected = None if tested else Reason.ORIGINAL_NOT_VERIFIABLE
    assert judged(play, session, tested=tested) is expected


def with_flipped_bit() -> Psbt:
    signature, key = ORIGINAL.inputs[0].final_script_witness or (b"", b"")
    spoilt = signature[:20] + bytes([signature[20] ^ 1]) + signature[21:]
    return ORIGINAL.with_input(0, ORIGINAL.inputs[0].with_final(witness=(spoilt, key)))


def test_a_person_vouches_for_a_payment_but_not_for_its_signatures(play: Play) -> None:
    state = play.save(play.retrieved(with_flipped_bit()).assume_interactive())
    assert expect(state, receiver.HasReplyableError).reason is Reason.ORIGINAL_SIGNATURE_INVALID


def test_a_person_can_vouch_for_the_sender(play: Play) -> None:
    play.save(play.retrieved().assume_interactive())
    assert play.log.events[-1] == CheckedBroadcastSuitability(interactive=True)


def test_a_paid_invoice_refuses_a_new_original_and_remembers_the_payment(play: Play) -> None:
    error = play.save(play.retrieved().refuse_as_paid(ELSEWHERE))
    assert error.reason is Reason.PAID_DIRECTLY
    assert error.error.code is ErrorCode.UNAVAILABLE
    assert error.paid_by == str(ELSEWHERE)


def test_a_session_without_a_fallback_can_simply_end(play: Play) -> None:
    closed = play.save(play.retrieved().cancel())
    assert closed.outcome == outcomes.Cancelled(why=Reason.CANCELLED_BY_US)
    assert Play.retrieved(other := Play()).expire(EXPIRES_AT).save(other.log).outcome == (
        outcomes.Expired()
    )


def test_it_does_not_expire_early(play: Play) -> None:
    with pytest.raises(UsageError, match="not expired"):
        play.retrieved().expire(NOW)


def test_the_wallet_is_asked_about_the_senders_inputs(play: Play) -> None:
    session = play.maybe_inputs_owned()
    assert session.contested == tuple(coin.outpoint for coin in SENDER_COINS)
    assert session.sender_scripts == (ALICE.script(0), ALICE.script(1))


def test_our_own_coins_among_the_senders_inputs_are_refused(play: Play) -> None:
    error = play.error_held()
    assert error.reason is Reason.ORIGINAL_SPENDS_OUR_COINS
    assert error.error.code is ErrorCode.ORIGINAL_PSBT_REJECTED
    assert error.held is not None
    assert not error.owed


def test_inputs_seen_in_another_session_are_refused(play: Play) -> None:  # P2
    seen = play.maybe_inputs_seen().check_no_inputs_seen_before({SENDER_COINS[0].outpoint})
    error = expect(play.save(seen), receiver.HasReplyableError)
    assert error.reason is Reason.ORIGINAL_INPUTS_SEEN_BEFORE
    assert not error.owed


def test_strangers_coins_do_not_matter(play: Play) -> None:
    stranger = {OutPoint(ELSEWHERE, 0)}
    owned = expect(
        play.save(play.maybe_inputs_owned().check_inputs_not_owned(stranger)),
        receiver.MaybeInputsSeen,
    )
    assert isinstance(
        play.save(owned.check_no_inputs_seen_before(stranger)), receiver.OutputsUnknown
    )


def test_an_original_that_pays_somebody_else_is_refused(play: Play) -> None:
    session = play.outputs_unknown()
    assert session.output_scripts == (BOB.script(0), ALICE.script(7))
    error = expect(
        play.save(session.identify_receiver_outputs({BOB.script(5)})), receiver.HasReplyableError
    )
    assert error.reason is Reason.ORIGINAL_DOES_NOT_PAY_US
    assert not error.owed


def test_an_original_that_pays_another_address_of_ours_is_refused(play: Play) -> None:
    """It pays for another session, and would count for both."""
    original = ALICE.pay(BOB.script(1), AMOUNT, coins=SENDER_COINS)
    session = play.outputs_unknown(play.retrieved(original))
    error = expect(
        play.save(session.identify_receiver_outputs({BOB.script(0), BOB.script(1)})),
        receiver.HasReplyableError,
    )
    assert error.reason is Reason.ORIGINAL_DOES_NOT_PAY_US
    assert not error.owed


def test_an_original_that_pays_less_than_was_asked_for_is_refused(play: Play) -> None:
    original = ALICE.pay(BOB.script(0), AMOUNT - 1, coins=SENDER_COINS)
    session = play.outputs_unknown(play.retrieved(original))
    error = expect(
        play.save(session.identify_receiver_outputs({BOB.script(0)})), receiver.HasReplyableError
    )
    assert error.reason is Reason.ORIGINAL_PAYS_TOO_LITTLE
    assert error.error.code is ErrorCode.ORIGINAL_PSBT_REJECTED
    assert not error.owed


def test_a_session_that_asked_for_no_amount_takes_any(play: Play) -> None:
    created = play.created(amount=None)
    play.put(encode_original(ALICE.pay(BOB.script(0), 1_000, coins=SENDER_COINS), PARAMS))
    unchecked = expect(play.poll(created), receiver.UncheckedOriginalPayload)
    session = play.outputs_unknown(unchecked)
    expect(play.save(session.identify_receiver_outputs({BOB.script(0)})), receiver.WantsOutputs)


def test_a_fallback_is_owed_once_it_is_known_to_pay_us(play: Play) -> None:
    assert not play.save(play.outputs_unknown().cancel()).owed
    other = Play()
    assert other.save(other.wants_outputs().cancel()).owed


@pytest.mark.parametrize(
    "state",
    [
        Play.maybe_inputs_owned,
        Play.maybe_inputs_seen,
        Play.outputs_unknown,
        Play.wants_outputs,
        Play.wants_inputs,
        Play.wants_fee_range,
        Play.provisional,
        Play.proposed,
    ],
)
def test_every_early_end_leads_to_the_fallback(  # M3
    state: Callable[[Play], receiver.MaybeInputsOwned],
) -> None:
    ends = {
        Reason.CANCELLED_BY_US: lambda s: s.cancel(),
        Reason.DIRECTORY_UNREACHABLE: lambda s: s.fail(Reason.DIRECTORY_UNREACHABLE),
        Reason.EXPIRED_BEFORE_REPLY: lambda s: s.expire(EXPIRES_AT),
    }
    for reason, end in ends.items():
        play = Play()
        before = state(play)
        pending = play.save(end(before))
        assert pending.reason is reason
        assert pending.owed is before.owed
        assert pending.fallback_transaction.txid == SENDER_PAYS
    with pytest.raises(UsageError, match="not expired"):
        state(Play()).expire(NOW)


SENDER_PAYS = ALICE.pay(BOB.script(0), 50_000, coins=SENDER_COINS).extract().txid
