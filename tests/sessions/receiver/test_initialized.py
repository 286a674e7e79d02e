"""Before a sender appears, and what is made of what lies in the mailbox."""

import msgspec
import pytest
from tests.sessions.receiver.play import (
    AMOUNT,
    BOB,
    ELSEWHERE,
    EXPIRES_AT,
    NOW,
    ORIGINAL,
    PARAMS,
    RECEIVED,
    RELAY,
    REPLY_KEY,
    SENDER_COINS,
    Play,
    expect,
)

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.units import UnixTime
from dovetail.errors import (
    InvalidMessage,
    InvalidUri,
    OriginalRejected,
    TransportError,
    UsageError,
)
from dovetail.protocol.error_replies import ErrorCode
from dovetail.protocol.mailbox import encode_original
from dovetail.protocol.params import SenderParams
from dovetail.protocol.uri import PayjoinUri, V1Endpoint
from dovetail.sessions import outcomes, receiver
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver.events import Channel


def _create_v1(url: str = "https://shop.example/pay") -> receiver.Initialized:
    play = Play()
    return play.save(receiver.create_v1(address=BOB.address(0), url=url, expires_at=EXPIRES_AT))


def test_the_uri_tells_the_sender_all_they_need(play: Play) -> None:
    uri = PayjoinUri.parse(play.created().payjoin_uri.serialize())
    assert uri.address == BOB.address(0)
    assert uri.amount == AMOUNT
    assert uri.label == "coffee"
    assert uri.output_substitution


def test_welcoming_v1_senders_rules_out_output_substitution(play: Play) -> None:
    assert not play.created(v1=True).payjoin_uri.output_substitution


def test_a_session_without_an_amount_leaves_it_to_the_sender(play: Play) -> None:
    assert play.created(amount=None).payjoin_uri.amount is None


def test_a_fresh_key_is_drawn_where_none_is_given(play: Play) -> None:
    ids = {
        Play()
        .save(
            receiver.create(
                address=BOB.address(0),
                directory=play.directory.origin,
                ohttp_keys=play.directory.config,
                expires_at=EXPIRES_AT,
            )
        )
        .short_id
        for _ in range(2)
    }
    assert len(ids) == 2


def test_a_v1_session_shows_the_servers_own_url() -> None:
    session = _create_v1()
    assert session.payjoin_uri.endpoint == V1Endpoint("https://shop.example/pay")


def test_nothing_begins_that_no_uri_can_name(play: Play) -> None:
    with pytest.raises(InvalidUri):
        _create_v1("ftp://shop.example")
    with pytest.raises(InvalidUri):
        receiver.create(
            address=BOB.address(0),
            directory="https://directory.example/path",
            ohttp_keys=play.directory.config,
            expires_at=EXPIRES_AT,
        )


@pytest.mark.parametrize(("grace", "depth"), [(-1, 1), (0, 0)])
def test_nothing_begins_with_senseless_terms(grace: int, depth: int) -> None:
    with pytest.raises(UsageError, match="grace"):
        receiver.create_v1(
            address=BOB.address(0),
            url="https://shop.example",
            expires_at=EXPIRES_AT,
            grace=grace,
            depth=depth,
        )


def test_a_session_served_over_http_has_no_mailbox() -> None:
    session = _create_v1()
    with pytest.raises(UsageError, match="served over HTTP"):
        session.poll(RELAY, now=NOW)
    with pytest.raises(UsageError, match="served over HTTP"):
        _ = session.short_id


def test_an_empty_mailbox_changes_nothing(play: Play) -> None:  # stasis
    session = play.created()
    assert play.poll(session) is session
    assert len(play.log.events) == 1


def test_every_poll_is_encrypted_afresh(play: Play) -> None:  # P1
    session = play.created()
    play.poll(session)
    play.poll(session)
    assert len(set(play.directory.bodies)) == 2


def test_polling_ends_with_the_expiration(play: Play) -> None:
    with pytest.raises(UsageError, match="has expired"):
        play.created().poll(RELAY, now=EXPIRES_AT)


def test_without_a_relay_the_poll_goes_to_the_gateway(play: Play) -> None:
    request, _ = play.created().poll(None, now=NOW)
    assert request.url.startswith(play.directory.origin)


def test_a_failing_directory_leaves_the_session_as_it_is(play: Play) -> None:
    session = play.created()
    play.directory.status = 503
    with pytest.raises(TransportError):
        play.poll(session)
    play.directory.status = None
    assert play.poll(session) is session


def test_an_original_is_stored_with_what_the_sender_asks(play: Play) -> None:
    session = play.retrieved()
    assert session.original == ORIGINAL
    assert session.params == PARAMS
    assert session.transaction == ORIGINAL.extract()
    assert session.payload.reply_to.channel is Channel.MAILBOX
    assert session.payload.reply_to.reply_key == REPLY_KEY.public_key


def test_an_original_may_come_without_a_fee_contribution(play: Play) -> None:
    assert play.retrieved(params=SenderParams()).params.fee_contribution is None


@pytest.mark.parametrize("message", [b"\xff" * 7168, b"\xff" * 12, b"\x00\xff" * 3584])
def test_bytes_that_do_not_open_are_ignored(play: Play, message: bytes) -> None:
    session = play.created()
    play.put_raw(message)
    assert play.poll(session) is session


def test_plaintext_is_ignored_where_v1_senders_are_not_welcome(play: Play) -> None:
    session = play.created()
    play.put_raw(ORIGINAL.to_base64().encode() + b"\nv=1")
    assert play.poll(session) is session


def _unfinished() -> Psbt:
    return Psbt.from_unsigned(ORIGINAL.unsigned_transaction)


@pytest.mark.parametrize("body", [b"", b"nonsense", _unfinished().to_base64().encode()])
def test_unsound_plaintext_is_ignored(play: Play, body: bytes) -> None:
    session = play.created(v1=True)
    play.put_raw(body)
    assert play.poll(session) is session


def test_a_v1_sender_through_the_directory_rules_out_output_substitution(play: Play) -> None:
    session = play.retrieved_v1()
    assert session.params.version == 1
    assert not session.params.output_substitution
    assert session.payload.reply_to.channel is Channel.V1_DIRECTORY


def test_a_v2_sender_may_write_to_a_session_that_welcomes_v1(play: Play) -> None:
    session = play.created(v1=True)
    play.put(encode_original(ORIGINAL, PARAMS))
    retrieved = expect(play.poll(session), receiver.UncheckedOriginalPayload)
    assert retrieved.params.version == 2


@pytest.mark.parametrize(
    ("body", "reason", "code"),
    [
        (b"nonsense", Reason.ORIGINAL_MALFORMED, ErrorCode.ORIGINAL_PSBT_REJECTED),
        (
            _unfinished().to_base64().encode() + b"\nv=2",
            Reason.ORIGINAL_MALFORMED,
            ErrorCode.ORIGINAL_PSBT_REJECTED,
        ),
        (
            ORIGINAL.to_base64().encode() + b"\nv=3",
            Reason.ORIGINAL_VERSION_UNSUPPORTED,
            ErrorCode.VERSION_UNSUPPORTED,
        ),
    ],
)
def test_an_original_that_opens_but_breaks_the_rules_is_answered(
    play: Play, body: bytes, reason: Reason, code: ErrorCode
) -> None:
    session = play.created()
    play.put(body)
    error = expect(play.poll(session), receiver.HasReplyableError)
    assert error.reason is reason
    assert error.error.code is code
    assert error.held is None
    assert error.reply_to.reply_key == REPLY_KEY.public_key


def test_the_versions_that_are_spoken_are_named(play: Play) -> None:
    session = play.created()
    play.put(ORIGINAL.to_base64().encode() + b"\nv=3")
    error = expect(play.poll(session), receiver.HasReplyableError)
    assert error.error.supported == (1, 2)


def test_a_v1_sender_over_http_is_the_same_session(play: Play) -> None:
    session = play.retrieved_http()
    assert session.original == ORIGINAL
    assert session.params.version == 1
    assert session.payload.reply_to.channel is Channel.V1_HTTP


def test_output_substitution_stays_allowed_over_http(play: Play) -> None:
    assert play.retrieved_http().params.output_substitution


@pytest.mark.parametrize(
    ("body", "query", "error"),
    [
        (b"nonsense", "v=1", InvalidMessage),
        (ORIGINAL.to_base64().encode(), "v=2", InvalidMessage),
        (_unfinished().to_base64().encode(), "v=1", OriginalRejected),
    ],
)
def test_what_is_wrong_over_http_changes_nothing(
    body: bytes, query: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        _create_v1().receive_v1(body, query, now=NOW)


def test_nothing_is_received_over_http_after_the_expiration() -> None:
    with pytest.raises(UsageError, match="has expired"):
        _create_v1().receive_v1(ORIGINAL.to_base64().encode(), "v=1", now=EXPIRES_AT)


def test_a_session_does_not_expire_early(play: Play) -> None:
    with pytest.raises(UsageError, match="not expired"):
        play.created().expire(UnixTime(EXPIRES_AT - 1)).save(play.log)


def test_an_unpaid_session_ends_as_it_was_ended(play: Play) -> None:
    session = play.created()
    assert Play(log=play.log).save(session.expire(EXPIRES_AT)).outcome == outcomes.Expired()
    direct = Play()
    closed = direct.save(direct.created().record_payment(RECEIVED))
    assert closed.outcome == outcomes.PaidDirectly(txid=str(ELSEWHERE), received=AMOUNT)
    stopped = Play()
    ended = stopped.save(stopped.created().cancel())
    assert ended.outcome == outcomes.Cancelled(why=Reason.CANCELLED_BY_US)
    assert ended.payjoin is None


def test_the_facts_of_the_session_can_be_asked_of_every_state(play: Play) -> None:
    session = play.retrieved()
    assert session.address == BOB.address(0)
    assert session.expires_at == EXPIRES_AT
    assert session.created.label == "coffee"
    assert session.contested == tuple(coin.outpoint for coin in SENDER_COINS)


@pytest.mark.parametrize("index", [4_294_967_295, 4_294_967_296, 9_999_999_999_999_999])
def test_no_output_a_sender_names_makes_the_log_unreadable(play: Play, index: int) -> None:  # M2
    session = play.created()
    query = f"v=2&maxadditionalfeecontribution=1&additionalfeeoutputindex={index}"
    play.put(f"{ORIGINAL.to_base64()}\n{query}".encode())
    live = expect(play.poll(session), receiver.UncheckedOriginalPayload)
    entries = map(receiver.encode_event, play.log.events)
    assert receiver.replay(map(receiver.decode_event, entries)) == live


def test_a_log_that_holds_an_index_beyond_all_outputs_still_reads(play: Play) -> None:  # M2
    play.retrieved()
    event = play.log.events[1]
    assert isinstance(event, receiver.events.RetrievedOriginalPayload)
    odd = msgspec.structs.replace(event, fee_contribution=(1, 9_999_999_999_999_999))
    assert receiver.decode_event(receiver.encode_event(odd)) == odd
