"""Oblivious HTTP (RFC 9458): key configurations, encapsulation and decapsulation.

The only suite is DHKEM(secp256k1, HKDF-SHA256) 0x0016, HKDF-SHA256 0x0001,
ChaCha20Poly1305 0x0003, as BIP 77 asks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from dovetail.crypto.entropy import Entropy, system
from dovetail.crypto.hkdf import expand, extract
from dovetail.crypto.hpke import (
    KEY_BYTES,
    NONCE_BYTES,
    TAG_BYTES,
    OpenContext,
    SealContext,
    setup_base_receiver,
    setup_base_sender,
)
from dovetail.crypto.once import Once
from dovetail.crypto.secp256k1 import UNCOMPRESSED_BYTES, PublicKey, SecretKey
from dovetail.errors import DecryptionError, InvalidKey, InvalidOhttp

HEADER_BYTES = 7
RESPONSE_NONCE_BYTES = 32
REQUEST_OVERHEAD = HEADER_BYTES + UNCOMPRESSED_BYTES + TAG_BYTES
RESPONSE_OVERHEAD = RESPONSE_NONCE_BYTES + TAG_BYTES

_KEM = b"\x00\x16"
_SYMMETRIC = b"\x00\x01\x00\x03"
_SUITE = _KEM + _SYMMETRIC
_REQUEST_INFO = b"message/bhttp request\x00"
_RESPONSE_LABEL = b"message/bhttp response"
# key id, KEM, public key, length of the list of symmetric algorithms
_CONFIG_PREFIX_BYTES = 1 + 2 + UNCOMPRESSED_BYTES + 2


class UnknownKeyId(InvalidOhttp):
    """A request names a key the gateway does not hold; answer with the ohttp-key problem type."""


class OtherSuite(InvalidOhttp):
    """A request uses another suite; answer with the ohttp-key problem type."""


@dataclass(frozen=True, slots=True)
class KeyConfig:
    """A gateway's public key and its one-byte name (RFC 9458 §3.1).

    Raises InvalidOhttp for a key id outside 0 to 255.
    """

    key_id: int
    public_key: PublicKey

    def __post_init__(self) -> None:
        _check_key_id(self.key_id)

    @classmethod
    def parse(cls, data: bytes) -> "KeyConfig":
        """Read one bare configuration, or the first supported one of RFC 9458's list (§3.2).

        The two forms cannot be confused: as a list, a bare configuration would begin with KEM
        0x04…, which does not exist. Raises InvalidOhttp.
        """
        configs: Iterator[bytes] | list[bytes]
        configs = [data] if data[1:4] == _KEM + b"\x04" else _split_list(data)
        for config in configs:
            if (supported := _parse_config(config)) is not None:
                return supported
        raise InvalidOhttp(
            "No OHTTP key configuration here has a suite that BIP 77 allows; choose another "
            "directory."
        )

    def serialize(self) -> bytes:
        """The bare 74-byte form: id ‖ 0016 ‖ 65-byte key ‖ 0004 ‖ 0001 0003."""
        return (
            bytes((self.key_id,)) + _KEM + self.public_key.uncompressed + b"\x00\x04" + _SYMMETRIC
        )


@dataclass(frozen=True, slots=True)
class GatewayKey:
    """A gateway's secret key and its name; raises InvalidOhttp as KeyConfig does."""

    key_id: int
    secret: SecretKey

    def __post_init__(self) -> None:
        _check_key_id(self.key_id)

    @property
    def config(self) -> KeyConfig:
        """What clients are told about this key."""
        return KeyConfig(self.key_id, self.secret.public_key)


class ResponseContext:
    """The client's side of one exchange: opens the one response to the one request."""

    __slots__ = ("_once",)

    def __init__(self, encapsulated: bytes, context: SealContext) -> None:
        self._once = Once((encapsulated, context))

    def open(self, data: bytes) -> bytes:
        """Open an encapsulated response, 48 bytes longer than the message in it (RFC 9458 §4.4).

        Raises InvalidOhttp if it is too short, DecryptionError if it does not open, and
        ContextUsedUp on a second call, whatever the first one did.
        """
        encapsulated, context = self._once.take()
        if len(data) < RESPONSE_OVERHEAD:
            raise InvalidOhttp("An OHTTP response is too short; send a fresh request.")
        response_nonce = data[:RESPONSE_NONCE_BYTES]
        key, nonce = _response_keys(context, encapsulated, response_nonce)
        try:
            return ChaCha20Poly1305(key).decrypt(nonce, data[RESPONSE_NONCE_BYTES:], b"")
        except InvalidTag as error:
            raise DecryptionError(
                "An OHTTP response does not open: it is not the answer to this request; "
                "send a fresh request."
            ) from error


class ReplyContext:
    """The gateway's side of one exchange: seals the one response to the one request."""

    __slots__ = ("_once",)

    def __init__(self, encapsulated: bytes, context: OpenContext) -> None:
        self._once = Once((encapsulated, context))

    def seal(self, message: bytes, *, entropy: Entropy = system) -> bytes:
        """Encapsulate the response, 48 bytes longer than the message (RFC 9458 §4.4).

        Send the result once. A second call raises ContextUsedUp.
        """
        encapsulated, context = self._once.take()
        response_nonce = entropy(RESPONSE_NONCE_BYTES)
        key, nonce = _response_keys(context, encapsulated, response_nonce)
        return response_nonce + ChaCha20Poly1305(key).encrypt(nonce, message, b"")


def encapsulate(
    config: KeyConfig, message: bytes, *, entropy: Entropy = system
) -> tuple[bytes, ResponseContext]:
    """Encapsulate a request, 88 bytes longer than the message, for a gateway (RFC 9458 §4.3).

    Send the bytes once; a retry encapsulates afresh (P1). The context opens the answer.
    """
    header = bytes((config.key_id,)) + _SUITE
    encapsulated, context = setup_base_sender(
        config.public_key, _REQUEST_INFO + header, entropy=entropy
    )
    raw = encapsulated.uncompressed
    return header + raw + context.seal(message), ResponseContext(raw, context)


def decapsulate(
    gateway_keys: Mapping[int, GatewayKey] | GatewayKey, data: bytes
) -> tuple[bytes, ReplyContext]:
    """Open an encapsulated request: the message in it, and what seals the answer (RFC 9458 §4.3).

    Raises UnknownKeyId for a key id that is not among `gateway_keys`, OtherSuite for a suite that
    no configuration of theirs has, InvalidOhttp for malformed requests, and DecryptionError for
    one that does not open.
    """
    if len(data) < REQUEST_OVERHEAD:
        raise InvalidOhttp("An OHTTP request is too short; send the whole request.")
    key = _find_key(gateway_keys, data[0])
    if data[1:HEADER_BYTES] != _SUITE:
        raise OtherSuite(
            "An OHTTP request uses a suite other than BIP 77's; read the key configuration again."
        )
    raw = data[HEADER_BYTES : HEADER_BYTES + UNCOMPRESSED_BYTES]
    try:
        encapsulated = PublicKey(raw)
    except InvalidKey as error:
        raise InvalidOhttp(
            "An OHTTP request encapsulates no valid key; send a fresh request."
        ) from error
    context = setup_base_receiver(encapsulated, key.secret, _REQUEST_INFO + data[:HEADER_BYTES])
    message = context.open(data[HEADER_BYTES + UNCOMPRESSED_BYTES :])
    return message, ReplyContext(raw, context)


def _check_key_id(key_id: int) -> None:
    if not 0 <= key_id <= 0xFF:
        raise InvalidOhttp("An OHTTP key id has one byte; choose one from 0 to 255.")


def _find_key(gateway_keys: Mapping[int, GatewayKey] | GatewayKey, key_id: int) -> GatewayKey:
    if isinstance(gateway_keys, GatewayKey):
        key = gateway_keys if gateway_keys.key_id == key_id else None
    else:
        key = gateway_keys.get(key_id)
    if key is None:
        raise UnknownKeyId(
            "An OHTTP request names a key this gateway does not hold; fetch the key again."
        )
    return key


def _response_keys(
    context: SealContext | OpenContext, encapsulated: bytes, response_nonce: bytes
) -> tuple[bytes, bytes]:
    secret = context.export(_RESPONSE_LABEL, KEY_BYTES)
    key = extract(encapsulated + response_nonce, secret)
    return expand(key, b"key", KEY_BYTES), expand(key, b"nonce", NONCE_BYTES)


def _split_list(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        start = at + 2
        at = start + int.from_bytes(data[at:start])
        if at > len(data):
            raise InvalidOhttp(
                "A list of OHTTP key configurations is cut short; fetch the keys again."
            )
        yield data[start:at]


@lru_cache(maxsize=64)
def _parse_config(data: bytes) -> KeyConfig | None:
    """Read one configuration; None if it is for a suite other than ours."""
    if data[1:3] != _KEM:
        return None
    symmetric = data[_CONFIG_PREFIX_BYTES:]
    length = int.from_bytes(data[_CONFIG_PREFIX_BYTES - 2 : _CONFIG_PREFIX_BYTES])
    if length % 4 != 0 or length != len(symmetric):
        raise InvalidOhttp(
            "An OHTTP key configuration does not have the length it announces; fetch it again."
        )
    try:
        public_key = PublicKey(data[3 : 3 + UNCOMPRESSED_BYTES])
    except InvalidKey as error:
        raise InvalidOhttp(
            "An OHTTP key configuration holds no valid key; choose another directory."
        ) from error
    if not any(symmetric[at : at + 4] == _SYMMETRIC for at in range(0, length, 4)):
        return None
    return KeyConfig(data[0], public_key)
