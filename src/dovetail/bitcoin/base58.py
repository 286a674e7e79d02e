"""Base58Check, as in the first Bitcoin addresses."""

from dovetail.bitcoin.hashes import hash256
from dovetail.errors import InvalidAddress

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_CHECKSUM_SIZE = 4
_MAX_LENGTH = 128  # reading takes time that is quadratic in the length


def encode_base58check(payload: bytes) -> str:
    """Write bytes and their 4-byte checksum in base 58."""
    data = payload + _checksum(payload)
    number = int.from_bytes(data, "big")
    digits: list[str] = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(_ALPHABET[digit])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(digits))


def decode_base58check(text: str) -> bytes:
    """Read base 58 of at most 128 characters and check its checksum.

    Raises `InvalidAddress`.
    """
    if len(text) > _MAX_LENGTH or any(character not in _VALUES for character in text):
        raise InvalidAddress("The text is not base 58; copy the address again.")
    number = 0
    for character in text:
        number = number * 58 + _VALUES[character]
    zeros = len(text) - len(text.lstrip("1"))
    data = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    payload, checksum = data[:-_CHECKSUM_SIZE], data[-_CHECKSUM_SIZE:]
    if checksum != _checksum(payload):
        raise InvalidAddress("The checksum does not match; copy the address again.")
    return payload


def _checksum(payload: bytes) -> bytes:
    return hash256(payload)[:_CHECKSUM_SIZE]
