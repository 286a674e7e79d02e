import copy
import pickle

import pytest
from tests.protocol.examples import GATEWAY, ORIGINAL, PROPOSAL, peer_message

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.units import Sats
from dovetail.crypto.bhttp import BhttpRequest, BhttpResponse
from dovetail.crypto.entropy import SeededEntropy
from dovetail.crypto.ohttp import ReplyContext, decapsulate
from dovetail.errors import (
    ContextUsedUp,
    InvalidMessage,
    PayloadTooLarge,
    TransportError,
    UnsupportedVersion,
)
from dovetail.protocol.error_replies import ErrorCode, ErrorReply
from dovetail.protocol.mailbox import ShortId
from dovetail.protocol.params import FeeContribution, SenderParams
from dovetail.protocol.requests import (
    OHTTP_MESSAGE_SIZE,
    V1_BODY_LIMIT,
    MailboxReply,
    OhttpContext,
    Request,
    poll_mailbox,
    post_to_mailbox,
    read_v1_request,
    v1_reply,
    v1_request,
)

PSBT = Psbt.from_base64(ORIGINAL)
RELAY = "https://relay.example"
DIRECTORY = "https://payjo.in"
MAILBOX = ShortId("TXJCGKTKXLUUZ")


def post(body: bytes = b"message", relay: str | None = RELAY) -> tuple[Request, OhttpContext]:
    return post_to_mailbox(
        relay=relay, directory=DIRECTORY, short_id=MAILBOX, ohttp_keys=GATEWAY.config, body=body
    )


def poll() -> tuple[Request, OhttpContext]:
    return poll_mailbox(
        relay=RELAY, directory=DIRECTORY, short_id=MAILBOX, ohttp_keys=GATEWAY.config
    )


def at_gateway(request: Request) -> tuple[BhttpRequest, ReplyContext]:
    padded, context = decapsulate(GATEWAY, request.body)
    assert len(padded) == 8104
    return BhttpRequest.parse(padded), context


def answered(status: int, body: bytes = b"", size: int = 8144) -> MailboxReply:
    request, context = poll()
    _, reply = at_gateway(request)
    return context.open(reply.seal(BhttpResponse(status, body=body).serialize(size)))


# Source: BIP 77, OHTTP Encapsulated Request; rust-payjoin, core/ohttp.rs (no header fields).
def test_a_post_becomes_8192_bytes_for_the_gateway() -> None:
    request, _ = post(b"m" * 7168)
    assert len(request.body) == OHTTP_MESSAGE_SIZE == 8192
    assert request.content_type == "message/ohttp-req"
    inner, _ = at_gateway(request)
    assert inner == BhttpRequest("POST", "https", "payjo.in", f"/{MAILBOX}", (), b"m" * 7168)


def test_a_put_answers_a_v1_sender() -> None:
    request, _ = post_to_mailbox(
        relay=RELAY,
        directory="http://localhost:8080",
        short_id=MAILBOX,
        ohttp_keys=GATEWAY.config,
        body=PROPOSAL.encode(),
        method="PUT",
    )
    inner, _ = at_gateway(request)
    assert inner == BhttpRequest(
        "PUT", "http", "localhost:8080", f"/{MAILBOX}", (), PROPOSAL.encode()
    )


def test_a_poll_is_a_get_of_the_same_size() -> None:
    request, _ = poll()
    assert len(request.body) == OHTTP_MESSAGE_SIZE
    inner, _ = at_gateway(request)
    assert inner == BhttpRequest("GET", "https", "payjo.in", f"/{MAILBOX}")


# Source: tests/vectors/rust_payjoin_messages.json.
@pytest.mark.parametrize(("name", "body"), [("ohttp_post", b"message"), ("ohttp_get", b"")])
def test_a_request_is_the_one_of_another_implementation_but_for_keys_and_padding(
    name: str, body: bytes
) -> None:
    theirs = peer_message(name)
    ours = (post(body) if body else poll())[0].body
    assert len(ours) == len(theirs)
    assert ours[:8] == theirs[:8]
    their_padded, _ = decapsulate(GATEWAY, theirs)
    our_padded, _ = decapsulate(GATEWAY, ours)
    size = len(BhttpRequest.parse(their_padded).serialize())
    assert our_padded[:size] == their_padded[:size]
    assert our_padded[size:] != their_padded[size:]


# Source: rust-payjoin, core/send/v2, test_extract_v2_success.
@pytest.mark.parametrize("relay", [RELAY, RELAY + "/"])
def test_the_relay_learns_the_directory_but_not_the_mailbox(relay: str) -> None:
    request, _ = post(relay=relay)
    assert request.url == "https://relay.example/https://payjo.in/"


def test_without_a_relay_the_request_goes_to_the_gateway_itself() -> None:
    assert post(relay=None)[0].url == "https://payjo.in/.well-known/ohttp-gateway"


def test_a_retry_shares_no_byte_of_ciphertext_and_the_same_entropy_all() -> None:
    first, second = post()[0].body, post()[0].body
    assert first[7:72] != second[7:72]
    assert first[72:] != second[72:]

    def replayed() -> bytes:
        return poll_mailbox(
            relay=None,
            directory=DIRECTORY,
            short_id=MAILBOX,
            ohttp_keys=GATEWAY.config,
            entropy=SeededEntropy(b"seed"),
        )[0].body

    assert replayed() == replayed()


def test_a_body_that_does_not_fit_is_refused() -> None:
    with pytest.raises(PayloadTooLarge):
        post(b"m" * 8104)


def test_the_answer_is_read_once() -> None:
    request, context = poll()
    _, reply = at_gateway(request)
    sealed = reply.seal(BhttpResponse(200, body=b"mail").serialize(8144))
    assert context.open(sealed) == MailboxReply(200, b"mail")
    with pytest.raises(ContextUsedUp):
        context.open(sealed)


def test_a_failed_reading_uses_the_context_up_too() -> None:
    _, context = poll()
    with pytest.raises(TransportError):
        context.open(b"")
    with pytest.raises(ContextUsedUp):
        context.open(bytes(8192))


def test_a_context_cannot_be_copied() -> None:
    _, context = poll()
    with pytest.raises(TypeError):
        pickle.dumps(context)
    with pytest.raises(TypeError):
        copy.deepcopy(context)


@pytest.mark.parametrize("body", [b"", b"Bad gateway", bytes(8191), bytes(8193)])
def test_an_answer_of_another_size_is_the_relays_own(body: bytes) -> None:
    _, context = poll()
    with pytest.raises(TransportError, match="error of its own"):
        context.open(body)


def test_an_answer_that_does_not_open_is_an_error_of_transport() -> None:
    _, context = poll()
    with pytest.raises(TransportError, match="cannot be read"):
        context.open(bytes(8192))


def test_an_answer_that_is_no_http_is_an_error_of_transport() -> None:
    request, context = poll()
    _, reply = at_gateway(request)
    with pytest.raises(TransportError, match="cannot be read"):
        context.open(reply.seal(bytes(8144)))


def test_an_answer_to_another_request_does_not_open() -> None:
    request, _ = poll()
    _, context = poll()
    _, reply = at_gateway(request)
    with pytest.raises(TransportError, match="cannot be read"):
        context.open(reply.seal(BhttpResponse(200).serialize(8144)))


def test_a_poll_finds_a_message_or_nothing_yet() -> None:
    assert answered(200, b"mail").message() == b"mail"
    assert answered(202, b"later").message() is None


@pytest.mark.parametrize("status", [404, 409, 500, 503])
def test_another_status_to_a_poll_is_an_error_of_transport(status: int) -> None:
    with pytest.raises(TransportError, match=str(status)):
        answered(status).message()


@pytest.mark.parametrize("status", [200, 409])
def test_a_message_is_posted_also_if_an_earlier_attempt_put_it_there(status: int) -> None:
    answered(status).confirm_posted()


@pytest.mark.parametrize("status", [202, 400, 503])
def test_another_status_to_a_post_is_an_error_of_transport(status: int) -> None:
    with pytest.raises(TransportError, match=str(status)):
        answered(status).confirm_posted()


# Source: rust-payjoin, core/send/mod.rs, for the order of the parameters.
def test_a_v1_request_carries_the_psbt_and_the_query() -> None:
    params = SenderParams(fee_contribution=FeeContribution(Sats(182), 0))
    request = v1_request("https://example.com/BTC/pj", PSBT, params)
    assert request.url == (
        "https://example.com/BTC/pj?v=1&additionalfeeoutputindex=0&maxadditionalfeecontribution=182"
    )
    assert request.content_type == "text/plain"
    assert request.body == ORIGINAL.encode()


def test_a_v1_request_keeps_the_endpoints_own_query_and_drops_its_fragment() -> None:
    request = v1_request("https://example.com/pj?invoice=1#top", PSBT, SenderParams())
    assert request.url == "https://example.com/pj?invoice=1&v=1"


def test_what_a_v1_sender_posts_is_read() -> None:
    request = v1_request("https://example.com/pj", PSBT, SenderParams())
    query = request.url.partition("?")[2]
    expected = (PSBT, SenderParams(version=1))
    assert read_v1_request(request.body, query) == expected
    assert read_v1_request(request.body + b"\r\n", "") == expected


def test_what_a_v1_sender_posts_must_be_a_psbt_of_a_version_we_speak() -> None:
    with pytest.raises(InvalidMessage, match="no PSBT"):
        read_v1_request(b"cHNidP8=", "v=1")
    with pytest.raises(InvalidMessage, match="too large"):
        read_v1_request(b"c" * (V1_BODY_LIMIT + 1), "v=1")
    with pytest.raises(UnsupportedVersion):
        read_v1_request(ORIGINAL.encode(), "v=2")


@pytest.mark.parametrize("body", [PROPOSAL, PROPOSAL + "\r\n"])
def test_a_v1_receiver_answers_with_the_proposal(body: str) -> None:
    assert v1_reply(200, body.encode()) == Psbt.from_base64(PROPOSAL)


@pytest.mark.parametrize("status", [301, 307])
def test_a_v1_receiver_that_points_elsewhere_is_told_on(status: int) -> None:
    with pytest.raises(TransportError, match=f"another address .status {status}") as caught:
        v1_reply(status, PROPOSAL.encode())
    assert caught.value.at == "receiver"


@pytest.mark.parametrize("status", [200, 400, 500, 503])
def test_a_v1_receiver_answers_with_an_error_under_any_status(status: int) -> None:
    reply = ErrorReply(ErrorCode.NOT_ENOUGH_MONEY)
    assert v1_reply(status, b" " + reply.serialize()) == reply


@pytest.mark.parametrize(
    "body", [b"", b"psbt", b"\xff", b"<html>", b"{}", b"{", b"c" * (V1_BODY_LIMIT + 1)]
)
def test_success_without_a_proposal_is_the_receivers_fault(body: bytes) -> None:
    with pytest.raises(InvalidMessage):
        v1_reply(200, body)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"detail":"Not Found"}', PROPOSAL.encode()])
def test_failure_without_an_error_reply_is_the_servers_fault(body: bytes) -> None:
    with pytest.raises(TransportError, match="404"):
        v1_reply(404, body)


def test_reprs_show_neither_urls_nor_bodies() -> None:
    request = v1_request("https://example.com/pj", PSBT, SenderParams())
    assert repr(request) == f"<Request with a body of {len(ORIGINAL)} bytes>"
    assert repr(MailboxReply(200, b"mail")) == "<MailboxReply 200 with a body of 4 bytes>"
