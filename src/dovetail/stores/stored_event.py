"""One stored entry of a log."""

from dataclasses import dataclass
from zlib import crc32

from dovetail.bitcoin import UnixTime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """One stored entry, readable or not. Its repr shows no content (P4)."""

    seq: int
    tag: str
    data: bytes
    created_at: UnixTime
    checksum: int | None
    """`checksum_of` the entry when it was written; None in old entries."""

    def __repr__(self) -> str:
        return f"<StoredEvent {self.seq}>"


def raw_event(seq: int, tag: str, data: bytes, created_at: UnixTime) -> StoredEvent:
    """Return a new entry with its checksum."""
    return StoredEvent(
        seq=seq, tag=tag, data=data, created_at=created_at, checksum=checksum_of(seq, data)
    )


def is_as_written(seq: int, tag: bytes, data: bytes, checksum: int | None) -> bool:
    """Whether an entry is unchanged and has the right tag; False without a checksum."""
    return checksum == checksum_of(seq, data) and b'"event":"%s"' % tag in data[: len(tag) + 20]


def checksum_of(seq: int, data: bytes) -> int:
    """Return a CRC-32 of an entry and its number. It finds accidental changes, not forgeries."""
    return crc32(data, seq)
