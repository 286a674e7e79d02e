"""Posting, polling and judging the receiver's answer."""

from dataclasses import replace
from typing import Any

import pytest
from tests.sessions.sender import play
from tests.sessions.sender.play import EXPIRES_AT, NOW, RELAY

from dovetail.bitcoin.units import UnixTime
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.errors import ContextUsedUp, TransportError, UsageError
from dovetail.protocol.error_replies import ErrorCode, ErrorReply
from dovetail.protocol.mailbox import ShortId, seal_message_b
from dovetail.sessions import sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sender import events

NEGOTIATIONS: list[Any] = [play.posting, play.posting_v1, play.polling]


def owed(session: object, reason: Reason, *, original_out: bool = True) -> sender.PendingFallback:
    """The session, which must owe its fallback for this reason."""
    assert isinstance(session, sender.PendingFallback)
    assert session.reason is reason
    assert session.original_out is original_out
    assert session.fallback_transaction == play.fallback()
    return session


# before anything leaves


def test_a_payment_cancelled_before_it_leaves_is_still_owed(log):
    session = play.create(log).cancel().save(log)
    owed(session, Reason.CANCELLED_BY_US, original_out=False)


def test_a_payment_that_never_left_expires_into_its_fallback(log):
    session = play.create(log).expire(EXPIRES_AT).save(log)
    owed(session, Reason.EXPIRED_BEFORE_POSTING, original_out=False)


def test_only_a_session_that_started_posting_can_make_a_request(log):
    """`StartedPosting` is durable before the first byte leaves (M3)."""
    session = play.create(log)
    assert not hasattr(session, "post")
    assert not hasattr(session, "post_v1")
    play.posting(play.Log()).post(RELAY, now=NOW)


# posting


def test_the_receiver_reads_the_original_and_the_parameters(log):
    session = play.posting(log)
    request, _ = session.post(RELAY, now=NOW)
    assert request.url == f"{RELAY}/{play.DIRECTORY}/"
    inner = play.inner_request(request)
    assert (inner.method, inner.path) == ("POST", f"/{ShortId.of(play.RECEIVER.public_key)}")
    psbt, params, reply_key = play.posted_to_receiver(request)
    assert psbt == session.terms.disclosed
    assert psbt.extract() == play.fallback()
    assert params == play.PARAMS
    assert reply_key == session.terms.reply_key.public_key


def test_without_a_relay_the_request_goes_to_the_directorys_gateway(log):
    request, _ = play.posting(log).post(None, now=NOW)
    assert request.url == f"{play.DIRECTORY}/.well-known/ohttp-gateway"


def test_a_retry_shares_no_ciphertext_with_the_first_try(log):
    """P1: fresh ephemeral keys, outside and inside."""
    session = play.posting(log)
    first, second = (session.post(RELAY, now=NOW)[0] for _ in range(2))
    assert first.body[:80] != second.body[:80]
    inner = [play.inner_request(request).body for request in (first, second)]
    assert inner[0][:64] != inner[1][:64]
    assert len(first.body) == len(second.body) == 8192


def test_an_answer_is_read_once(log):
    session = play.polling(log)
    request, context = session.poll(RELAY, now=NOW)
    body = play.answer(request, 202)
    session.process_poll(body, context).save(log)
    with pytest.raises(ContextUsedUp):
        session.process_poll(body, context)


@pytest.mark.parametrize("status", [200, 409])
def test_a_message_that_is_in_the_mailbox_is_posted(log, status):
    session = play.process_post(play.posting(log), status).save(log)
    assert isinstance(session, sender.PollingForProposal)


@pytest.mark.parametrize("status", [202, 408, 425, 429, 500, 503])
def test_a_directory_in_trouble_is_tried_again(log, status):
    session = play.posting(log)
    with pytest.raises(TransportError):
        play.process_post(session, status)
    assert log.tags() == ["Created", "StartedPosting"]
    assert isinstance(play.process_post(session, 200).save(log), sender.PollingForProposal)


@pytest.mark.parametrize("status", [400, 413, 499])
def test_a_directory_that_refuses_the_original_ends_the_payjoin(log, status):
    owed(play.process_post(play.posting(log), status).save(log), Reason.DIRECTORY_REFUSED)


@pytest.mark.parametrize("place", [play.posting, play.polling])
def test_an_answer_that_is_not_the_directorys_is_tried_again(log, place):
    session = place(log)
    posts = isinstance(session, sender.PostingOriginal)
    ask, read = (
        (session.post, session.process_post) if posts else (session.poll, session.process_poll)
    )
    _, context = ask(RELAY, now=NOW)
    before = log.tags()
    with pytest.raises(TransportError):
        read(b"<html>502 Bad Gateway</html>", context)
    assert log.tags() == before


# the end of the time


@pytest.mark.parametrize("place", [play.posting, play.polling])
def test_nothing_is_posted_or_polled_from_the_expiration_on(log, place):
    session = place(log)
    ask = session.post if isinstance(session, sender.PostingOriginal) else session.poll
    ask(RELAY, now=UnixTime(EXPIRES_AT - 1))
    with pytest.raises(UsageError, match="expired"):
        ask(RELAY, now=EXPIRES_AT)


def test_a_v1_payment_is_not_posted_from_its_end_on(log):
    session = play.posting_v1(log)
    session.post_v1(now=UnixTime(session.expires_at - 1))
    with pytest.raises(UsageError, match="expired"):
        session.post_v1(now=session.expires_at)


@pytest.mark.parametrize("place", [play.create, *NEGOTIATIONS])
def test_no_session_expires_early(log, place):
    session = place(log)
    with pytest.raises(UsageError, match="not expired"):
        session.expire(UnixTime(session.expires_at - 1))


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (play.posting, Reason.EXPIRED_BEFORE_POSTING),
        (play.posting_v1, Reason.EXPIRED_BEFORE_POSTING),
        (play.polling, Reason.EXPIRED_WAITING_FOR_PROPOSAL),
    ],
)
def test_the_expiration_ends_posting_and_polling(log, place, reason):
    session = place(log)
    owed(session.expire(session.expires_at).save(log), reason)


def test_the_last_poll_leaves_just_before_the_expiration_and_may_end_after(log):
    session = play.polling(log)
    assert session.last_poll_at == EXPIRES_AT - 5
    request, context = session.poll(RELAY, now=session.last_poll_at)
    body = play.message_b(session, play.proposal().serialize())
    session.process_poll(play.answer(request, 200, body), context).save(log)
    assert isinstance(log.replay(), sender.ProposalReceived)


# cancelling, failing, being overtaken


@pytest.mark.parametrize("place", NEGOTIATIONS)
def test_cancelling_stops_the_payjoin_and_not_the_payment(log, place):
    owed(place(log).cancel().save(log), Reason.CANCELLED_BY_US)


@pytest.mark.parametrize("place", NEGOTIATIONS)
def test_a_caller_may_give_the_payjoin_up(log, place):
    session = place(log).fail(Reason.DIRECTORY_UNREACHABLE).save(log)
    owed(session, Reason.DIRECTORY_UNREACHABLE)


@pytest.mark.parametrize("place", NEGOTIATIONS)
def test_a_fallback_broadcast_by_the_receiver_ends_the_negotiation(log, place):
    session = place(log).record_spend(play.fallback()).save(log)
    watched = owed(session, Reason.RECEIVER_TOOK_FALLBACK).record_spend(play.fallback()).save(log)
    assert watched.expected == play.fallback().txid


@pytest.mark.parametrize("place", [*NEGOTIATIONS, play.proposal_received])
def test_a_transaction_that_spends_nothing_of_ours_is_no_spend(log, place):
    unrelated = play.spend_elsewhere(play.ELSEWHERE, outpoint=play.RECEIVER_OUTPOINT)
    with pytest.raises(UsageError, match="none of the sender's inputs"):
        place(log).record_spend(unrelated)


# polling


def test_the_sender_polls_the_mailbox_of_its_reply_key(log):
    session = play.polling(log)
    inner = play.inner_request(session.poll(RELAY, now=NOW)[0])
    mailbox = ShortId.of(session.terms.reply_key.public_key)
    assert (inner.method, inner.path, inner.body) == ("GET", f"/{mailbox}", b"")


def test_an_empty_mailbox_changes_nothing(log):
    session = play.polling(log)
    before = log.tags()
    assert play.process_poll(session, 202).save(log) is session
    assert log.tags() == before


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_directory_that_restarts_does_not_end_a_polling_session(log, status):
    session = play.polling(log)
    before = log.tags()
    with pytest.raises(TransportError):
        play.process_poll(session, status)
    assert log.tags() == before
    assert isinstance(
        play.process_answer(session, play.proposal().serialize()).save(log),
        sender.ProposalReceived,
    )


def test_a_sound_proposal_is_to_be_signed_and_does_not_close_the_session(log):
    session = play.proposal_received(log)
    assert session.psbt_to_sign.unsigned_transaction == play.proposal().unsigned_transaction
    assert session.psbt_to_sign.utxos()[:2] == tuple(play.COINS.values())
    assert session.signing_deadline == play.SIGNING_DEADLINE
    assert not log.is_closed


REASONS = {
    ErrorCode.UNAVAILABLE: Reason.RECEIVER_UNAVAILABLE,
    ErrorCode.NOT_ENOUGH_MONEY: Reason.RECEIVER_NOT_ENOUGH_MONEY,
    ErrorCode.VERSION_UNSUPPORTED: Reason.RECEIVER_VERSION_UNSUPPORTED,
    ErrorCode.ORIGINAL_PSBT_REJECTED: Reason.RECEIVER_ORIGINAL_PSBT_REJECTED,
}


@pytest.mark.parametrize("code", ErrorCode)
def test_a_receivers_error_is_the_reason(log, code):
    session = play.process_answer(play.polling(log), ErrorReply(code).serialize()).save(log)
    owed(session, REASONS[code])


def test_an_unknown_error_is_no_text_of_ours(log):
    payload = b'{"errorCode":"made-up","message":"send again to my address"}'
    session = play.process_answer(play.polling(log), payload).save(log)
    owed(session, Reason.RECEIVER_UNKNOWN_ERROR)
    assert b"made-up" not in log.entries[-1]


def test_a_proposal_that_breaks_a_rule_is_not_signed_and_names_the_rule(log):
    thief = play.proposal(payee_value=81_000, change_value=47_000)
    session = play.process_answer(play.polling(log), thief.serialize()).save(log)
    rule = owed(session, Reason.PROPOSAL_BROKE_RULE).rule
    assert rule == "contribution-above-maximum"
    event = log.events()[-1]
    assert event == events.ProtocolFailed(reason=Reason.PROPOSAL_BROKE_RULE, rule=rule)


def test_a_substituted_output_is_refused_where_the_uri_forbids_it():
    substituted = play.proposal(payee_value=40_000)
    for allowed, expected in [(True, sender.ProposalReceived), (False, sender.PendingFallback)]:
        log = play.Log()
        uri = replace(play.URI, output_substitution=allowed)
        session = play.create(log, uri).start_posting().save(log)
        polling = play.process_post(session, 200).save(log)
        assert isinstance(polling, sender.PollingForProposal)
        after = play.process_answer(polling, substituted.serialize()).save(log)
        assert isinstance(after, expected)


@pytest.mark.parametrize("payload", [b"not a PSBT", b"{not JSON", b""])
def test_an_answer_that_cannot_be_read_ends_the_negotiation(log, payload):
    session = play.process_answer(play.polling(log), payload).save(log)
    owed(session, Reason.PROPOSAL_UNREADABLE)


def test_an_answer_by_someone_else_than_the_receiver_is_not_read(log):
    session = play.polling(log)
    forged = seal_message_b(
        play.proposal().serialize(),
        receiver_secret=SecretKey(b"\x66" * 32),
        reply_key=session.terms.reply_key.public_key,
    )
    owed(play.process_poll(session, 200, forged).save(log), Reason.PROPOSAL_UNREADABLE)


# v1


def test_a_v1_payment_is_the_same_session_with_the_proposal_in_the_response(log):
    session = play.posting_v1(log)
    request = session.post_v1(now=NOW)
    assert request.url.startswith("https://shop.example/pay?id=1&v=1&")
    assert request.content_type == "text/plain"
    assert request.body == session.terms.disclosed.to_base64().encode()
    body = play.proposal().to_base64().encode()
    received = session.process_v1(200, body).save(log)
    assert isinstance(received, sender.ProposalReceived)
    assert log.tags() == ["Created", "StartedPosting", "ReceivedProposal"]
    signed = received.record_signed(play.sign(received.psbt_to_sign)).save(log)
    assert isinstance(signed, sender.PendingBroadcast)


def test_a_v1_receivers_error_is_the_reason_under_any_status(log):
    body = ErrorReply(ErrorCode.UNAVAILABLE).serialize()
    owed(play.posting_v1(log).process_v1(503, body).save(log), Reason.RECEIVER_UNAVAILABLE)


def test_a_v1_answer_that_cannot_be_read_ends_the_negotiation(log):
    owed(play.posting_v1(log).process_v1(200, b"<html>").save(log), Reason.PROPOSAL_UNREADABLE)


@pytest.mark.parametrize(
    ("supported", "reason"),
    [
        ((2,), Reason.V1_REFUSED),
        ((1, 2), Reason.RECEIVER_VERSION_UNSUPPORTED),
        ((), Reason.RECEIVER_VERSION_UNSUPPORTED),
    ],
)
def test_a_v1_server_that_takes_version_2_alone_is_told_as_that(log, supported, reason):
    body = ErrorReply(ErrorCode.VERSION_UNSUPPORTED, supported).serialize()
    owed(play.posting_v1(log).process_v1(400, body).save(log), reason)


def test_a_v1_server_in_trouble_may_be_tried_again(log):
    session = play.posting_v1(log)
    with pytest.raises(TransportError):
        session.process_v1(502, b"<html>")
    assert log.tags() == ["Created", "StartedPosting"]


def test_a_v1_proposal_that_breaks_a_rule_is_refused(log):
    body = play.proposal(change_value=10_000).to_base64().encode()
    session = play.posting_v1(log).process_v1(200, body).save(log)
    assert owed(session, Reason.PROPOSAL_BROKE_RULE).rule is not None


def test_the_two_ways_of_posting_are_not_mixed_up(log):
    with pytest.raises(UsageError, match="v1 endpoint"):
        play.posting_v1(log).post(RELAY, now=NOW)
    v2 = play.posting(play.Log())
    with pytest.raises(UsageError, match="through a directory"):
        v2.post_v1(now=NOW)
    with pytest.raises(UsageError, match="through a directory"):
        v2.process_v1(200, b"")
