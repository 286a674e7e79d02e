"""Messages on a stream: four bytes of length, big-endian, then as many bytes of JSON."""

import struct

from dovetail.errors import ParseError
from dovetail.merchant.signer.messages import MOST_BYTES

HEAD = struct.Struct(">I")


def framed(message: bytes) -> bytes:
    """Return a message with its length."""
    return HEAD.pack(len(message)) + message


def length_of(head: bytes) -> int:
    """Return the length that a head tells; raises `ParseError` for one that is too long."""
    (length,) = HEAD.unpack(head)
    if not 0 < length <= MOST_BYTES:
        raise ParseError("A message on the signer's socket has an impossible length.")
    return int(length)
