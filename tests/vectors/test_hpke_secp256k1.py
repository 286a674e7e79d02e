"""DHKEM(secp256k1, HKDF-SHA256) with HKDF-SHA256 and ChaCha20Poly1305.

Source: the test vectors of draft-wahby-cfrg-hpke-kem-secp256k1, base and auth modes.
"""

import hmac

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from dovetail.crypto import (
    OpenContext,
    SealContext,
    SecretKey,
    setup_auth_receiver,
    setup_auth_sender,
    setup_base_receiver,
    setup_base_sender,
)
from dovetail.crypto.hpke import _extract_and_expand

INFO = b"Ode on a Grecian Urn"

BASE_EPHEMERAL = SecretKey(
    bytes.fromhex("9558390641d55b914bb5543284ff3c24dcf059cacc3a269f471dace8b13b4f4a")
)
BASE_RECIPIENT = SecretKey(
    bytes.fromhex("5d516211fd17a8916cbd4ab60cc52104ea8372aac6678220545fbdb542392cb7")
)
BASE_SHARED_SECRET = "64ba1219520c5d1b0450bf71a222b512e70dff05b6539292b5c402ff8e64f707"
BASE_KEY = bytes.fromhex("733fb0e7ce630c1712b629ddefb208fcc6572f6bcae5f15d93fc2984b4f325e5")
BASE_NONCE = bytes.fromhex("7028e56372041618809a2566")
BASE_EXPORTER = bytes.fromhex("58732d8b645ec857be9847995103155b6c6276dda44c1e40b68f1463c03aabb7")

AUTH_EPHEMERAL = SecretKey(
    bytes.fromhex("7e8c57054c078ec56372f5f455fba27f28941b66b02d55e0cf3cc0b9126157a4")
)
AUTH_RECIPIENT = SecretKey(
    bytes.fromhex("032527c68d81c0ce10727887a9e7f1752390e702ac9458f78ae5c0c7590f3b1c")
)
AUTH_SENDER = SecretKey(
    bytes.fromhex("f2c020acf9e7372651b44562d6023ebf8f7bf8ffdb96cfa6076e6d68e2e919f6")
)
AUTH_SHARED_SECRET = "c2a1e848a810e546725aae2b73b58f16c2920c6dd91ea87c56665c729f09fc9f"
AUTH_KEY = bytes.fromhex("3ebf6debe59ba9b8ee324e5546517c811726b451f2855236a0697097fed07906")


def base() -> tuple[SealContext, OpenContext]:
    encapsulated, sealing = setup_base_sender(
        BASE_RECIPIENT.public_key, INFO, entropy=lambda _: BASE_EPHEMERAL.reveal()
    )
    assert encapsulated == BASE_EPHEMERAL.public_key
    return sealing, setup_base_receiver(encapsulated, BASE_RECIPIENT, INFO)


def auth() -> tuple[SealContext, OpenContext]:
    encapsulated, sealing = setup_auth_sender(
        AUTH_RECIPIENT.public_key, INFO, AUTH_SENDER, entropy=lambda _: AUTH_EPHEMERAL.reveal()
    )
    assert encapsulated == AUTH_EPHEMERAL.public_key
    opening = setup_auth_receiver(encapsulated, AUTH_RECIPIENT, INFO, AUTH_SENDER.public_key)
    return sealing, opening


def test_base_mode_reaches_the_published_shared_secret() -> None:
    kem_context = BASE_EPHEMERAL.public_key.uncompressed + BASE_RECIPIENT.public_key.uncompressed
    dh = BASE_EPHEMERAL.ecdh_x(BASE_RECIPIENT.public_key)
    assert _extract_and_expand(dh, kem_context).hex() == BASE_SHARED_SECRET


def test_auth_mode_reaches_the_published_shared_secret() -> None:
    recipient = AUTH_RECIPIENT.public_key
    kem_context = (
        AUTH_EPHEMERAL.public_key.uncompressed
        + recipient.uncompressed
        + AUTH_SENDER.public_key.uncompressed
    )
    dh = AUTH_EPHEMERAL.ecdh_x(recipient) + AUTH_SENDER.ecdh_x(recipient)
    assert _extract_and_expand(dh, kem_context).hex() == AUTH_SHARED_SECRET


def test_base_mode_seals_and_opens_under_the_published_key_and_nonce() -> None:
    aead = ChaCha20Poly1305(BASE_KEY)
    sealing, opening = base()
    assert sealing.seal(b"Beauty is truth", b"aad") == aead.encrypt(
        BASE_NONCE, b"Beauty is truth", b"aad"
    )
    assert opening.open(aead.encrypt(BASE_NONCE, b"truth beauty", None)) == b"truth beauty"


@pytest.mark.parametrize("end", [0, 1], ids=["sender", "receiver"])
def test_auth_mode_derives_the_published_key(end: int) -> None:
    key, _ = auth()[end]._keys.take()
    assert key == AUTH_KEY


@pytest.mark.parametrize("end", [0, 1], ids=["sender", "receiver"])
def test_exports_come_from_the_published_exporter_secret(end: int) -> None:
    # RFC 9180 §5.3: LabeledExpand(exporter_secret, "sec", exporter_context, L), one block here.
    suite = b"HPKE\x00\x16\x00\x01\x00\x03"
    labeled = b"\x00\x20" + b"HPKE-v1" + suite + b"sec" + b"context" + b"\x01"
    expected = hmac.digest(BASE_EXPORTER, labeled, "sha256")
    assert base()[end].export(b"context", 32) == expected
