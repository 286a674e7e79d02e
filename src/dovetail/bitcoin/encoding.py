"""Compact sizes and a bounds-checked reader (Bitcoin's network serialization)."""

from dovetail.errors import ParseError

_ENDS_EARLY = "ends before it is complete"
_ONE_BYTE = tuple(bytes((value,)) for value in range(0xFD))
_U16_MARK, _U32_MARK, _U64_MARK = b"\xfd", b"\xfe", b"\xff"


def compact_size(value: int) -> bytes:
    """Write a number from 0 to 2**64 - 1 in 1, 3, 5 or 9 bytes."""
    if 0 <= value < 0xFD:
        return _ONE_BYTE[value]
    if value <= 0xFFFF:
        return _U16_MARK + value.to_bytes(2, "little")
    if value <= 0xFFFF_FFFF:
        return _U32_MARK + value.to_bytes(4, "little")
    return _U64_MARK + value.to_bytes(8, "little")


def read_compact_size(
    data: bytes, offset: int = 0, error: type[ParseError] = ParseError
) -> tuple[int, int]:
    """Read a number in its shortest form; the result is the number and the offset behind it.

    Raises `error` when the data ends too early or a shorter form exists.
    """
    reader = Reader(data, error, "data", offset)
    return reader.compact_size(), reader.offset


def prefixed(data: bytes) -> bytes:
    """Write bytes behind their length as a compact size."""
    return compact_size(len(data)) + data


class Reader:
    """Reads bytes from front to back and never beyond their end.

    Raises the given `error`; its message names the data by `subject`.
    """

    __slots__ = ("data", "error", "offset", "subject")

    def __init__(self, data: bytes, error: type[ParseError], subject: str, offset: int = 0) -> None:
        self.data = data
        self.error = error
        self.subject = subject
        self.offset = offset

    @property
    def remaining(self) -> int:
        """How many bytes are left."""
        return len(self.data) - self.offset

    def fail(self, problem: str) -> ParseError:
        """Make the error that says what is wrong with the data."""
        return self.error(f"The {self.subject} {problem}; ask for it again.")

    def take(self, size: int) -> bytes:
        """Read this many bytes; nothing is copied unless all of them are there."""
        end = self.offset + size
        if end > len(self.data):
            raise self.fail(_ENDS_EARLY)
        taken = self.data[self.offset : end]
        self.offset = end
        return taken

    def uint(self, size: int) -> int:
        """Read an unsigned little-endian number of this many bytes."""
        start = self.offset
        end = start + size
        if end > len(self.data):
            raise self.fail(_ENDS_EARLY)
        self.offset = end
        return int.from_bytes(self.data[start:end], "little")

    def compact_size(self) -> int:
        """Read a compact size; refuse one that is longer than needed."""
        if self.offset >= len(self.data):
            raise self.fail(_ENDS_EARLY)
        first = self.data[self.offset]
        self.offset += 1
        if first < 0xFD:
            return first
        width = 1 << (first - 0xFC)
        value = self.uint(width)
        if value < (0xFD if width == 2 else 1 << (4 * width)):
            raise self.fail("has a length in a longer form than needed")
        return value

    def prefixed(self) -> bytes:
        """Read bytes behind their length as a compact size."""
        size = self.compact_size()
        start = self.offset
        end = start + size
        if end > len(self.data):
            raise self.fail(_ENDS_EARLY)
        self.offset = end
        return self.data[start:end]

    def skip_to(self, offset: int) -> None:
        """Go on from this offset; refuse one beyond the end."""
        if offset > len(self.data):
            raise self.fail(_ENDS_EARLY)
        self.offset = offset

    def count(self, item_size: int) -> int:
        """Read how many items follow, each at least `item_size` bytes long.

        A count that cannot fit is refused before anything is built from it.
        """
        count = self.compact_size()
        if count * item_size > len(self.data) - self.offset:
            raise self.fail("announces more than it holds")
        return count

    def finish(self) -> None:
        """Refuse bytes after the end."""
        if self.offset < len(self.data):
            raise self.fail("goes on after its end")
