"""What HPKE cannot do without (RFC 9180), called bare: no checks, no types, no one-shot contexts.

Only the hashes that depend on the message count. Those of an empty psk_id and of `info` are the
same for every message of one kind.
"""

from hmac import digest
from secrets import token_bytes

from btclib_secp256k1 import ecdh, keys
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

_KEM = b"HPKE-v1" + b"KEM\x00\x16"
_SUITE = b"HPKE-v1" + b"HPKE\x00\x16\x00\x01\x00\x03"
_SCHEDULE = bytes(65)
"""A mode and two hashes."""


def new_key() -> tuple[bytes, bytes]:
    """A secret key and its public key of 65 bytes."""
    secret = token_bytes(32)
    return secret, keys.pubkey_from_prvkey(secret, compressed=False)


def context(
    secret: bytes, their_public: bytes, kem_context: bytes
) -> tuple[ChaCha20Poly1305, bytes, bytes]:
    """One ECDH and five HMACs: the cipher, the nonce, and the secret to export from."""
    shared = ecdh.shared_point(their_public, secret)[1:]
    pseudorandom = digest(b"", _KEM + b"eae_prk" + shared, "sha256")
    shared = digest(
        pseudorandom, b"\x00\x20" + _KEM + b"shared_secret" + kem_context + b"\x01", "sha256"
    )
    pseudorandom = digest(shared, _SUITE + b"secret", "sha256")
    key = digest(pseudorandom, b"\x00\x20" + _SUITE + b"key" + _SCHEDULE + b"\x01", "sha256")
    nonce = digest(
        pseudorandom, b"\x00\x0c" + _SUITE + b"base_nonce" + _SCHEDULE + b"\x01", "sha256"
    )
    return ChaCha20Poly1305(key), nonce[:12], pseudorandom


def response(secret: bytes, encapsulated: bytes, nonce: bytes) -> tuple[ChaCha20Poly1305, bytes]:
    """Five HMACs: the cipher and the nonce of an OHTTP response (RFC 9458 §4.4)."""
    exporter = digest(secret, b"\x00\x20" + _SUITE + b"exp" + _SCHEDULE + b"\x01", "sha256")
    label = b"\x00\x20" + _SUITE + b"sec" + b"message/bhttp response\x01"
    exported = digest(exporter, label, "sha256")
    pseudorandom = digest(encapsulated + nonce, exported, "sha256")
    key = digest(pseudorandom, b"key\x01", "sha256")
    return ChaCha20Poly1305(key), digest(pseudorandom, b"nonce\x01", "sha256")[:12]
