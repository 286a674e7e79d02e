"""An error the sender can act on."""

import json

import pytest
from tests.sessions.receiver.play import (
    AMOUNT,
    ELSEWHERE,
    EXPIRES_AT,
    NOW,
    RECEIVED,
    RECEIVER_KEY,
    RELAY,
    REPLY_KEY,
    Play,
    expect,
)

from dovetail.errors import TransportError, UsageError
from dovetail.protocol.error_replies import ErrorCode, ErrorReply
from dovetail.protocol.mailbox import ShortId, open_message_b
from dovetail.sessions import outcomes, receiver
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver.replying import error_code


def test_every_reason_becomes_a_code_the_sender_knows() -> None:
    assert {error_code(reason) for reason in Reason} == set(ErrorCode)


def test_the_error_reaches_the_senders_mailbox(play: Play) -> None:
    error = play.error_owed()
    request, context = error.reply(RELAY, now=NOW)
    pending = play.save(error.process_reply(play.directory.serve(request), context))
    message = play.directory.mailboxes[str(ShortId.of(REPLY_KEY.public_key))]
    opened = open_message_b(message, reply_secret=REPLY_KEY, receiver_key=RECEIVER_KEY.public_key)
    assert opened == ErrorReply(ErrorCode.UNAVAILABLE)
    assert expect(pending, receiver.PendingFallback).reason is Reason.NO_COINS_TO_CONTRIBUTE


def test_a_failed_reply_can_be_tried_again(play: Play) -> None:
    error = play.error_owed()
    play.directory.status = 503
    request, context = error.reply(RELAY, now=NOW)
    with pytest.raises(TransportError):
        error.process_reply(play.directory.serve(request), context)
    again, _ = error.reply(RELAY, now=NOW)
    assert again.body != request.body  # P1


def _v1_error(play: Play) -> receiver.HasReplyableError:
    return play.save(play.wants_inputs(play.retrieved_v1()).cannot_contribute())


def test_a_v1_sender_reads_json_from_our_mailbox(play: Play) -> None:
    error = _v1_error(play)
    request, context = error.reply(RELAY, now=NOW)
    play.save(error.process_reply(play.directory.serve(request), context))
    assert json.loads(play.directory.replies[play.short_id])["errorCode"] == "unavailable"


def test_a_v1_sender_who_is_gone_is_final(play: Play) -> None:
    error = _v1_error(play)
    play.directory.status = 410
    request, context = error.reply(RELAY, now=NOW)
    play.save(error.process_reply(play.directory.serve(request), context))
    assert type(play.log.events[-1]).__name__ == "ReplyFailed"


def test_over_http_the_error_is_the_response(play: Play) -> None:
    error = play.save(play.wants_inputs(play.retrieved_http()).cannot_contribute())
    assert json.loads(error.v1_body)["errorCode"] == "unavailable"
    with pytest.raises(UsageError, match="waits for an HTTP response"):
        error.reply(RELAY, now=NOW)
    assert isinstance(play.save(error.record_replied()), receiver.PendingFallback)


def test_only_an_http_response_is_recorded_by_hand(play: Play) -> None:
    with pytest.raises(UsageError, match="through the directory"):
        play.error_owed().record_replied()


def test_replying_ends_with_the_expiration(play: Play) -> None:
    with pytest.raises(UsageError, match="has expired"):
        play.error_owed().reply(RELAY, now=EXPIRES_AT)


def test_it_does_not_expire_early(play: Play) -> None:
    with pytest.raises(UsageError, match="not expired"):
        play.error_owed().expire(NOW)


def test_without_a_fallback_the_session_ends_with_the_reply(play: Play) -> None:
    closed = expect(play.save(play.error_without_fallback().reply_failed()), receiver.Closed)
    assert closed.outcome == outcomes.Cancelled(why=Reason.ORIGINAL_NOT_BROADCASTABLE)
    assert play.log.closed


def test_a_payment_seen_meanwhile_ends_a_session_without_a_fallback(play: Play) -> None:
    closed = expect(
        play.save(play.error_without_fallback().record_payment(RECEIVED)), receiver.Closed
    )
    assert closed.outcome == outcomes.PaidDirectly(txid=str(ELSEWHERE), received=AMOUNT)


def test_a_payment_holds_back_a_fallback_that_is_held(play: Play) -> None:  # M3, M4
    pending = expect(
        play.save(play.error_owed().record_payment(RECEIVED)), receiver.PendingFallback
    )
    assert pending.paid_by == (str(ELSEWHERE),)
    assert pending.due_at is None


@pytest.mark.parametrize("held", [True, False])
def test_what_was_held_stays_held_and_what_was_owed_stays_owed(*, held: bool) -> None:
    play = Play()
    error = play.error_held() if held else play.error_owed()
    pending = expect(play.save(error.cancel()), receiver.PendingFallback)
    assert pending.owed is not held
    assert not pending.proposal_out
