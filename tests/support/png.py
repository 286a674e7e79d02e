"""A PNG picture of a browser as grey pixels, without a library for pictures."""

import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {2: 3, 6: 4}


def grey_rows(picture: bytes) -> list[bytes]:
    """The rows of an RGB or RGBA picture of 8 bits, each pixel a byte (PNG, sections 9 and 11)."""
    assert picture.startswith(_SIGNATURE)
    width, height, depth, kind, *_ = struct.unpack(">IIBBBBB", picture[16:29])
    assert depth == 8
    size = _CHANNELS[kind]
    data = zlib.decompress(b"".join(_chunks(picture, b"IDAT")))
    rows: list[bytes] = []
    above = bytes(width * size)
    for number in range(height):
        start = number * (width * size + 1)
        above = _plain(data[start], data[start + 1 : start + 1 + width * size], above, size)
        rows.append(bytes(sum(above[at : at + 3]) // 3 for at in range(0, len(above), size)))
    return rows


def _chunks(picture: bytes, wanted: bytes) -> list[bytes]:
    found, at = [], len(_SIGNATURE)
    while at < len(picture):
        (length,) = struct.unpack(">I", picture[at : at + 4])
        if picture[at + 4 : at + 8] == wanted:
            found.append(picture[at + 8 : at + 8 + length])
        at += length + 12
    return found


def _plain(filtered: int, row: bytes, above: bytes, size: int) -> bytes:
    made = bytearray(row)
    for at, value in enumerate(row):
        left = made[at - size] if at >= size else 0
        corner = above[at - size] if at >= size else 0
        made[at] = (value + _predicted(filtered, left, above[at], corner)) & 0xFF
    return bytes(made)


def _predicted(filtered: int, left: int, up: int, corner: int) -> int:
    match filtered:
        case 0:
            return 0
        case 1:
            return left
        case 2:
            return up
        case 3:
            return (left + up) // 2
        case _:
            guess = left + up - corner
            return min((left, up, corner), key=lambda each: abs(guess - each))
