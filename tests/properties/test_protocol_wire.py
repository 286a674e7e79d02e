"""The wire's parsers are total, and what is written reads back."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocol.examples import (
    BIP77_URI,
    ENDPOINT,
    GATEWAY,
    ORIGINAL,
    PROPOSAL,
    RECEIVER,
    REPLY,
)

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.script import Address, Network, Script
from dovetail.bitcoin.units import FeeRate, Sats, UnixTime
from dovetail.crypto.bhttp import BhttpResponse
from dovetail.crypto.hpke import setup_auth_sender, setup_base_sender
from dovetail.crypto.ohttp import KeyConfig, decapsulate
from dovetail.crypto.secp256k1 import SecretKey, ellswift_encode
from dovetail.errors import (
    CounterpartyError,
    InvalidMessage,
    InvalidUri,
    TransportError,
)
from dovetail.protocol.error_replies import ErrorCode, ErrorReply
from dovetail.protocol.mailbox import (
    MESSAGE_SIZE,
    ShortId,
    decode_original,
    open_message_a,
    open_message_b,
    seal_message_a,
    seal_message_b,
)
from dovetail.protocol.params import FeeContribution, SenderParams
from dovetail.protocol.requests import poll_mailbox, read_v1_request, v1_reply
from dovetail.protocol.uri import (
    PayjoinUri,
    V1Endpoint,
    V2Endpoint,
    parse_directory,
    parse_endpoint,
)

pytestmark = pytest.mark.property

few = settings(derandomize=True, deadline=None, max_examples=100)
many = settings(derandomize=True, deadline=None, max_examples=400)

secrets = st.binary(min_size=32, max_size=32).filter(any).map(lambda b: SecretKey(b"\x01" + b[1:]))
hosts = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]{2,5}){1,2}", fullmatch=True)
ports = st.one_of(st.just(""), st.integers(0, 65535).map(lambda port: f":{port}"))
origins = st.builds(lambda host, port: f"https://{host}{port}", hosts, ports)
v2_endpoints = st.builds(
    lambda origin, secret, key_id, expires_at: V2Endpoint(
        origin, secret.public_key, KeyConfig(key_id, GATEWAY.secret.public_key), expires_at
    ),
    origins,
    secrets,
    st.integers(0, 255),
    st.integers(0, 2**32 - 1).map(UnixTime),
)
# A fragment shows that encryption was meant, and so does a query that asks for `ohttp`.
v1_endpoints = st.builds(
    lambda origin, path: V1Endpoint(f"{origin}/{path}"),
    origins,
    st.from_regex(r"[!-~]{0,9}(/[!-~]{0,20})", fullmatch=True).filter(
        lambda path: "#" not in path and "ohttp" not in path.lower()
    ),
)
addresses = st.builds(
    lambda program, network: Address.from_script(Script(b"\x00\x14" + program), network),
    st.binary(min_size=20, max_size=20),
    st.sampled_from(Network),
)
amounts = st.integers(0, 2_100_000_000_000_000).map(Sats)
sender_params = st.builds(
    SenderParams,
    version=st.sampled_from((1, 2)),
    min_fee_rate=st.integers(0, 2**64 - 1).map(FeeRate),
    fee_contribution=st.none() | st.builds(FeeContribution, amounts, st.integers(0, 2**32 - 1)),
    output_substitution=st.booleans(),
)


def damaged(text: str) -> st.SearchStrategy[str]:
    """A text with a slice of it replaced."""
    place = st.integers(0, len(text))
    return st.builds(
        lambda start, end, new: text[:start] + new + text[end:], place, place, st.text(max_size=9)
    )


@many
@given(st.text() | damaged(BIP77_URI))
def test_any_text_is_a_payjoin_uri_or_refused(text: str) -> None:
    try:
        uri = PayjoinUri.parse(text)
    except InvalidUri:
        return
    assert PayjoinUri.parse(uri.serialize()) == uri


@many
@given(st.text() | damaged(ENDPOINT.serialize()))
def test_any_text_is_an_endpoint_or_refused(text: str) -> None:
    with suppress(InvalidUri):
        parse_endpoint(text)
    with suppress(InvalidUri):
        parse_directory(text)


@few
@given(
    addresses,
    st.none() | amounts,
    v1_endpoints | v2_endpoints,
    st.booleans(),
    st.none() | st.text(st.characters(codec="utf-8")),
)
def test_every_payjoin_uri_reads_back(
    address: Address,
    amount: Sats | None,
    endpoint: V1Endpoint | V2Endpoint,
    substitution: bool,  # noqa: FBT001 - Hypothesis passes arguments by place
    label: str | None,
) -> None:
    uri = PayjoinUri(address, amount, endpoint, substitution, label, label)
    text = uri.serialize()
    assert PayjoinUri.parse(text) == uri
    assert "pj=" in text.rpartition("&")[2] or "&" not in text


@many
@given(st.text())
def test_any_text_is_a_short_id_or_refused(text: str) -> None:
    with suppress(InvalidMessage):
        assert ShortId.parse(text) == text.upper()


@many
@given(st.text() | damaged("v=2&minfeerate=1.5&additionalfeeoutputindex=0"))
def test_any_query_is_read_or_refused(query: str) -> None:
    with suppress(InvalidMessage):
        SenderParams.parse(query, default_version=1)
    with suppress(InvalidMessage):
        params = SenderParams.parse(query, default_version=2)
        assert SenderParams.parse(params.serialize(), default_version=2) == params


@few
@given(sender_params)
def test_all_parameters_read_back(params: SenderParams) -> None:
    assert SenderParams.parse(params.serialize(), default_version=2) == params


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(ErrorCode),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=9,
)
replies_like = st.fixed_dictionaries(
    {"errorCode": json_values}, optional={"message": json_values, "supported": json_values}
)


@many
@given(st.binary() | (json_values | replies_like).map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_error_reply_or_refused(data: bytes) -> None:
    try:
        reply = ErrorReply.parse(data)
    except InvalidMessage:
        return
    assert reply.code is None or ErrorReply.parse(reply.serialize()) == reply


@few
@given(st.binary() | st.text().map(lambda query: f"{ORIGINAL}\n{query}".encode("utf-8", "replace")))
def test_any_body_is_an_original_or_refused(body: bytes) -> None:
    with suppress(InvalidMessage):
        decode_original(body, default_version=2)
    with suppress(InvalidMessage):
        decode_original(body, default_version=1)
    with suppress(InvalidMessage):
        read_v1_request(body, "v=1")


@few
@given(st.sampled_from((200, 400, 500)), st.binary() | damaged(PROPOSAL).map(str.encode))
def test_any_answer_of_a_v1_receiver_is_read_or_refused(status: int, body: bytes) -> None:
    with suppress(InvalidMessage, TransportError):
        v1_reply(status, body)


@few
@given(st.binary(max_size=100) | st.binary(min_size=MESSAGE_SIZE, max_size=MESSAGE_SIZE))
def test_any_bytes_in_a_mailbox_are_refused(message: bytes) -> None:
    with pytest.raises((InvalidMessage, CounterpartyError)):
        open_message_a(message, receiver_secret=RECEIVER)
    with pytest.raises((InvalidMessage, CounterpartyError)):
        open_message_b(message, reply_secret=REPLY, receiver_key=RECEIVER.public_key)


@few
@given(st.binary(max_size=7088))
def test_any_plaintext_a_party_can_seal_is_read_or_refused(plaintext: bytes) -> None:
    enc, base = setup_base_sender(RECEIVER.public_key, b"PjV2MsgA")
    message = ellswift_encode(enc) + base.seal(plaintext.ljust(7088, b"\0"))
    with suppress(InvalidMessage):
        opened = open_message_a(message, receiver_secret=RECEIVER)
        decode_original(opened.body, default_version=2)
    enc, auth = setup_auth_sender(REPLY.public_key, b"PjV2MsgB", RECEIVER)
    message = ellswift_encode(enc) + auth.seal(plaintext.ljust(7088, b"\0"))
    with suppress(InvalidMessage):
        open_message_b(message, reply_secret=REPLY, receiver_key=RECEIVER.public_key)


@few
@given(secrets, secrets, st.binary(max_size=7055).filter(lambda body: not body.endswith(b"\0")))
def test_message_a_reads_back(receiver: SecretKey, reply: SecretKey, body: bytes) -> None:
    message = seal_message_a(body, receiver_key=receiver.public_key, reply_key=reply.public_key)
    opened = open_message_a(message, receiver_secret=receiver)
    assert (len(message), opened.reply_key, opened.body) == (7168, reply.public_key, body)


@few
@given(secrets, secrets, st.sampled_from(ErrorCode))
def test_message_b_reads_back(receiver: SecretKey, reply: SecretKey, code: ErrorCode) -> None:
    for payload, expected in (
        (ErrorReply(code).serialize(), ErrorReply(code)),
        (Psbt.from_base64(PROPOSAL).serialize(), Psbt.from_base64(PROPOSAL)),
    ):
        message = seal_message_b(payload, receiver_secret=receiver, reply_key=reply.public_key)
        assert len(message) == MESSAGE_SIZE
        opened = open_message_b(message, reply_secret=reply, receiver_key=receiver.public_key)
        assert opened == expected


@few
@given(st.binary(max_size=200), st.booleans())
def test_any_answer_inside_ohttp_is_read_or_refused(
    answer: bytes,
    pad: bool,  # noqa: FBT001 - Hypothesis passes arguments by place
) -> None:
    request, context = poll_mailbox(
        relay=None,
        directory="https://payjo.in",
        short_id=ENDPOINT.short_id,
        ohttp_keys=GATEWAY.config,
    )
    _, reply = decapsulate(GATEWAY, request.body)
    valid = BhttpResponse(200, body=answer).serialize(8144)
    try:
        opened = context.open(reply.seal(valid if pad else answer.ljust(8144, b"\0")))
    except TransportError:
        return
    assert not pad or opened.message() == answer
