"""The key-value maps of a PSBT (BIP 174, Specification); order and bytes are preserved."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from dovetail.bitcoin.encoding import compact_size, read_compact_size
from dovetail.errors import InvalidPsbt

_TRUNCATED = "The PSBT ends too early; ask for the whole of it."

_ONE_BYTE = tuple(bytes((value,)) for value in range(0xFD))

Entry = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True, repr=False)
class KeyMap:
    """One map: entries of key (key type as compact size, then key data) and value, in wire order.

    Raises `InvalidPsbt` for an empty or repeated key.
    """

    entries: tuple[Entry, ...] = ()
    _values: dict[bytes, bytes] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        values = dict(self.entries)
        if len(values) != len(self.entries) or b"" in values:
            raise InvalidPsbt(
                "A PSBT map has an empty or repeated key; ask its creator for a valid PSBT."
            )
        object.__setattr__(self, "_values", values)

    def __repr__(self) -> str:
        return f"KeyMap({len(self.entries)} entries)"

    def get(self, field_type: int, keydata: bytes = b"") -> bytes | None:
        """The value under this key type and key data, or None."""
        # `_prefix` inlined: this method is called most often.
        key = _ONE_BYTE[field_type] if field_type < 0xFD else compact_size(field_type)
        return self._values.get(key + keydata if keydata else key)

    def all(self, field_type: int) -> tuple[Entry, ...]:
        """Each (key data, value) of this key type, in wire order."""
        prefix = _prefix(field_type)
        size = len(prefix)
        return tuple((key[size:], value) for key, value in self.entries if key.startswith(prefix))

    def with_value(self, field_type: int, value: bytes, keydata: bytes = b"") -> Self:
        """The map with this value: in the place of the old one, else before the next larger key."""
        return self.with_key(_prefix(field_type) + keydata, value)

    def with_key(self, key: bytes, value: bytes) -> Self:
        """The map with this value under a whole key, placed as `with_value` does."""
        new = (key, value)
        if key in self._values:
            return type(self)(tuple(new if entry[0] == key else entry for entry in self.entries))
        place = next((i for i, entry in enumerate(self.entries) if entry[0] > key), None)
        if place is None:
            return type(self)((*self.entries, new))
        return type(self)((*self.entries[:place], new, *self.entries[place:]))

    def without(self, *field_types: int) -> Self:
        """The map without any entry of these key types."""
        prefixes = tuple(map(_prefix, field_types))
        kept = tuple([entry for entry in self.entries if not entry[0].startswith(prefixes)])
        return self if len(kept) == len(self.entries) else type(self)(kept)

    def only(self, *field_types: int) -> Self:
        """The map with nothing but entries of these key types."""
        prefixes = tuple(map(_prefix, field_types))
        kept = tuple([entry for entry in self.entries if entry[0].startswith(prefixes)])
        return self if len(kept) == len(self.entries) else type(self)(kept)

    def merge(self, other: Self) -> Self:
        """The union in the order of keys; where both hold a key, this map's value stays."""
        return type(self)(tuple(sorted((other._values | self._values).items())))


def _prefix(field_type: int) -> bytes:
    return _ONE_BYTE[field_type] if field_type < 0xFD else compact_size(field_type)


def read_size(data: bytes, position: int) -> tuple[int, int]:
    """The compact size at this offset, and the offset behind it. Raises `InvalidPsbt`."""
    if position < len(data) and data[position] < 0xFD:
        return data[position], position + 1
    return read_compact_size(data, position, InvalidPsbt)


def read_map(data: bytes, position: int) -> tuple[KeyMap, int]:
    """The map that starts at this offset, and the offset behind its separator.

    Memory is never allocated by an announced length alone. Raises `InvalidPsbt`.
    """
    entries: list[Entry] = []
    try:
        while True:
            size = data[position]
            if size == 0:
                return KeyMap(tuple(entries)), position + 1
            position += 1
            if size >= 0xFD:
                size, position = read_compact_size(data, position - 1, InvalidPsbt)
            end = position + size
            key = data[position:end]
            size = data[end]
            position = end + 1
            if size >= 0xFD:
                size, position = read_compact_size(data, end, InvalidPsbt)
            end = position + size
            entries.append((key, data[position:end]))
            position = end
    except IndexError:
        raise InvalidPsbt(_TRUNCATED) from None


def write_map(parts: list[bytes], entries: Iterable[Entry]) -> None:
    """Append the map's serialization, separator included, to `parts`."""
    for key, value in entries:
        key_size = len(key)
        value_size = len(value)
        parts.append(_ONE_BYTE[key_size] if key_size < 0xFD else compact_size(key_size))
        parts.append(key)
        parts.append(_ONE_BYTE[value_size] if value_size < 0xFD else compact_size(value_size))
        parts.append(value)
    parts.append(b"\x00")
