"""Oblivious HTTP against what RFC 9458 publishes.

Appendix A uses X25519 and AES-128-GCM, which BIP 77 does not: so its key configuration must be
refused, and an exchange in BIP 77's suite is checked against §4.3 and §4.4 step by step, with
`cryptography` in place of our HKDF.
"""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dovetail.crypto import (
    GatewayKey,
    KeyConfig,
    PublicKey,
    SecretKey,
    decapsulate,
    encapsulate,
    setup_base_receiver,
)
from dovetail.errors import InvalidOhttp

X25519_CONFIG = bytes.fromhex(
    "01002031e1f05a740102115220e9af918f738674aec95f54db6e04eb705aae8e79815500080001000100010003"
)
GATEWAY = GatewayKey(1, SecretKey(b"\x2a" * 32))


def test_the_appendixs_configuration_is_for_another_suite() -> None:
    with pytest.raises(InvalidOhttp):
        KeyConfig.parse(X25519_CONFIG)
    listed = len(X25519_CONFIG).to_bytes(2) + X25519_CONFIG
    with pytest.raises(InvalidOhttp, match="suite"):
        KeyConfig.parse(listed)
    bare = GATEWAY.config.serialize()
    assert KeyConfig.parse(listed + len(bare).to_bytes(2) + bare) == GATEWAY.config


def test_an_exchange_follows_the_rfc_step_by_step() -> None:
    request, response_context = encapsulate(GATEWAY.config, b"request")
    header, encapsulated, ciphertext = request[:7], request[7:72], request[72:]
    assert header == b"\x01" + b"\x00\x16" + b"\x00\x01" + b"\x00\x03"

    info = b"message/bhttp request" + b"\x00" + header
    context = setup_base_receiver(PublicKey.parse(encapsulated), GATEWAY.secret, info)
    assert context.open(ciphertext, b"") == b"request"

    _, reply_context = decapsulate(GATEWAY, request)
    response = reply_context.seal(b"response")
    nonce, sealed = response[:32], response[32:]
    secret = context.export(b"message/bhttp response", 32)

    def derive(label: bytes, length: int) -> bytes:
        return HKDF(hashes.SHA256(), length, encapsulated + nonce, label).derive(secret)

    aead = ChaCha20Poly1305(derive(b"key", 32))
    assert aead.decrypt(derive(b"nonce", 12), sealed, b"") == b"response"
    assert response_context.open(response) == b"response"
