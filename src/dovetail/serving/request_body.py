"""The body of an HTTP/1.1 request: reads it from the arrived bytes (RFC 9112 §6 and §7.1)."""

import re
from enum import Enum, auto
from http import HTTPStatus

from dovetail.serving.request_head import HEAD_LIMIT, BadRequest, parse_fields

_LINE_LIMIT = 256
"""Bytes of a chunk's size line with its extensions, which are ignored."""
_FREE_CHUNKS = 256
"""The first chunks may have any size; with later ones the average must be `_LEAST_CHUNK` bytes."""
_LEAST_CHUNK = 32
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")


class _At(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILERS = auto()


class Body:
    """One body of `length` bytes, or chunked if that is None; at most `limit` bytes."""

    __slots__ = (
        "_at",
        "_chunked",
        "_chunks",
        "_left",
        "_limit",
        "_overhead",
        "_seen",
        "_size",
        "_trailers",
        "done",
    )

    def __init__(self, length: int | None, *, limit: int) -> None:
        """A body is refused when more than `limit` bytes have arrived."""
        self._limit = limit
        self._size = 0
        self._chunked = length is None
        self._left = length or 0
        self._at = _At.SIZE
        self._seen = 0
        self._overhead = 0
        self._chunks = 0
        self._trailers: list[bytes] = []
        self.done = length == 0

    @property
    def left(self) -> int | None:
        """The number of bytes still to come, if it is known."""
        return None if self._chunked and not self.done else self._left

    def take(self, arrived: bytearray) -> bytes:
        """Remove and return the body's bytes at the front of `arrived`. Raises `BadRequest`."""
        if not self._chunked:
            data = self._cut(arrived)
            self.done = not self._left
            return data
        parts: list[bytes] = []
        while not self.done and self._step(arrived, parts):
            pass
        return b"".join(parts)

    def _cut(self, arrived: bytearray) -> bytes:
        data = bytes(arrived[: self._left])
        del arrived[: self._left]
        self._left -= len(data)
        self._size += len(data)
        if self._size > self._limit:
            raise BadRequest(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The body has more than {self._limit} bytes.",
            )
        return data

    def _step(self, arrived: bytearray, parts: list[bytes]) -> bool:
        """Read one part of the framing; return False when it has not arrived completely."""
        match self._at:
            case _At.SIZE:
                line = self._line(arrived, _LINE_LIMIT)
                if line is not None:
                    self._begin_chunk(line)
                return line is not None
            case _At.DATA:
                parts.append(self._cut(arrived))
                self._at = _At.DATA if self._left else _At.DATA_END
                return not self._left
            case _At.DATA_END:
                return self._end_chunk(arrived)
            case _At.TRAILERS:
                line = self._line(arrived, HEAD_LIMIT)
                if line is not None:
                    self._trail(line)
                return line is not None

    def _end_chunk(self, arrived: bytearray) -> bool:
        if not b"\r\n".startswith(arrived[:2]):
            raise _bad()
        if len(arrived) < 2:
            return False
        del arrived[:2]
        self._at = _At.SIZE
        return True

    def _trail(self, line: bytes) -> None:
        """Check a trailer field and drop it; no application here uses trailers."""
        if line:
            self._trailers.append(line)
        else:
            parse_fields(self._trailers)
            self.done = True

    def _begin_chunk(self, line: bytes) -> None:
        size = _SIZE.fullmatch(line)
        if size is None:
            raise _bad()
        self._left = int(size[1], 16)
        self._at = _At.DATA if self._left else _At.TRAILERS
        self._chunks += 1
        if self._left and (self._chunks - _FREE_CHUNKS) * _LEAST_CHUNK > self._size + self._left:
            raise BadRequest(HTTPStatus.BAD_REQUEST, "The chunks of the body are too small.")
        # The framing may have as many bytes as the data, plus those of a head.
        self._overhead = self._overhead - self._left if self._left else 0

    def _line(self, arrived: bytearray, limit: int) -> bytes | None:
        """Return the next line. Bytes that were searched are not searched again."""
        end = arrived.find(b"\r\n", max(0, self._seen - 1))
        size = len(arrived) if end < 0 else end
        if size > limit:
            raise _bad()
        if end < 0:
            self._seen = size
            return None
        line = bytes(arrived[:end])
        del arrived[: end + 2]
        self._seen = 0
        self._overhead += end + 2
        if self._overhead > HEAD_LIMIT:
            raise _bad()
        return line


def _bad() -> BadRequest:
    return BadRequest(HTTPStatus.BAD_REQUEST, "The chunks of the body are malformed.")
