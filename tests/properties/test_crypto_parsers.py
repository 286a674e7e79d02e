"""Every parser of the wire's cryptography is total, and inverse to its serializer."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dovetail.crypto import (
    BhttpRequest,
    BhttpResponse,
    GatewayKey,
    KeyConfig,
    PublicKey,
    SecretKey,
    SeededEntropy,
    decapsulate,
    ellswift_decode,
    encapsulate,
    setup_base_receiver,
)
from dovetail.errors import DovetailError

pytestmark = pytest.mark.property

KEY = GatewayKey(7, SecretKey(b"\x01" * 32))
CONFIG = KEY.config.serialize()
REQUEST = encapsulate(KEY.config, b"request", entropy=SeededEntropy(b"fixed"))[0]
BHTTP_REQUEST = BhttpRequest("POST", "https", "a", "/m", (("name", "value"),), b"body").serialize()
BHTTP_RESPONSE = BhttpResponse(200, (("name", "value"),), b"body").serialize()
INDETERMINATE = (
    b"\x02\x04POST\x05https\x01a\x02/m\x04Name\x05value\x00\x02bo\x02dy\x00\x00",
    b"\x03\x40\x67\x04name\x05value\x00\x40\xc8\x04Name\x05value\x00\x02bo\x02dy\x00\x00",
)


def open_response(data: bytes) -> bytes:
    _, context = encapsulate(KEY.config, b"")
    return context.open(data)


def open_message(data: bytes) -> bytes:
    return setup_base_receiver(KEY.secret.public_key, KEY.secret, b"").open(data)


def open_request(data: bytes) -> bytes:
    message, _ = decapsulate({7: KEY}, data)
    return message


PARSERS: dict[str, Callable[[bytes], object]] = {
    "public key": PublicKey.parse,
    "secret key": SecretKey,
    "ellswift": ellswift_decode,
    "key configuration": KeyConfig.parse,
    "encapsulated request": open_request,
    "encapsulated response": open_response,
    "message": open_message,
    "request": BhttpRequest.parse,
    "response": BhttpResponse.parse,
}

SEEDS = [CONFIG, b"\x00\x4a" + CONFIG, REQUEST, BHTTP_REQUEST, BHTTP_RESPONSE, *INDETERMINATE]
sizes = st.sampled_from([32, 33, 48, 64, 65, 74, 76, 88, 95])
damaged = st.builds(
    lambda seed, at, piece, cut: (seed[: at % len(seed)] + piece + seed[at % len(seed) :])[:cut],
    st.sampled_from(SEEDS),
    st.integers(0, 200),
    st.binary(max_size=4),
    st.integers(0, 200),
)
overwritten = st.builds(
    lambda seed, at, byte: seed[: at % len(seed)] + bytes([byte]) + seed[at % len(seed) + 1 :],
    st.sampled_from(SEEDS),
    st.integers(0, 200),
    st.integers(0, 255),
)
anything = (
    st.binary(max_size=200)
    | sizes.flatmap(lambda size: st.binary(min_size=size, max_size=size))
    | damaged
    | overwritten
)

token = st.text(st.characters(codec="ascii", categories=["Ll", "Nd"]), min_size=1, max_size=70)
visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=70)
value = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF)).filter(
    lambda text: not any(0x7F <= ord(char) < 0x80 for char in text)
)
headers = st.lists(st.tuples(token, value), max_size=5).map(tuple)
requests = st.builds(
    BhttpRequest, token, visible, visible, visible, headers, st.binary(max_size=20_000)
)
responses = st.builds(BhttpResponse, st.integers(200, 599), headers, st.binary(max_size=20_000))


@pytest.mark.parametrize("name", PARSERS)
@settings(derandomize=True, deadline=None, max_examples=400)
@given(data=anything)
def test_any_bytes_give_a_value_or_an_error_of_ours(name: str, data: bytes) -> None:
    try:
        PARSERS[name](data)
    except DovetailError as error:
        message = str(error)
        assert message.endswith(".")
        assert data.hex() not in message or len(data) < 4


@settings(derandomize=True, deadline=None, max_examples=200)
@given(message=requests | responses, padding=st.binary(max_size=50))
def test_a_binary_http_message_survives_the_wire(
    message: BhttpRequest | BhttpResponse, padding: bytes
) -> None:
    assert type(message).parse(message.serialize() + padding) == message


@settings(derandomize=True, deadline=None, max_examples=400)
@given(data=anything)
def test_what_is_read_from_binary_http_can_be_written_and_read_again(data: bytes) -> None:
    for kind in (BhttpRequest, BhttpResponse):
        try:
            message = kind.parse(data)
        except DovetailError:
            continue
        assert kind.parse(message.serialize()) == message


@settings(derandomize=True, deadline=None, max_examples=100)
@given(key_id=st.integers(0, 255), seed=st.binary(max_size=8))
def test_a_key_configuration_survives_the_wire(key_id: int, seed: bytes) -> None:
    secret = SecretKey.generate(entropy=SeededEntropy(seed))
    config = KeyConfig(key_id, secret.public_key)
    bare = config.serialize()
    assert KeyConfig.parse(bare) == config
    assert KeyConfig.parse(len(bare).to_bytes(2) + bare) == config
