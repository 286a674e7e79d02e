import copy
import pickle

import pytest

from dovetail.crypto import (
    GatewayKey,
    KeyConfig,
    OtherSuite,
    PublicKey,
    SecretKey,
    SeededEntropy,
    UnknownKeyId,
    decapsulate,
    encapsulate,
)
from dovetail.errors import ContextUsedUp, DecryptionError, InvalidKey, InvalidOhttp

KEY = GatewayKey(7, SecretKey(b"\x01" * 32))
OTHER = GatewayKey(8, SecretKey(b"\x02" * 32))
POINT = KEY.secret.public_key.uncompressed
CONFIG = b"\x07\x00\x16" + POINT + b"\x00\x04\x00\x01\x00\x03"
# RFC 9458 §3.1's usual suite: X25519, HKDF-SHA256 with AES-128-GCM or ChaCha20Poly1305.
X25519_CONFIG = b"\x01\x00\x20" + b"\x09" * 32 + b"\x00\x08\x00\x01\x00\x01\x00\x01\x00\x03"


def listed(*configs: bytes) -> bytes:
    return b"".join(len(config).to_bytes(2) + config for config in configs)


def test_a_configuration_has_74_bytes() -> None:
    assert KEY.config.serialize() == CONFIG
    assert len(CONFIG) == 74


@pytest.mark.parametrize(
    "data",
    [
        CONFIG,
        listed(CONFIG),
        listed(X25519_CONFIG, CONFIG),
        listed(b"", b"\x01", CONFIG, OTHER.config.serialize()),
        CONFIG[:68] + b"\x00\x08\x00\x01\x00\x01\x00\x01\x00\x03",
        listed(CONFIG[:68] + b"\x00\x04\x00\x01\x00\x01", CONFIG),
    ],
    ids=["bare", "listed", "second", "first of ours", "second algorithm", "other algorithm"],
)
def test_the_first_supported_configuration_is_read(data: bytes) -> None:
    assert KeyConfig.parse(data) == KEY.config


@pytest.mark.parametrize("key_id", [0, 1, 0x16, 0xFF])
def test_bare_and_listed_configurations_are_told_apart_for_every_key_id(key_id: int) -> None:
    config = KeyConfig(key_id, KEY.secret.public_key)
    assert KeyConfig.parse(config.serialize()) == config
    assert KeyConfig.parse(listed(config.serialize())) == config


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x00\x00",
        CONFIG[:-1],
        CONFIG + b"\x00",
        CONFIG[:68],
        CONFIG[:68] + b"\x00\x00",
        CONFIG[:68] + b"\x00\x03\x00\x01\x00",
        CONFIG[:68] + b"\x00\x05\x00\x01\x00\x03\x00",
        CONFIG[:68] + b"\x00\x04\x00\x01\x00\x01",
        CONFIG[:3] + b"\x04" + bytes(64) + CONFIG[68:],
        X25519_CONFIG,
        listed(X25519_CONFIG),
        listed(CONFIG)[:-1],
        listed(X25519_CONFIG) + b"\x00",
        listed(CONFIG[:40]),
    ],
)
def test_what_holds_no_usable_configuration_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidOhttp):
        KeyConfig.parse(data)


@pytest.mark.parametrize("data", [b"\x00", listed(X25519_CONFIG)[:-1], listed(CONFIG)[:-1]])
def test_a_list_that_is_cut_short_is_told_apart(data: bytes) -> None:
    with pytest.raises(InvalidOhttp, match="cut short"):
        KeyConfig.parse(data)


def test_an_invalid_point_is_named_as_the_cause() -> None:
    with pytest.raises(InvalidOhttp) as caught:
        KeyConfig.parse(CONFIG[:3] + b"\x04" + bytes(64) + CONFIG[68:])
    assert isinstance(caught.value.__cause__, InvalidKey)


@pytest.mark.parametrize("key_id", [-1, 256])
def test_a_key_id_has_one_byte(key_id: int) -> None:
    with pytest.raises(InvalidOhttp):
        KeyConfig(key_id, KEY.secret.public_key)
    with pytest.raises(InvalidOhttp):
        GatewayKey(key_id, KEY.secret)


def test_a_request_and_its_response_cross_once() -> None:
    request, response_context = encapsulate(KEY.config, b"request")
    message, reply_context = decapsulate(KEY, request)
    assert message == b"request"
    response = reply_context.seal(b"response")
    assert response_context.open(response) == b"response"


def test_sizes_are_those_of_bip_77() -> None:
    request, _ = encapsulate(KEY.config, bytes(8104))
    assert len(request) == 8192
    _, reply_context = decapsulate(KEY, request)
    assert len(reply_context.seal(bytes(8144))) == 8192


def test_a_request_opens_with_the_key_and_suite_it_names() -> None:
    request, _ = encapsulate(KEY.config, b"request")
    assert request[:7] == b"\x07\x00\x16\x00\x01\x00\x03"
    assert PublicKey.parse(request[7:72]).uncompressed == request[7:72]
    message, _ = decapsulate({8: OTHER, 7: KEY}, request)
    assert message == b"request"


@pytest.mark.parametrize("keys", [OTHER, {}, {8: OTHER}])
def test_an_unknown_key_id_is_told_apart(keys) -> None:
    request, _ = encapsulate(KEY.config, b"request")
    with pytest.raises(UnknownKeyId):
        decapsulate(keys, request)


@pytest.mark.parametrize("size", [0, 7, 72, 87])
def test_a_request_that_is_too_short_is_refused(size: int) -> None:
    request, _ = encapsulate(KEY.config, b"")
    with pytest.raises(InvalidOhttp, match="too short"):
        decapsulate(KEY, request[:size])


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 6])
def test_a_request_for_another_suite_is_refused(at: int) -> None:
    request = bytearray(encapsulate(KEY.config, b"request")[0])
    request[at] ^= 1
    with pytest.raises(OtherSuite, match="suite"):
        decapsulate(KEY, bytes(request))
    with pytest.raises(UnknownKeyId):
        decapsulate(OTHER, bytes(request))


def test_a_request_with_an_invalid_encapsulated_key_is_refused() -> None:
    request, _ = encapsulate(KEY.config, b"request")
    with pytest.raises(InvalidOhttp, match="no valid key"):
        decapsulate(KEY, request[:8] + bytes(64) + request[72:])


def test_a_request_changed_on_the_way_does_not_open() -> None:
    request = bytearray(encapsulate(KEY.config, b"request")[0])
    request[-1] ^= 1
    with pytest.raises(DecryptionError):
        decapsulate(KEY, bytes(request))


def test_a_request_does_not_open_under_another_key_id() -> None:
    request, _ = encapsulate(KEY.config, b"request")
    renamed = GatewayKey(8, KEY.secret)
    with pytest.raises(DecryptionError):
        decapsulate(renamed, b"\x08" + request[1:])


@pytest.mark.parametrize("size", [0, 47])
def test_a_response_that_is_too_short_is_refused(size: int) -> None:
    _, context = encapsulate(KEY.config, b"request")
    with pytest.raises(InvalidOhttp, match="too short"):
        context.open(bytes(size))


@pytest.mark.parametrize("at", [0, 31, 32, -1])
def test_a_response_changed_on_the_way_does_not_open(at: int) -> None:
    request, response_context = encapsulate(KEY.config, b"request")
    _, reply_context = decapsulate(KEY, request)
    response = bytearray(reply_context.seal(b"response"))
    response[at] ^= 1
    with pytest.raises(DecryptionError, match="fresh request"):
        response_context.open(bytes(response))


def test_the_response_to_another_request_does_not_open() -> None:
    _, first = encapsulate(KEY.config, b"request")
    second, _ = encapsulate(KEY.config, b"request")
    with pytest.raises(DecryptionError):
        first.open(decapsulate(KEY, second)[1].seal(b"response"))


def test_p1_contexts_serve_one_exchange() -> None:
    request, response_context = encapsulate(KEY.config, b"request")
    _, reply_context = decapsulate(KEY, request)
    response = reply_context.seal(b"response")
    with pytest.raises(ContextUsedUp):
        reply_context.seal(b"another response")
    with pytest.raises(InvalidOhttp):
        response_context.open(b"")
    with pytest.raises(ContextUsedUp):
        response_context.open(response)


def test_p1_a_retry_is_a_different_request() -> None:
    assert encapsulate(KEY.config, b"request")[0] != encapsulate(KEY.config, b"request")[0]


def test_the_same_entropy_replays_the_same_exchange() -> None:
    def exchange() -> tuple[bytes, bytes]:
        entropy = SeededEntropy(b"replay")
        request, _ = encapsulate(KEY.config, b"request", entropy=entropy)
        return request, decapsulate(KEY, request)[1].seal(b"response", entropy=entropy)

    assert exchange() == exchange()


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.deepcopy])
def test_p1_contexts_cannot_be_duplicated(duplicate) -> None:
    request, response_context = encapsulate(KEY.config, b"request")
    _, reply_context = decapsulate(KEY, request)
    for context in (response_context, reply_context):
        with pytest.raises(TypeError, match="cannot be pickled"):
            duplicate(context)


def test_p4_reprs_show_no_key() -> None:
    assert repr(KEY) == "GatewayKey(key_id=7, secret=SecretKey(redacted))"
    assert repr(KEY.config) == "KeyConfig(key_id=7, public_key=PublicKey(redacted))"
    _, context = encapsulate(KEY.config, b"request")
    assert repr(context).startswith("<dovetail.crypto.ohttp.ResponseContext object")
