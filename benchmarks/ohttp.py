"""OHTTP (RFC 9458): 8192 bytes each way."""

from collections.abc import Iterator
from secrets import token_bytes

from benchmarks.harness import AtMost, Comparison, repeated
from benchmarks.primitives import context, new_key, response

from dovetail.crypto.ohttp import (
    REQUEST_OVERHEAD,
    RESPONSE_OVERHEAD,
    GatewayKey,
    decapsulate,
    encapsulate,
)
from dovetail.crypto.secp256k1 import SecretKey

TITLE = "OHTTP, 8192 bytes each way"
BASELINE = "key, ECDH, HMACs and ChaCha20-Poly1305, called bare on as many bytes"

_REQUEST = bytes(8192 - REQUEST_OVERHEAD)
_RESPONSE = bytes(8192 - RESPONSE_OVERHEAD)


def comparisons() -> Iterator[Comparison]:
    """A request at the client, at the gateway, and an exchange as a whole."""
    gateway = GatewayKey(1, SecretKey.generate())
    config, secret = gateway.config, gateway.secret.reveal()
    public = config.public_key.uncompressed
    sealed, _ = encapsulate(config, _REQUEST)
    bare, _ = _encapsulate(public)

    yield Comparison(
        "seal a request",
        repeated(lambda: encapsulate(config, _REQUEST)),
        repeated(lambda: _encapsulate(public)),
        target=AtMost(1.5),
    )
    yield Comparison(
        "open a request",
        repeated(lambda: decapsulate(gateway, sealed)),
        repeated(lambda: _decapsulate(bare, secret, public)),
        target=AtMost(1.5),
    )

    def exchange() -> bytes:
        request, client = encapsulate(config, _REQUEST)
        _, server = decapsulate(gateway, request)
        return client.open(server.seal(_RESPONSE))

    def bare_exchange() -> bytes:
        request, client = _encapsulate(public)
        server = _decapsulate(request, secret, public)
        nonce = token_bytes(32)
        cipher, iv = response(server, request[7:72], nonce)
        answer = cipher.encrypt(iv, _RESPONSE, b"")
        cipher, iv = response(client, request[7:72], nonce)
        return cipher.decrypt(iv, answer, b"")

    yield Comparison("request and response, both ends", repeated(exchange), repeated(bare_exchange))


def _encapsulate(gateway_key: bytes) -> tuple[bytes, bytes]:
    ephemeral, encapsulated = new_key()
    cipher, nonce, secret = context(ephemeral, gateway_key, encapsulated + gateway_key)
    return bytes(7) + encapsulated + cipher.encrypt(nonce, _REQUEST, b""), secret


def _decapsulate(request: bytes, gateway: bytes, gateway_key: bytes) -> bytes:
    encapsulated = request[7:72]
    cipher, nonce, secret = context(gateway, encapsulated, encapsulated + gateway_key)
    cipher.decrypt(nonce, request[72:], b"")
    return secret
