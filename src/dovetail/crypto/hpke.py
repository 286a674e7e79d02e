"""Hybrid Public Key Encryption (RFC 9180), base and auth modes, one message per context.

The suite is DHKEM(secp256k1, HKDF-SHA256) 0x0016, HKDF-SHA256 0x0001, ChaCha20Poly1305 0x0003.
Diffie-Hellman yields the 32-byte x coordinate; keys enter the KEM in their 65-byte form.
"""

from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from dovetail.crypto.entropy import Entropy, system
from dovetail.crypto.hkdf import MAX_OUTPUT_BYTES, expand, extract
from dovetail.crypto.once import Once
from dovetail.crypto.secp256k1 import PublicKey, SecretKey
from dovetail.errors import DecryptionError, UsageError

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16

_MODE_BASE = b"\x00"
_MODE_AUTH = b"\x02"

_KEM_LABEL = b"HPKE-v1" + b"KEM\x00\x16"
_LABEL = b"HPKE-v1" + b"HPKE\x00\x16\x00\x01\x00\x03"
# LabeledExtract puts label before key material, LabeledExpand the length before the label (§4).
_EAE_PRK = _KEM_LABEL + b"eae_prk"
_SHARED_SECRET = b"\x00\x20" + _KEM_LABEL + b"shared_secret"
_PSK_ID_HASH = _LABEL + b"psk_id_hash"
_INFO_HASH = _LABEL + b"info_hash"
_SECRET = _LABEL + b"secret"
_KEY = b"\x00\x20" + _LABEL + b"key"
_BASE_NONCE = b"\x00\x0c" + _LABEL + b"base_nonce"
_EXPORTER = b"\x00\x20" + _LABEL + b"exp"
_EXPORT = _LABEL + b"sec"


class _Context:
    """The shared part of both contexts (RFC 9180 §5.1); no psk, sequence number 0."""

    __slots__ = ("_keys", "_schedule", "_secret")

    def __init__(self, mode: bytes, shared_secret: bytes, info: bytes) -> None:
        schedule = _key_schedule_context(mode, info)
        secret = extract(shared_secret, _SECRET)
        self._schedule = schedule
        self._secret = secret
        self._keys = Once(
            (
                expand(secret, _KEY + schedule, KEY_BYTES),
                expand(secret, _BASE_NONCE + schedule, NONCE_BYTES),
            )
        )

    def export(self, label: bytes, length: int) -> bytes:
        """Derive `length` secret bytes that both ends know (RFC 9180 §5.3).

        Raises UsageError for a length outside 0 to 8160.
        """
        if not 0 <= length <= MAX_OUTPUT_BYTES:
            raise UsageError("HPKE exports 0 to 8160 bytes; ask for a length in that range.")
        exporter = expand(self._secret, _EXPORTER + self._schedule, 32)
        return expand(exporter, length.to_bytes(2) + _EXPORT + label, length)


class SealContext(_Context):
    """The sending end: seals one message."""

    __slots__ = ()

    def seal(self, plaintext: bytes, aad: bytes = b"") -> bytes:
        """Encrypt and authenticate: 16 bytes longer than the plaintext (RFC 9180 §5.2).

        Send the result once (P1). A second call raises ContextUsedUp.
        """
        key, nonce = self._keys.take()
        return ChaCha20Poly1305(key).encrypt(nonce, plaintext, aad)


class OpenContext(_Context):
    """The receiving end: opens one message."""

    __slots__ = ()

    def open(self, ciphertext: bytes, aad: bytes = b"") -> bytes:
        """Verify and decrypt: 16 bytes shorter than the ciphertext (RFC 9180 §5.2).

        Raises DecryptionError for a message that was not sealed for this context, and
        ContextUsedUp on a second call, whether or not the first one succeeded.
        """
        key, nonce = self._keys.take()
        try:
            return ChaCha20Poly1305(key).decrypt(nonce, ciphertext, aad)
        except InvalidTag as error:
            raise DecryptionError(
                "A message cannot be decrypted: it was made for another key or was changed; "
                "ask for it again."
            ) from error


def setup_base_sender(
    recipient: PublicKey, info: bytes, *, entropy: Entropy = system
) -> tuple[PublicKey, SealContext]:
    """Start a message to `recipient`: the encapsulated key to send along, and the context.

    Source: RFC 9180 §5.1.1.
    """
    ephemeral = SecretKey.generate(entropy=entropy)
    encapsulated = ephemeral.public_key
    shared_secret = _extract_and_expand(
        ephemeral.ecdh_x(recipient), encapsulated.uncompressed + recipient.uncompressed
    )
    return encapsulated, SealContext(_MODE_BASE, shared_secret, info)


def setup_base_receiver(encapsulated: PublicKey, recipient: SecretKey, info: bytes) -> OpenContext:
    """Answer `setup_base_sender` with the recipient's secret key (RFC 9180 §5.1.1)."""
    shared_secret = _extract_and_expand(
        recipient.ecdh_x(encapsulated),
        encapsulated.uncompressed + recipient.public_key.uncompressed,
    )
    return OpenContext(_MODE_BASE, shared_secret, info)


def setup_auth_sender(
    recipient: PublicKey, info: bytes, sender: SecretKey, *, entropy: Entropy = system
) -> tuple[PublicKey, SealContext]:
    """Start a message that proves to `recipient` that `sender` made it (RFC 9180 §5.1.3)."""
    ephemeral = SecretKey.generate(entropy=entropy)
    encapsulated = ephemeral.public_key
    shared_secret = _extract_and_expand(
        ephemeral.ecdh_x(recipient) + sender.ecdh_x(recipient),
        encapsulated.uncompressed + recipient.uncompressed + sender.public_key.uncompressed,
    )
    return encapsulated, SealContext(_MODE_AUTH, shared_secret, info)


def setup_auth_receiver(
    encapsulated: PublicKey, recipient: SecretKey, info: bytes, sender: PublicKey
) -> OpenContext:
    """Answer `setup_auth_sender`; only a message that `sender` sealed opens (RFC 9180 §5.1.3)."""
    shared_secret = _extract_and_expand(
        recipient.ecdh_x(encapsulated) + recipient.ecdh_x(sender),
        encapsulated.uncompressed + recipient.public_key.uncompressed + sender.uncompressed,
    )
    return OpenContext(_MODE_AUTH, shared_secret, info)


def _extract_and_expand(dh: bytes, kem_context: bytes) -> bytes:
    return expand(extract(b"", _EAE_PRK + dh), _SHARED_SECRET + kem_context, 32)


@lru_cache(maxsize=64)
def _key_schedule_context(mode: bytes, info: bytes) -> bytes:
    # Public and the same for every message of one kind, so cached.
    return mode + extract(b"", _PSK_ID_HASH) + extract(b"", _INFO_HASH + info)
