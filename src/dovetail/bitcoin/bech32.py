"""Bech32 and Bech32m, segwit addresses (BIP 173, BIP 350), and bare base 32 (BIP 77)."""

import base64
from functools import lru_cache

from dovetail.errors import InvalidAddress, ParseError

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_FOREIGN = 0xFF
_GROUPS = bytes(range(32))
# Tables for `bytes.translate`, which turns one way to write groups of 5 bits into another.
_TO_LETTERS = bytes.maketrans(_GROUPS, _ALPHABET.encode())
_FROM_LETTERS = bytes(
    _ALPHABET.find(chr(code)) if chr(code) in _ALPHABET else _FOREIGN for code in range(256)
)
_FROM_RFC4648 = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", _GROUPS)
_TO_DIGITS = bytes.maketrans(_GROUPS, b"0123456789abcdefghijklmnopqrstuv")
_BECH32, _BECH32M = 1, 0x2BC830A3
_CHECKSUM_LENGTH = 6
_MAX_LENGTH = 90


@lru_cache(maxsize=256)
def encode_base32(data: bytes) -> str:
    """Write bytes in bech32's lower-case alphabet, zero bits at the end, without a checksum."""
    return _to_groups(data).translate(_TO_LETTERS).decode()


def decode_base32(text: str, error: type[ParseError] = ParseError) -> bytes:
    """Read bytes in bech32's alphabet, all in upper or all in lower case, without a checksum.

    Raises `error` on other characters and when the bits at the end are not zero padding.
    """
    return _from_groups(_read_values(text, error), error)


def encode_segwit(hrp: str, version: int, program: bytes) -> str:
    """Write a witness program of 2 to 40 bytes as a lower-case segwit address (BIP 350)."""
    values = bytes([version]) + _to_groups(program)
    constant = _BECH32 if version == 0 else _BECH32M
    remainder = _polymod(_expand(hrp) + values + bytes(_CHECKSUM_LENGTH)) ^ constant
    checksum = bytes(remainder >> 5 * (5 - i) & 31 for i in range(_CHECKSUM_LENGTH))
    return f"{hrp}1" + (values + checksum).translate(_TO_LETTERS).decode()


def decode_segwit(text: str) -> tuple[str, int, bytes]:
    """Read a segwit address into its lower-case prefix, version and program (BIP 350).

    Raises `InvalidAddress`.
    """
    # Lower-casing could turn other letters into ASCII, so require ASCII first.
    well_formed = (
        len(text) <= _MAX_LENGTH and text.isascii() and text in (text.lower(), text.upper())
    )
    hrp, _, rest = text.lower().rpartition("1") if well_formed else ("", "", "")
    if not hrp:
        raise InvalidAddress("The text is not bech32; copy the address again.")
    values = _read_values(rest, InvalidAddress)
    version, groups = values[:1], values[1:-_CHECKSUM_LENGTH]
    expected = _BECH32 if version == b"\0" else _BECH32M
    if len(values) <= _CHECKSUM_LENGTH or _polymod(_expand(hrp) + values) != expected:
        raise InvalidAddress("The checksum does not match; copy the address again.")
    program = _from_groups(groups, InvalidAddress)
    sizes = (20, 32) if version == b"\0" else range(2, 41)
    if version[0] > 16 or len(program) not in sizes:
        raise InvalidAddress("The address has no such witness version; ask for another one.")
    return hrp, version[0], program


def _read_values(text: str, error: type[ParseError]) -> bytes:
    # Lower-casing could turn other letters into ASCII, so replace them by `?` first.
    characters = text.encode("ascii", "replace")
    lower = characters.lower() if characters.isupper() else characters
    values = lower.translate(_FROM_LETTERS)
    if _FOREIGN in values:
        raise error("The text has a character that bech32 lacks; copy it again.")
    return values


def _expand(hrp: str) -> bytes:
    characters = hrp.encode("ascii")
    return bytes(c >> 5 for c in characters) + b"\0" + bytes(c & 31 for c in characters)


def _feedback(top: int) -> int:
    """Return the value that five outgoing bits add to the remainder (BIP 173)."""
    bits = 0
    for bit, generator in enumerate(_GENERATOR):
        if top >> bit & 1:
            bits ^= generator
    return bits


_FEEDBACK = tuple(map(_feedback, range(32)))


def _polymod(values: bytes) -> int:
    remainder = 1
    for value in values:
        remainder = (remainder & 0x1FFFFFF) << 5 ^ value ^ _FEEDBACK[remainder >> 25]
    return remainder


def _to_groups(data: bytes) -> bytes:
    """Split bytes into groups of 5 bits, the last one filled with zeros."""
    return base64.b32encode(data).rstrip(b"=").translate(_FROM_RFC4648)


def _from_groups(groups: bytes, error: type[ParseError]) -> bytes:
    """Join groups of 5 bits; the padding must be fewer than 5 bits, all zero."""
    number = int(groups.translate(_TO_DIGITS) or b"0", 32)
    size, padding = divmod(len(groups) * 5, 8)
    if padding >= 5 or number & (1 << padding) - 1:
        raise error("The text has stray bits at its end; copy it again.")
    return (number >> padding).to_bytes(size, "big")
