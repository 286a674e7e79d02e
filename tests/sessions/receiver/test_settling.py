"""The fallback and the chain: what is due when, and how a session ends."""

from dataclasses import replace

import pytest
from tests.sessions.receiver.play import (
    ALICE,
    AMOUNT,
    BOB,
    ELSEWHERE,
    EXPIRES_AT,
    FALLBACK,
    GRACE,
    RECEIVER_COIN,
    SENDER_COINS,
    UNRELATED,
    Play,
    expect,
    spend_to,
)
from tests.sessions.receiver.scenarios import nobody_can_tell, paid_by_payjoin
from tests.support.keys import signatures_are_valid

from dovetail.bitcoin.units import Sats, UnixTime
from dovetail.errors import InvalidEvent, ReplayError, StaleSession, UsageError
from dovetail.sessions import outcomes, receiver
from dovetail.sessions.reasons import Reason

END_OF_GRACE = UnixTime(EXPIRES_AT + GRACE)


def test_a_fallback_that_is_only_held_waits_for_the_callers_word(play: Play) -> None:
    assert play.pending_held().due_at is None


def test_an_owed_fallback_is_due_at_once_while_no_proposal_is_out(play: Play) -> None:
    assert play.pending_owed().due_at == 0


def test_a_fallback_waits_for_the_grace_while_a_proposal_may_be_out(play: Play) -> None:  # M4
    pending = play.pending_after_proposal()
    assert pending.proposal_out
    assert pending.due_at == END_OF_GRACE


def test_a_fallback_asked_for_is_due_at_once(play: Play) -> None:
    pending = play.save(play.monitor().request_fallback())
    assert pending.requested
    assert pending.due_at == 0
    assert pending.reason is Reason.FALLBACK_REQUESTED


def test_a_watched_payment_falls_due_after_the_grace(play: Play) -> None:
    monitor = play.monitor()
    assert monitor.due_at == END_OF_GRACE
    with pytest.raises(UsageError, match="not due"):
        monitor.fallback_due(UnixTime(END_OF_GRACE - 1))
    pending = play.save(monitor.fallback_due(END_OF_GRACE))
    assert pending.reason is Reason.FALLBACK_DUE
    assert pending.due_at == END_OF_GRACE


def test_a_released_fallback_never_falls_due_but_can_be_asked_for(play: Play) -> None:
    monitor = expect(play.save(play.pending_after_proposal().release(spends=())), receiver.Monitor)
    assert monitor.released
    assert monitor.due_at is None
    with pytest.raises(UsageError, match="not due"):
        monitor.fallback_due(END_OF_GRACE)
    assert play.save(monitor.request_fallback()).requested


def test_a_posted_proposal_may_be_given_up_while_nothing_is_seen(play: Play) -> None:
    pending = play.save(play.monitor().cancel())
    assert pending.reason is Reason.CANCELLED_BY_US
    assert pending.proposal_out
    assert not pending.requested
    released = expect(play.save(pending.release(spends=())), receiver.Monitor)
    with pytest.raises(UsageError, match="request the fallback instead"):
        released.cancel()


def test_what_was_seen_can_no_longer_be_cancelled(play: Play) -> None:
    monitor = play.save(play.pending_after_proposal().record_broadcast(FALLBACK.txid))
    with pytest.raises(UsageError, match="request the fallback instead"):
        monitor.cancel()


def test_a_monitor_knows_what_was_broadcast_and_what_was_seen(play: Play) -> None:
    monitor = play.monitor()
    assert monitor.expected is None
    pending = play.save(monitor.request_fallback())
    broadcast = play.save(pending.record_broadcast(FALLBACK.txid))
    assert broadcast.fallback_broadcast
    assert broadcast.expected == FALLBACK.txid
    seen = play.save(play.save(broadcast.request_fallback()).record_spend(FALLBACK))
    assert not seen.fallback_broadcast
    assert seen.expected == FALLBACK.txid


def test_a_closed_session_keeps_what_had_stopped_the_payjoin(play: Play) -> None:
    pending = play.save(play.monitor().cancel())
    monitor = play.save(pending.record_spend(spend_to(ALICE.script(4))))
    closed = expect(
        play.save(monitor.record_settlement(spend_to(ALICE.script(4)), depth=2)), receiver.Closed
    )
    assert closed.reason is Reason.CANCELLED_BY_US


def test_a_held_fallback_never_falls_due(play: Play) -> None:
    monitor = play.save(play.pending_held().record_broadcast(FALLBACK.txid))
    assert monitor.due_at is None


def test_releasing_with_nothing_under_way_closes(play: Play) -> None:
    closed = expect(play.save(play.pending_owed().release(spends=())), receiver.Closed)
    assert closed.outcome == outcomes.Cancelled(why=Reason.CANCELLED_BY_US)


def test_releasing_a_fallback_once_broadcast_goes_on_watching(play: Play) -> None:  # M3
    monitor = play.save(play.pending_owed().record_broadcast(FALLBACK.txid))
    pending = play.save(monitor.fallback_due(END_OF_GRACE))
    assert isinstance(play.save(pending.release(spends=())), receiver.Monitor)


def test_a_fallback_asked_for_is_not_released_and_not_asked_for_twice(play: Play) -> None:  # M4
    pending = play.pending_owed()
    assert pending.may_end_unpaid
    asked = play.save(pending.request_fallback())
    assert asked.requested
    assert asked.due_at == 0
    assert asked.reason is Reason.CANCELLED_BY_US
    assert not asked.may_end_unpaid
    assert play.save(asked.request_fallback()) is asked
    with pytest.raises(UsageError, match="cannot be declined any more"):
        asked.release(spends=())
    assert receiver.replay(play.log.events) == asked


def test_no_log_asks_twice_or_cancels_what_was_asked_for(play: Play) -> None:  # M3
    play.save(play.pending_owed().request_fallback())
    cancelled = receiver.events.Closed(outcome=outcomes.Cancelled(why=Reason.CANCELLED_BY_US))
    for event in (receiver.events.FallbackRequested(), cancelled):
        with pytest.raises(ReplayError, match=type(event).__name__):
            receiver.replay((*play.log.events, event))


def test_what_was_asked_for_stays_so_though_another_spend_was_seen(play: Play) -> None:
    asked = play.save(play.pending_held().request_fallback())
    monitor = play.save(asked.record_spend(spend_to(ALICE.script(4))))
    assert monitor.requested
    assert monitor.due_at == 0
    assert play.save(monitor.fallback_due(UnixTime(0))).requested


def test_only_the_fallback_is_recorded_as_broadcast(play: Play) -> None:
    with pytest.raises(UsageError, match="not the txid"):
        play.pending_owed().record_broadcast(ELSEWHERE)


def test_only_a_spend_of_a_contested_outpoint_counts(play: Play) -> None:
    with pytest.raises(UsageError, match="spends none"):
        play.pending_owed().record_spend(UNRELATED)
    with pytest.raises(UsageError, match="spends none"):
        Play().monitor().record_settlement(UNRELATED, depth=6)


def test_the_contested_outpoints_are_the_senders_inputs(play: Play) -> None:
    monitor = play.monitor()
    assert monitor.contested == tuple(coin.outpoint for coin in SENDER_COINS)
    assert monitor.depth == 2


def test_a_shallow_spend_changes_nothing(play: Play) -> None:
    monitor = play.monitor()
    assert play.save(monitor.record_settlement(FALLBACK, depth=1)) is monitor
    assert not play.log.closed


def test_a_payjoin_can_be_rebuilt_from_the_log(play: Play) -> None:
    paid_by_payjoin(play)
    closed = expect(receiver.replay(play.log.events), receiver.Closed)
    assert isinstance(closed.outcome, outcomes.Success)
    payjoin = closed.payjoin
    assert payjoin is not None
    assert str(payjoin.txid) == closed.outcome.txid
    utxos = {coin.outpoint: coin.utxo for coin in (*SENDER_COINS, RECEIVER_COIN)}
    assert signatures_are_valid(payjoin, utxos)


def test_there_is_nothing_to_rebuild_without_a_payjoin(play: Play) -> None:
    nobody_can_tell(play)
    assert expect(play.states[-1], receiver.Closed).payjoin is None


@pytest.mark.parametrize("taken", [False, True])
def test_a_refused_original_that_its_sender_broadcasts_is_no_payment(
    play: Play, *, taken: bool
) -> None:
    """Unless we took it for what it is."""
    original = ALICE.pay(BOB.script(0), 1_000, coins=SENDER_COINS)
    unknown = play.outputs_unknown(play.retrieved(original))
    refused = play.save(unknown.identify_receiver_outputs({BOB.script(0)}))
    pending = expect(
        play.save(expect(refused, receiver.HasReplyableError).cancel()), receiver.PendingFallback
    )
    spend = original.extract()
    if taken:
        asked = play.save(pending.request_fallback())
        monitor = play.save(asked.record_broadcast(spend.txid))
    else:
        monitor = play.save(pending.record_spend(spend))
    closed = expect(play.save(monitor.record_settlement(spend, depth=2)), receiver.Closed)
    kind = outcomes.FallbackBroadcasted if taken else outcomes.Unrecognized
    assert isinstance(closed.outcome, kind)


def test_a_malleated_fallback_is_still_the_fallback(play: Play) -> None:
    monitor = play.monitor()
    malleated = replace(
        FALLBACK, inputs=tuple(replace(txin, script_sig=b"\x51") for txin in FALLBACK.inputs)
    )
    closed = expect(play.save(monitor.record_settlement(malleated, depth=2)), receiver.Closed)
    assert closed.outcome == outcomes.FallbackBroadcasted(
        txid=str(malleated.txid), why=Reason.SENDER_CHOSE_FALLBACK
    )


@pytest.mark.parametrize(
    ("value", "kind"),
    [(AMOUNT, outcomes.PaidDirectly), (AMOUNT - 1, outcomes.Unrecognized)],
)
def test_another_spend_is_a_payment_if_it_pays_us_enough(
    play: Play, value: Sats, kind: type[outcomes.Outcome]
) -> None:
    spend = spend_to(BOB.script(0), value)
    closed = play.save(play.monitor().record_settlement(spend, depth=2))
    assert isinstance(expect(closed, receiver.Closed).outcome, kind)


def test_a_spend_elsewhere_is_not_recognized(play: Play) -> None:
    spend = spend_to(ALICE.script(4))
    closed = play.save(play.monitor().record_settlement(spend, depth=2))
    assert expect(closed, receiver.Closed).outcome == outcomes.Unrecognized(txid=str(spend.txid))


def test_the_reason_without_a_payjoin_stays_with_the_outcome(play: Play) -> None:
    monitor = play.save(play.pending_owed().record_spend(FALLBACK))
    closed = expect(play.save(monitor.record_settlement(FALLBACK, depth=2)), receiver.Closed)
    assert closed.outcome == outcomes.FallbackBroadcasted(
        txid=str(FALLBACK.txid), why=Reason.CANCELLED_BY_US
    )


def test_a_fallback_under_way_cannot_be_left_unwatched(play: Play) -> None:  # M3
    monitor = play.save(play.pending_owed().record_broadcast(FALLBACK.txid))
    with pytest.raises(InvalidEvent, match="cannot end like this"):
        receiver.apply(monitor, receiver.events.Closed(outcome=outcomes.PayjoinProposalSent()))


def test_a_stale_handle_cannot_append(play: Play) -> None:  # M5
    stale = play.monitor()
    play.save(stale.request_fallback())
    with pytest.raises(StaleSession):
        stale.request_fallback().save(play.log)


def test_a_closed_log_never_grows(play: Play) -> None:  # M1
    monitor = play.monitor()
    assert monitor.proposal is not None
    play.save(monitor.record_settlement(play.signed_payjoin(monitor.proposal), depth=2))
    with pytest.raises(StaleSession):
        monitor.request_fallback().save(play.log)
