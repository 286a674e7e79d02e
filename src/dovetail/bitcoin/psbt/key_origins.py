"""Key origins: BIP 174 key origins and BIP 371 Taproot key origins."""

from dataclasses import dataclass
from typing import Self

from dovetail.bitcoin.encoding import compact_size, read_compact_size
from dovetail.errors import InvalidPsbt

_MALFORMED = "A PSBT key origin cannot be read; ask its creator for another PSBT."


@dataclass(frozen=True, slots=True, repr=False)
class KeyOrigin:
    """A master key's fingerprint (4 bytes) and the BIP 32 path from it (32-bit child numbers)."""

    fingerprint: bytes
    path: tuple[int, ...]

    def __repr__(self) -> str:
        return f"KeyOrigin(depth {len(self.path)})"

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read fingerprint and little-endian child numbers. Raises `InvalidPsbt`."""
        if len(data) < 4 or len(data) % 4:
            raise InvalidPsbt(_MALFORMED)
        steps = range(4, len(data), 4)
        return cls(data[:4], tuple(int.from_bytes(data[i : i + 4], "little") for i in steps))

    def serialize(self) -> bytes:
        """Fingerprint, then 4 bytes for each step of the path."""
        return self.fingerprint + b"".join(step.to_bytes(4, "little") for step in self.path)


@dataclass(frozen=True, slots=True, repr=False)
class TapKeyOrigin:
    """The leaves (32-byte hashes) an x-only key appears in, and its origin."""

    leaf_hashes: tuple[bytes, ...]
    origin: KeyOrigin

    def __repr__(self) -> str:
        return f"TapKeyOrigin({len(self.leaf_hashes)} leaves, depth {len(self.origin.path)})"

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the counted leaf hashes and the origin. Raises `InvalidPsbt`."""
        count, start = read_compact_size(data, 0, InvalidPsbt)
        end = start + 32 * count
        if end > len(data):
            raise InvalidPsbt(_MALFORMED)
        hashes = tuple(data[i : i + 32] for i in range(start, end, 32))
        return cls(hashes, KeyOrigin.parse(data[end:]))

    def serialize(self) -> bytes:
        """Count, hashes, origin."""
        return (
            compact_size(len(self.leaf_hashes))
            + b"".join(self.leaf_hashes)
            + (self.origin.serialize())
        )
