"""Bytes read as a row of choices, so that a mutated input is another story and not noise."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Reads small numbers from the front; behind the end every choice is 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def more(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def rest(self) -> bytes:
        return self.take(len(self._data))

    def number(self, size: int = 1) -> int:
        return int.from_bytes(self.take(size))

    def signed(self, size: int) -> int:
        return int.from_bytes(self.take(size), signed=True)

    def below(self, count: int) -> int:
        """A number below `count`, which is 1 at least; from one byte, or two where one is few."""
        return self.number(1 if count <= 0x100 else 2) % count

    def one_of(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def some(self) -> bytes:
        """Up to 255 bytes behind their number."""
        return self.take(self.number())
