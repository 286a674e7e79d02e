"""HKDF with SHA-256 (RFC 5869)."""

from hmac import digest

HASH_BYTES = 32
MAX_OUTPUT_BYTES = 255 * HASH_BYTES


def extract(salt: bytes, key_material: bytes) -> bytes:
    """Concentrate key material into a 32-byte pseudorandom key (RFC 5869 §2.2)."""
    return digest(salt, key_material, "sha256")


def expand(key: bytes, info: bytes, length: int) -> bytes:
    """Derive `length` bytes, 0 to 8160, from a pseudorandom key (RFC 5869 §2.3)."""
    block = output = digest(key, info + b"\x01", "sha256")
    counter = 1
    while len(output) < length:
        counter += 1
        block = digest(key, block + info + bytes((counter,)), "sha256")
        output += block
    return output[:length]
