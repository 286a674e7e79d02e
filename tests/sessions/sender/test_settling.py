"""Broadcasting, watching, releasing, revoking: how a payment ends."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from tests.sessions.sender import play
from tests.sessions.sender.play import ELSEWHERE, OURS

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import Txid
from dovetail.bitcoin.units import Sats, UnixTime
from dovetail.errors import InvalidEvent, ReplayError, StaleSession, UsageError
from dovetail.sessions import outcomes, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sender import events

UNKNOWN_TXID = Txid(b"\xee" * 32)


# broadcasting


def test_a_broadcast_does_not_close_the_session(log):
    session = play.payjoin_monitored(log)
    assert session.expected == play.payjoin().txid
    assert not session.released
    assert not log.is_closed


@pytest.mark.parametrize("place", [play.pending_broadcast, play.cancelled_while_polling])
def test_only_the_transaction_that_was_due_counts_as_broadcast(log, place):
    session = place(log)
    with pytest.raises(UsageError, match="not the txid"):
        session.record_broadcast(UNKNOWN_TXID)


def test_a_refused_payjoin_owes_the_fallback(log):
    session = play.payjoin_refused(log)
    assert session.payjoin == play.payjoin()
    assert log.replay() == session


@pytest.mark.parametrize("spender", [play.payjoin, lambda: play.payjoin().without_signatures()])
def test_a_payjoin_refused_because_it_is_known_already_counts_as_broadcast(log, spender):
    """M4: its inputs are missing because it has confirmed."""
    session = play.pending_broadcast(log)
    unrelated = play.spend_elsewhere(ELSEWHERE, outpoint=play.RECEIVER_OUTPOINT)
    after = session.refused(spends=(unrelated, spender())).save(log)
    assert isinstance(after, sender.Monitor)


@pytest.mark.parametrize(
    ("spender", "reason"),
    [
        (play.fallback, Reason.RECEIVER_TOOK_FALLBACK),
        (lambda: play.spend_elsewhere(ELSEWHERE), Reason.INPUTS_ALREADY_SPENT),
    ],
)
def test_a_payjoin_whose_inputs_are_spent_otherwise_is_given_up(log, spender, reason):
    after = play.pending_broadcast(log).record_spend(spender()).save(log)
    assert isinstance(after, sender.PendingFallback)
    assert after.reason is reason
    assert isinstance(after.record_spend(spender()).save(log), sender.Monitor)


def test_spends_of_other_coins_do_not_explain_a_refusal(log):
    unrelated = play.spend_elsewhere(ELSEWHERE, outpoint=play.RECEIVER_OUTPOINT)
    after = play.pending_broadcast(log).refused(spends=(unrelated,)).save(log)
    assert isinstance(after, sender.PendingFallback)
    assert after.reason is Reason.PAYJOIN_REFUSED_BY_NETWORK


# watching


SPENDERS: list[Any] = [play.pending_broadcast, play.cancelled_while_polling, play.payjoin_monitored]


@pytest.mark.parametrize("place", SPENDERS)
def test_a_transaction_that_spends_nothing_of_ours_settles_nothing(log, place):
    session = place(log)
    unrelated = play.spend_elsewhere(ELSEWHERE, outpoint=play.RECEIVER_OUTPOINT)
    if isinstance(session, sender.Monitor):
        record = partial(session.record_settlement, depth=2)
    else:
        record = session.record_spend
    with pytest.raises(UsageError, match="none of the sender's inputs"):
        record(unrelated)


def test_a_session_closes_only_at_the_configured_depth(log):
    """M3."""
    session = play.payjoin_monitored(log)
    assert session.depth == 2
    before = log.tags()
    for depth in (0, 1):
        assert session.record_settlement(play.payjoin(), depth=depth).save(log) is session
    assert log.tags() == before
    assert isinstance(session.record_settlement(play.payjoin(), depth=2).save(log), sender.Closed)
    assert log.is_closed


def test_a_closed_session_takes_no_event(log):
    """M1."""
    session = play.payjoin_monitored(log)
    session.record_settlement(play.payjoin(), depth=2).save(log)
    with pytest.raises(StaleSession):
        session.request_fallback().save(log)
    with pytest.raises(InvalidEvent):
        sender.apply(log.replay(), events.FallbackRequested())


def test_a_confirmed_payjoin_is_a_success(log):
    session = play.payjoin_monitored(log)
    assert play.settle(session, play.payjoin()) == outcomes.Success(txid=str(play.payjoin().txid))


@pytest.mark.parametrize(
    ("place", "why"),
    [
        (play.fallback_monitored, Reason.CANCELLED_BY_US),
        (play.released, Reason.CANCELLED_BY_US),
        (play.payjoin_monitored, Reason.FALLBACK_CONFIRMED_FIRST),
    ],
)
def test_a_confirmed_fallback_says_why_there_was_no_payjoin(log, place, why):
    outcome = play.settle(place(log), play.fallback())
    assert outcome == outcomes.FallbackBroadcasted(txid=str(play.fallback().txid), why=why)


def test_a_malleated_fallback_is_still_the_fallback(log):
    malleated = play.fallback()
    inputs = tuple(replace(txin, script_sig=b"\x51") for txin in malleated.inputs)
    malleated = replace(malleated, inputs=inputs)
    outcome = play.settle(play.fallback_monitored(log), malleated)
    assert isinstance(outcome, outcomes.FallbackBroadcasted)
    assert outcome.txid == str(malleated.txid) != str(play.fallback().txid)


@pytest.mark.parametrize("owned", [(), (OURS,), (ELSEWHERE,)])
@pytest.mark.parametrize("place", [play.released, play.payjoin_monitored])
def test_a_spend_that_pays_others_too_is_unrecognized(log, place, owned):
    stranger = play.spend_elsewhere(OURS, ELSEWHERE)
    outcome = play.settle(place(log), stranger, owned)
    assert outcome == outcomes.Unrecognized(txid=str(stranger.txid))


def test_an_evicted_payjoin_is_broadcast_again(log):
    session = play.payjoin_monitored(log)
    again = session.payjoin_dropped().save(log)
    assert isinstance(again, sender.PendingBroadcast)
    assert again.payjoin == play.payjoin()
    assert log.replay() == again


@pytest.mark.parametrize("place", [play.fallback_monitored, play.released])
def test_a_payjoin_that_was_not_broadcast_cannot_drop(log, place):
    session = place(log)
    with pytest.raises(UsageError, match="request the fallback"):
        session.payjoin_dropped()
    with pytest.raises(ReplayError, match="cannot have been dropped"):
        sender.replay((*log.events(), events.PayjoinDropped()))


def test_a_payjoin_that_gave_way_to_the_fallback_is_not_broadcast_again(log):
    pending = play.payjoin_monitored(log).request_fallback().save(log)
    assert pending.reason is Reason.FALLBACK_REQUESTED
    watched = pending.record_broadcast(pending.fallback_transaction.txid).save(log)
    assert watched.expected == play.fallback().txid
    with pytest.raises(UsageError, match="request the fallback"):
        watched.payjoin_dropped()
    assert isinstance(play.settle(watched, play.payjoin()), outcomes.Success)
    assert watched.request_fallback().save(log).fallback_transaction == play.fallback()


def test_a_payjoin_seen_after_the_fallback_was_asked_for_gives_way_once_it_drops(log):
    pending = play.payjoin_monitored(log).request_fallback().save(log)
    watched = pending.record_spend(play.payjoin()).save(log)
    assert watched.expected == play.payjoin().txid
    after = watched.payjoin_dropped().save(log)
    assert isinstance(after, sender.PendingFallback)
    assert after.reason is Reason.FALLBACK_REQUESTED


@pytest.mark.parametrize("place", [play.cancelled_before_posting, play.cancelled_while_polling])
def test_a_fallback_asked_for_is_not_released_and_not_asked_for_twice(log, place):
    """M4: it may be on its way, whatever happened between the decision and its broadcast."""
    pending = place(log)
    assert pending.may_end_unpaid is not pending.original_out
    asked = pending.request_fallback().save(log)
    assert asked.requested
    assert asked.reason is Reason.CANCELLED_BY_US
    assert not asked.may_end_unpaid
    assert asked.request_fallback().save(log) is asked
    with pytest.raises(UsageError, match="cannot be declined any more"):
        asked.release(spends=())
    assert log.replay() == asked


def test_what_was_asked_for_stays_so_though_another_spend_was_seen(log):
    asked = play.asked_for_before_posting(log)
    watched = asked.record_spend(play.spend_elsewhere(ELSEWHERE)).save(log)
    assert watched.requested
    again = watched.spend_dropped().save(log)
    assert again.requested
    assert again.original_out


def test_a_spend_that_went_leaves_the_say_to_whom_it_was(log):
    watched = play.fallback_monitored(log)
    assert not watched.spend_dropped().save(log).requested


# what else makes the same payment


def test_a_fallback_whose_fee_a_wallet_raised_is_the_payment_all_the_same(log):
    """M4: told by its effect. The receiver reads it as paid, and so does its payer."""
    outcome = play.settle(play.fallback_monitored(log), play.raised().extract())
    assert outcome == outcomes.PaidDirectly(txid=str(play.raised().extract().txid))


def test_another_transaction_of_ours_that_pays_less_is_no_payment(log):
    raised = play.raised().extract()
    outputs = (replace(raised.outputs[0], value=Sats(play.AMOUNT - 1)), raised.outputs[1])
    less = replace(raised, outputs=outputs)
    assert isinstance(play.settle(play.fallback_monitored(log), less), outcomes.Unrecognized)


# a fee that is raised


@pytest.mark.parametrize(
    "place",
    [
        play.fallback_monitored,
        play.payjoin_monitored,
        play.released,
        play.cancelled_while_polling,
        play.cancelled_before_posting,
        play.plain,
    ],
)
def test_a_fee_is_raised_wherever_a_fallback_may_be_on_its_way(log, place):
    session = place(log)
    pending = session.bump(play.raised()).save(log)
    assert log.replay() == pending
    assert pending.requested
    assert pending.fallback_transaction == play.raised().extract()
    assert pending.original == play.raised()
    with pytest.raises(UsageError, match="not the txid"):
        pending.record_broadcast(play.fallback().txid)
    watched = pending.record_broadcast(play.raised().extract().txid).save(log)
    assert watched.fallback_transaction == play.raised().extract()
    dropped = watched.spend_dropped().save(log)
    assert dropped.fallback_transaction == play.raised().extract()
    assert log.replay() == dropped


@pytest.mark.parametrize("transaction", [play.fallback, lambda: play.raised().extract()])
def test_each_form_of_the_fallback_is_the_fallback(log, transaction):
    outcome = play.settle(play.bumped_monitored(log), transaction())
    assert outcome == outcomes.FallbackBroadcasted(
        txid=str(transaction().txid), why=Reason.CANCELLED_BY_US
    )


def test_a_fee_is_raised_again(log):
    pending = play.bumped(log).bump(play.raised(5_000)).save(log)
    assert pending.original.fee == 5_000
    assert log.replay() == pending


def other_coins() -> Psbt:
    transaction = play.raised().unsigned_transaction
    inputs = transaction.inputs[:1]
    outputs = (transaction.outputs[0],)
    return play.sign(play.unsigned_original(replace(transaction, inputs=inputs, outputs=outputs)))


def pays_less() -> Psbt:
    transaction = play.raised().unsigned_transaction
    outputs = (replace(transaction.outputs[0], value=Sats(49_999)), transaction.outputs[1])
    return play.sign(play.unsigned_original(replace(transaction, outputs=outputs)))


@pytest.mark.parametrize(
    "psbt", [play.original, lambda: play.raised(1_000), other_coins, pays_less]
)
@pytest.mark.parametrize("place", [play.fallback_monitored, play.cancelled_while_polling])
def test_only_the_same_payment_at_a_higher_fee_raises_it(log, place, psbt):
    """M4: other coins would be a second payment."""
    session = place(log)
    with pytest.raises(UsageError, match="same coins"):
        session.bump(psbt())
    with pytest.raises(ReplayError, match="raised fallback"):
        sender.replay((*log.events(), events.FallbackBumped(original=psbt().serialize())))


# the fallback from everywhere


@pytest.mark.parametrize(
    "place",
    [
        play.create,
        play.posting,
        play.posting_v1,
        play.polling,
        play.proposal_received,
        play.pending_broadcast,
    ],
)
def test_the_fallback_is_asked_for_from_every_state_of_a_negotiation(log, place):
    pending = place(log).request_fallback().save(log)
    assert log.replay() == pending
    assert pending.requested
    assert pending.reason is Reason.FALLBACK_REQUESTED
    assert pending.original_out is (place is not play.create)
    with pytest.raises(UsageError, match="requested already"):
        pending.release(spends=())
    with pytest.raises(ReplayError, match="SpendDropped cannot follow"):
        sender.replay((*log.events()[:-1], events.SpendDropped()))


def test_a_fault_before_anything_left_is_on_the_record(log):
    pending = play.create(log).fail(Reason.DIRECTORY_UNREACHABLE).save(log)
    assert log.replay() == pending
    assert pending.may_end_unpaid


def test_a_payjoin_that_nobody_answers_for_gives_way(log):
    session = play.pending_broadcast(log)
    assert session.since == play.NOW
    pending = session.fail(Reason.PAYJOIN_UNANSWERED).save(log)
    assert pending.payjoin == play.payjoin()
    watched = pending.record_spend(play.payjoin()).save(log)
    assert isinstance(play.settle(watched, play.payjoin()), outcomes.Success)


def test_a_broadcast_begins_anew_when_the_payjoin_dropped(log):
    again = play.payjoin_monitored(log).payjoin_dropped(now=UnixTime(play.NOW + 9)).save(log)
    assert isinstance(again, sender.PendingBroadcast)
    assert again.since == play.NOW + 9


# coins that are gone


@pytest.mark.parametrize(
    "place", [play.cancelled_while_polling, play.plain, play.fallback_monitored, play.released]
)
def test_a_payment_whose_coins_are_gone_ends(log, place):
    missed = place(log).record_coins(missing=True, height=play.HEIGHT + 1).save(log)
    closed = missed.record_gone(height=play.HEIGHT + 7).save(log)
    assert closed.outcome == outcomes.Cancelled(why=Reason.COINS_GONE)
    assert log.is_closed
    assert log.replay() == closed


def test_coins_that_may_come_back_end_nothing(log):
    missed = play.plain(log).record_coins(missing=True, height=play.HEIGHT + 1).save(log)
    with pytest.raises(UsageError, match="may come back"):
        missed.record_gone(height=play.HEIGHT + 6)
