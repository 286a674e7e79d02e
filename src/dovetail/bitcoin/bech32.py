"""Bech32 and Bech32m, segwit addresses (BIP 173, BIP 350), and bare base 32 (BIP 77)."""

from collections.abc import Iterable

from dovetail.errors import InvalidAddress, ParseError

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32, _BECH32M = 1, 0x2BC830A3
_CHECKSUM_LENGTH = 6
_MAX_LENGTH = 90


def encode_base32(data: bytes) -> str:
    """Write bytes in bech32's lower-case alphabet, zero bits at the end, without a checksum."""
    return "".join(_ALPHABET[value] for value in _to_groups(data))


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
    return f"{hrp}1" + "".join(_ALPHABET[value] for value in values + checksum)


def decode_segwit(text: str) -> tuple[str, int, bytes]:
    """Read a segwit address into its lower-case prefix, version and program (BIP 350).

    Raises `InvalidAddress`.
    """
    # Lower-casing could turn foreign letters into ours, so all must be ASCII.
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
    upper = text.isascii() and text.isupper()
    try:
        return bytes(_VALUES[character] for character in (text.lower() if upper else text))
    except KeyError as problem:
        raise error("The text has a character that bech32 lacks; copy it again.") from problem


def _expand(hrp: str) -> bytes:
    characters = hrp.encode("ascii")
    return bytes(c >> 5 for c in characters) + b"\0" + bytes(c & 31 for c in characters)


def _polymod(values: Iterable[int]) -> int:
    remainder = 1
    for value in values:
        top = remainder >> 25
        remainder = (remainder & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                remainder ^= generator
    return remainder


def _to_groups(data: bytes) -> bytes:
    """Split bytes into groups of 5 bits, the last one filled with zeros."""
    count = -(-len(data) * 8 // 5)
    number = int.from_bytes(data, "big") << (count * 5 - len(data) * 8)
    return bytes(number >> 5 * i & 31 for i in reversed(range(count)))


def _from_groups(groups: bytes, error: type[ParseError]) -> bytes:
    """Join groups of 5 bits; what does not fill a byte must be fewer than 5 bits, all zero."""
    number = 0
    for group in groups:
        number = number << 5 | group
    size, padding = divmod(len(groups) * 5, 8)
    if padding >= 5 or number & (1 << padding) - 1:
        raise error("The text has stray bits at its end; copy it again.")
    return (number >> padding).to_bytes(size, "big")
