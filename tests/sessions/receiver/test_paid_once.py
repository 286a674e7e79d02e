"""Payments beside payjoin and fallback, and what can never be paid (M3, M4)."""

from collections.abc import Callable

import pytest
from tests.sessions.receiver.play import (
    ALICE,
    AMOUNT,
    BOB,
    ELSEWHERE,
    EXPIRES_AT,
    FALLBACK,
    GRACE,
    HEIGHT,
    NOW,
    RECEIVED,
    RECEIVER_COIN,
    RELAY,
    SEEN,
    UNRELATED,
    Play,
    expect,
    spend_to,
)

from dovetail.bitcoin.transaction import Transaction, Txid, TxIn
from dovetail.bitcoin.units import Sats, UnixTime
from dovetail.errors import InvalidEvent, UsageError
from dovetail.sessions import outcomes, receiver
from dovetail.sessions.other_payments import MOST_NAMED, Receipt, Receipts
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import events as e
from dovetail.sessions.receiver.initialized import MOST_REFUSED

END = UnixTime(EXPIRES_AT + GRACE)


def txid(number: int) -> Txid:
    return Txid(bytes([number]) * 32)


def received(*parts: tuple[int, int], asked: int | None = AMOUNT) -> Receipts:
    found = (Receipt(txid(at), Sats(value), depth) for at, (value, depth) in enumerate(parts))
    return Receipts.of(found, asked=asked)


def test_the_deepest_way_to_make_up_the_amount_counts() -> None:
    assert received((49_000, 2), (1_000, 1)).depth == 1
    assert received((50_000, 1), (50_000, 3)).txids == (txid(1),)
    assert received((10, 9), (50_000, 3), (20_000, 0)) == Receipts(
        txids=(txid(1),),
        amount=Sats(70_010),
        full=True,
        depth=3,
        beyond=(txid(2), txid(0)),
    )


def test_what_falls_short_is_named_by_its_largest_parts() -> None:
    short = received(*((value, 1) for value in range(1, 20)))
    assert not short.full
    assert len(short.txids) == MOST_NAMED
    assert short.amount == sum(range(1, 20))


def test_without_an_amount_anything_counts() -> None:
    assert received((1, 0), asked=None).full
    assert not received(asked=None).full


def test_a_payment_is_noted_once_and_closes_once_it_is_deep(play: Play) -> None:
    pending = expect(
        play.save(play.pending_owed().record_payment(SEEN, now=NOW)), receiver.PendingFallback
    )
    assert play.save(pending.record_payment(SEEN, now=NOW)) is pending
    closed = expect(play.save(pending.record_payment(RECEIVED, now=NOW)), receiver.Closed)
    assert closed.outcome == outcomes.PaidDirectly(txid=str(ELSEWHERE), received=AMOUNT)


def test_less_than_was_asked_for_is_no_payment(play: Play) -> None:
    with pytest.raises(UsageError, match="less than was asked for"):
        play.pending_owed().record_payment(received((1, 5)), now=NOW)


def test_with_a_proposal_out_a_payjoin_is_waited_for(play: Play) -> None:
    monitor = expect(play.save(play.monitor().record_payment(RECEIVED, now=NOW)), receiver.Monitor)
    assert monitor.due_at is None
    with pytest.raises(UsageError, match="not due"):
        monitor.fallback_due(END)
    assert monitor.proposal is not None
    payjoin = play.signed_payjoin(monitor.proposal)
    closed = play.save(monitor.record_settlement(payjoin, depth=2, received=RECEIVED))
    assert isinstance(expect(closed, receiver.Closed).outcome, outcomes.Success)


def test_only_a_word_given_after_it_stands_against_a_payment(play: Play) -> None:
    pending = play.save(play.pending_owed().request_fallback())
    paid = expect(play.save(pending.record_payment(SEEN, now=NOW)), receiver.PendingFallback)
    assert paid.due_at is None
    insisted = play.save(paid.request_fallback())
    assert insisted.due_at == 0
    assert play.save(insisted.request_fallback()) is insisted


def test_a_payment_that_was_noted_is_watched_after_a_release(play: Play) -> None:
    paid = expect(
        play.save(play.pending_owed().record_payment(SEEN, now=NOW)), receiver.PendingFallback
    )
    monitor = expect(play.save(paid.release(spends=())), receiver.Monitor)
    assert monitor.released
    with pytest.raises(UsageError, match="may still be made"):
        monitor.expire(UnixTime(END - 1))
    assert play.save(monitor.expire(END, received=RECEIVED)).closed


def test_a_payment_that_nobody_signed_ends_its_session(play: Play) -> None:
    closed = play.save(play.monitor().record_invalid(now=END, received=RECEIVED))
    assert closed.outcome == outcomes.Cancelled(
        why=Reason.FALLBACK_INVALID, received=AMOUNT, txids=(str(ELSEWHERE),)
    )


def test_what_may_still_be_paid_is_not_given_up(play: Play) -> None:
    with pytest.raises(UsageError, match="may still be made"):
        play.monitor().record_invalid(now=UnixTime(END - 1))


def test_a_session_that_owes_nothing_ends_with_its_reason(play: Play) -> None:
    failed = play.save(play.maybe_inputs_seen().fail(Reason.WALLET_UNAVAILABLE))
    closed = play.save(failed.expire(END, received=received((1, 1))))
    assert closed.outcome == outcomes.Expired(
        why=Reason.WALLET_UNAVAILABLE, received=1, txids=(str(txid(0)),)
    )


def test_a_part_and_a_spend_may_be_the_payment_together(play: Play) -> None:
    monitor = play.save(play.pending_owed().record_spend(spend_to(BOB.script(0), 40_000)))
    spend = spend_to(BOB.script(0), 40_000)
    closed = play.save(monitor.record_settlement(spend, depth=2, received=received((10_000, 2))))
    assert expect(closed, receiver.Closed).outcome == outcomes.PaidDirectly(
        txid=str(spend.txid), others=(str(txid(0)),), received=50_000
    )


def test_a_strangers_spend_beside_a_payment_is_a_payment(play: Play) -> None:
    spend = spend_to(ALICE.script(3))
    monitor = play.save(play.pending_owed().record_spend(spend))
    closed = play.save(monitor.record_settlement(spend, depth=2, received=RECEIVED))
    assert expect(closed, receiver.Closed).outcome == outcomes.PaidDirectly(
        txid=str(ELSEWHERE), received=AMOUNT
    )


def test_a_strangers_spend_tells_what_came_besides(play: Play) -> None:
    spend = spend_to(ALICE.script(3))
    monitor = play.save(play.pending_owed().record_spend(spend))
    closed = play.save(monitor.record_settlement(spend, depth=2, received=received((7, 1))))
    assert expect(closed, receiver.Closed).outcome == outcomes.Unrecognized(
        txid=str(spend.txid), received=7
    )


def test_coins_that_were_shown_are_freed_by_spending_them(play: Play) -> None:
    released = expect(play.save(play.pending_after_proposal().release(spends=())), receiver.Monitor)
    assert released.exposed == (RECEIVER_COIN.outpoint,)
    freeing = Transaction(2, (TxIn(RECEIVER_COIN.outpoint),), UNRELATED.outputs, 0)
    assert play.save(released.record_revoked(freeing, depth=1)) is released
    closed = expect(play.save(released.record_revoked(freeing, depth=2)), receiver.Closed)
    assert closed.outcome == outcomes.Revoked(txid=str(freeing.txid))


def test_coins_that_are_freed_do_not_hide_that_the_invoice_was_paid(play: Play) -> None:
    released = expect(play.save(play.pending_after_proposal().release(spends=())), receiver.Monitor)
    freeing = Transaction(2, (TxIn(RECEIVER_COIN.outpoint),), UNRELATED.outputs, 0)
    shallow, deep = received((AMOUNT, 1)), received((AMOUNT, 2))
    assert play.save(released.record_revoked(freeing, depth=2, received=shallow)) is released
    closed = play.save(released.record_revoked(freeing, depth=2, received=deep))
    assert expect(closed, receiver.Closed).outcome == outcomes.PaidDirectly(
        txid=str(txid(0)), received=AMOUNT
    )


def test_nothing_is_freed_before_a_release(play: Play) -> None:
    freeing = Transaction(2, (TxIn(RECEIVER_COIN.outpoint),), UNRELATED.outputs, 0)
    with pytest.raises(UsageError, match="may still be made"):
        play.monitor().record_revoked(freeing, depth=2)


def test_a_spend_that_is_none_is_refused_while_negotiating(play: Play) -> None:
    with pytest.raises(UsageError, match="none of the sender's inputs"):
        play.wants_inputs().record_spend(UNRELATED)
    with pytest.raises(UsageError, match="none of the sender's inputs"):
        Play().error_owed().record_spend(UNRELATED)


def test_the_fallback_itself_settles_and_a_stranger_does_not(play: Play) -> None:
    wants = play.wants_inputs()
    assert wants.settles(FALLBACK)
    assert not wants.settles(spend_to(ALICE.script(3)))


def test_a_reply_without_a_payment_has_nothing_to_ask_for(play: Play) -> None:
    error = play.error_without_fallback()
    with pytest.raises(UsageError, match="No payment is held"):
        error.request_fallback()
    for event in (
        e.FallbackRequested(),
        e.ObservedSpend(txid="00" * 32),
        e.ObservedPayment(txids=("00" * 32,), received=1),
    ):
        with pytest.raises(InvalidEvent):
            receiver.apply(error, event)


def test_an_owed_payment_does_not_reopen_the_link(play: Play) -> None:
    error = play.error_owed()
    with pytest.raises(UsageError, match="payment is held"):
        receiver.reopen(error)


def test_a_payment_is_noted_with_its_transactions(play: Play) -> None:
    nobody = e.ObservedPayment(txids=(), received=1)
    for session in (play.wants_inputs(), Play().pending_owed(), Play().error_owed()):
        with pytest.raises(InvalidEvent):
            receiver.apply(session, nobody)


def test_what_was_refused_is_not_judged_again(play: Play) -> None:
    waiting = play.save(receiver.reopen(play.error_without_fallback()))
    assert "RefusedOriginal for" in repr(waiting.refused[0])
    assert play.poll(waiting) is waiting
    assert waiting.refusal(b"") is None
    closed = play.save(waiting.expire(EXPIRES_AT))
    assert closed.outcome == outcomes.Expired(why=Reason.ORIGINAL_NOT_BROADCASTABLE)


def test_a_v1_sender_through_the_directory_is_not_judged_again(play: Play) -> None:
    unchecked = play.retrieved_v1()
    error = play.save(unchecked.refuse(Reason.ORIGINAL_NOT_BROADCASTABLE))
    waiting = play.save(receiver.reopen(error))
    assert waiting.refusal(unchecked.original.serialize()) is Reason.ORIGINAL_NOT_BROADCASTABLE
    assert play.poll(waiting) is waiting


def test_after_many_that_do_not_count_only_the_address_is_watched(play: Play) -> None:
    waiting = play.save(receiver.reopen(play.error_without_fallback()))
    while waiting.takes_originals:
        session = receiver.apply(waiting, play.log.events[1])
        refusing = receiver.apply(session, play.log.events[2])
        reopened = receiver.apply(refusing, e.Reopened())
        waiting = expect(reopened, receiver.Initialized)
    assert len(waiting.refused) == MOST_REFUSED
    with pytest.raises(UsageError, match="watch its address only"):
        waiting.poll(None, now=NOW)


@pytest.mark.parametrize("part", [50_000, 10_000])
def test_a_rival_in_a_block_makes_no_payment_of_one_that_may_be_replaced(
    play: Play, part: int
) -> None:
    rival = spend_to(BOB.script(0), 40_000) if part < 50_000 else spend_to(ALICE.script(3))
    monitor = play.save(play.pending_owed().record_spend(rival))
    waiting = play.save(monitor.record_settlement(rival, depth=2, received=received((part, 0))))
    assert waiting == monitor
    gone = expect(waiting, receiver.Monitor).record_settlement(rival, depth=2, received=received())
    outcome = expect(play.save(gone), receiver.Closed).outcome
    assert isinstance(outcome, outcomes.Unrecognized)


ENDS: dict[str, Callable[[receiver.HasReplyableError], object]] = {
    "reply failed": lambda error: error.reply_failed(),
    "cancelled": lambda error: error.cancel(),
    "expired": lambda error: error.expire(EXPIRES_AT),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_payment_that_was_only_seen_closes_nothing_whoever_says_so(play: Play, end: str) -> None:
    """M3: the payment may still vanish. The session goes on looking, and closes on its depth."""
    error = play.save(play.retrieved().refuse_as_paid(ELSEWHERE))
    with pytest.raises(UsageError, match="must confirm first"):
        ENDS[end](error)
    waiting = play.save(receiver.reopen(error))
    with pytest.raises(UsageError, match="not deep enough"):
        waiting.record_payment(SEEN)
    closed = play.save(waiting.record_payment(RECEIVED))
    assert isinstance(closed.outcome, outcomes.PaidDirectly)


def test_a_told_sender_closes_nothing_where_a_payment_was_only_seen(play: Play) -> None:
    error = play.save(play.retrieved().refuse_as_paid(ELSEWHERE))
    request, context = error.reply(RELAY, now=NOW)
    told = play.directory.serve(request)
    with pytest.raises(UsageError, match="must confirm first"):
        error.process_reply(told, context)


def test_an_http_answer_closes_nothing_where_a_payment_was_only_seen(play: Play) -> None:
    error = play.save(play.retrieved_http().refuse_as_paid(ELSEWHERE))
    with pytest.raises(UsageError, match="must confirm first"):
        error.record_replied()


def test_no_early_state_closes_on_a_shallow_payment(play: Play) -> None:
    error = play.error_without_fallback()
    with pytest.raises(UsageError, match="not deep enough"):
        error.record_payment(SEEN)


def test_an_unchecked_original_closes_on_no_shallow_payment(play: Play) -> None:
    with pytest.raises(UsageError, match="not deep enough"):
        play.retrieved().record_payment(SEEN)


def test_coins_that_may_come_back_end_nothing() -> None:
    play = Play()
    missed = play.save(play.pending_owed().record_coins(missing=True, height=HEIGHT + 1))
    with pytest.raises(UsageError, match="may come back"):
        missed.record_gone(height=HEIGHT + 6)
