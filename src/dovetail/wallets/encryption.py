"""Encryption of stored secrets with a passphrase, by scrypt and ChaCha20-Poly1305.

The key is derived by scrypt (RFC 7914) from the passphrase in NFKD and UTF-8, as in BIP 39. Each
encryption draws a new salt and nonce. The parameters are stored with the ciphertext, so that later
versions can use higher costs. The parameters of a file are limited.
"""

import unicodedata
from typing import TYPE_CHECKING, Annotated

import msgspec

from dovetail.crypto.entropy import Entropy, system
from dovetail.errors import UsageError, WrongPassphrase

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

LEAST_LENGTH = 8
MOST_LENGTH = 1024
_KEY_SIZE = 32
_SALT_SIZE = 16
_NONCE_SIZE = 12  # RFC 8439, section 2.8
_MOST_BLOCKS = 2**23  # of 128 bytes: scrypt takes 1 GiB


class Scrypt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="scrypt"):
    """The parameters of scrypt (RFC 7914, section 2): `n` is its cost, `r` and `p` its sizes."""

    n: Annotated[int, msgspec.Meta(ge=2, le=2**23)]
    r: Annotated[int, msgspec.Meta(ge=1, le=32)]
    p: Annotated[int, msgspec.Meta(ge=1, le=16)]
    salt: Annotated[bytes, msgspec.Meta(min_length=_SALT_SIZE, max_length=64)]

    def __post_init__(self) -> None:
        """Refuse invalid parameters, and those that need too much memory."""
        if self.n & (self.n - 1) or self.n * self.r > _MOST_BLOCKS:
            raise ValueError("These parameters of scrypt must not be used.")

    def key(self, passphrase: str) -> bytes:
        """Return the key of 32 bytes; this takes about half a second with the usual parameters."""
        from cryptography.hazmat.primitives.kdf.scrypt import (  # noqa: PLC0415 - only to unlock
            Scrypt as Derivation,
        )

        text = unicodedata.normalize("NFKD", passphrase).encode()
        made = Derivation(salt=self.salt, length=_KEY_SIZE, n=self.n, r=self.r, p=self.p)
        return made.derive(text)


class Cost(msgspec.Struct, frozen=True):
    """The cost of a new key: by default 128 MiB, and about half a second."""

    n: int = 2**17
    r: int = 8
    p: int = 1


COST = Cost()


class Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A ciphertext with its tag (ChaCha20-Poly1305, RFC 8439), and the parameters of its key."""

    kdf: Scrypt
    nonce: Annotated[bytes, msgspec.Meta(min_length=_NONCE_SIZE, max_length=_NONCE_SIZE)]
    data: bytes

    def __repr__(self) -> str:
        return "<Sealed>"


def encrypt(
    plaintext: bytes, passphrase: str, bound: bytes, *, entropy: Entropy = system
) -> Sealed:
    """Encrypt `plaintext`; `bound` is authenticated with it and must be given to decrypt.

    Raises `UsageError` for a passphrase that is too short or too long.
    """
    require_passphrase(passphrase)
    kdf = Scrypt(n=COST.n, r=COST.r, p=COST.p, salt=entropy(_SALT_SIZE))
    nonce = entropy(_NONCE_SIZE)
    data = _cipher(kdf.key(passphrase)).encrypt(nonce, plaintext, bound)
    return Sealed(kdf=kdf, nonce=nonce, data=data)


def decrypt(box: Sealed, passphrase: str, bound: bytes) -> bytes:
    """Decrypt. Raises `WrongPassphrase`, also if the box or `bound` was changed."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - only to unlock

    if len(passphrase) > MOST_LENGTH:
        raise WrongPassphrase(_WRONG)
    try:
        return _cipher(box.kdf.key(passphrase)).decrypt(box.nonce, box.data, bound)
    except (InvalidTag, UnicodeEncodeError):
        raise WrongPassphrase(_WRONG) from None


def require_passphrase(passphrase: str) -> None:
    """Raise `UsageError` for a passphrase that is too short or too long."""
    if not LEAST_LENGTH <= len(passphrase) <= MOST_LENGTH:
        raise UsageError(
            f"A passphrase has {LEAST_LENGTH} to {MOST_LENGTH} characters; take several words."
        )
    try:
        passphrase.encode()
    except UnicodeEncodeError:
        raise UsageError("The passphrase is not text in UTF-8; choose another.") from None


_WRONG = (
    "The passphrase is wrong; mind capitals and the keyboard's layout, and try again. If you are"
    " sure of it, the file was changed: restore it from a backup."
)


def _cipher(key: bytes) -> "ChaCha20Poly1305":
    from cryptography.hazmat.primitives.ciphers import aead  # noqa: PLC0415 - only to unlock

    return aead.ChaCha20Poly1305(key)
