"""secp256k1 keys, ECDH, ElligatorSwift and signatures to verify, over libsecp256k1.

SEC 1, BIP 66 (strict DER), BIP 146 (low S), BIP 324, BIP 340.
"""

from dataclasses import dataclass
from hmac import compare_digest
from typing import NoReturn

from btclib_secp256k1 import dsa, ecdh, ellswift, keys, ssa

from dovetail.crypto.entropy import Entropy, system
from dovetail.errors import InvalidKey

ELLSWIFT_BYTES = 64
COMPRESSED_BYTES = 33
UNCOMPRESSED_BYTES = 65


@dataclass(frozen=True, slots=True, repr=False)
class PublicKey:
    """A point of the curve other than infinity; hashable, with a redacted repr.

    `uncompressed` is its 65-byte form (04 ‖ x ‖ y), kept because reading it back costs no square
    root. Raises InvalidKey for anything else. Source: SEC 1 §2.3.
    """

    uncompressed: bytes

    def __post_init__(self) -> None:
        raw = self.uncompressed
        # libsecp256k1 also reads the hybrid forms 06 and 07, which no BIP allows.
        if len(raw) != UNCOMPRESSED_BYTES or raw[0] != 4 or not keys.pubkey_verify(raw):
            raise InvalidKey("These bytes are not a secp256k1 public key; ask for the key again.")

    @classmethod
    def parse(cls, data: bytes) -> "PublicKey":
        """Read the 33-byte compressed or 65-byte uncompressed form; raises InvalidKey."""
        if len(data) != COMPRESSED_BYTES:
            return cls(data)
        try:
            return _known(keys.reserialize(data, compressed=False))
        except ValueError as error:
            raise InvalidKey(
                "These bytes are not a compressed secp256k1 public key; ask for the key again."
            ) from error

    @property
    def compressed(self) -> bytes:
        """The 33-byte form: 02 or 03 by the parity of y, then x."""
        raw = self.uncompressed
        return (b"\x03" if raw[64] & 1 else b"\x02") + raw[1:33]

    def __repr__(self) -> str:
        return "PublicKey(redacted)"


def _known(uncompressed: bytes) -> PublicKey:
    """The point that libsecp256k1 itself wrote, which need not be verified again."""
    made = object.__new__(PublicKey)
    object.__setattr__(made, "uncompressed", uncompressed)
    return made


class SecretKey:
    """A scalar in [1, n-1], from its 32 big-endian bytes; raises InvalidKey for anything else.

    Redacted in repr, compared in constant time, not hashable; it cannot be pickled, so that it
    only leaves through `reveal`.
    """

    __slots__ = ("_public_key", "_secret")

    def __init__(self, secret: bytes) -> None:
        if not keys.prvkey_verify(secret):
            raise InvalidKey("These bytes are not a secp256k1 secret key; make a new key.")
        self._secret = secret
        self._public_key: PublicKey | None = None

    @classmethod
    def generate(cls, *, entropy: Entropy = system) -> "SecretKey":
        """Draw a fresh key: 32 bytes, which are out of range once in 2**127 draws (InvalidKey)."""
        return cls(entropy(32))

    @property
    def public_key(self) -> PublicKey:
        """The public key, computed on first use."""
        public_key = self._public_key
        if public_key is None:
            public_key = _known(keys.pubkey_from_prvkey(self._secret, compressed=False))
            self._public_key = public_key
        return public_key

    def ecdh_x(self, public_key: PublicKey) -> bytes:
        """Multiply the point by this key in constant time; the 32-byte x coordinate, unhashed."""
        return ecdh.shared_point(public_key.uncompressed, self._secret)[1:]

    def reveal(self) -> bytes:
        """Hand out the 32 secret bytes; the caller keeps them out of logs and messages (P4)."""
        return self._secret

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretKey):
            return NotImplemented
        return compare_digest(self._secret, other._secret)

    __hash__ = None  # type: ignore[assignment]  # a hash of a secret would leak through timing

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret key cannot be pickled or copied; store what reveal() returns.")

    def __repr__(self) -> str:
        return "SecretKey(redacted)"


def ellswift_encode(public_key: PublicKey, *, entropy: Entropy = system) -> bytes:
    """Encode a point as 64 bytes that look uniformly random; 32 bytes of entropy choose which.

    Source: BIP 324, "ElligatorSwift encoding of curve X coordinates".
    """
    return ellswift.encode(public_key.uncompressed, entropy(32))


def ellswift_decode(data: bytes) -> PublicKey:
    """Decode 64 bytes: any 64 bytes are a point; other lengths raise InvalidKey (BIP 324)."""
    if len(data) != ELLSWIFT_BYTES:
        raise InvalidKey("An ElligatorSwift key has 64 bytes; ask for the message again.")
    return _known(ellswift.decode(data, compressed=False))


def verify_ecdsa(public_key: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether a DER signature over a 32-byte digest is this key's (33 or 65 bytes).

    Strict DER and a low S alone count, as nodes relay nothing else; a hybrid key never does
    (BIP 66, BIP 146). What is malformed is no valid signature: nothing is raised for it.
    """
    compressed = len(public_key) == COMPRESSED_BYTES and public_key[0] in (2, 3)
    uncompressed = len(public_key) == UNCOMPRESSED_BYTES and public_key[0] == 4
    if not (compressed or uncompressed):
        return False
    try:
        return bool(dsa.verify(digest, public_key, signature))
    except ValueError:
        return False


def verify_schnorr(x_only: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether a 64-byte signature over a 32-byte digest is this x-only key's (BIP 340).

    What is malformed is no valid signature: nothing is raised for it.
    """
    if len(x_only) != 32:
        return False
    try:
        return bool(ssa.verify(digest, x_only, signature))
    except ValueError:
        return False
