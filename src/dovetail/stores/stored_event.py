"""One entry of a log as it lies in a store."""

from dataclasses import dataclass
from zlib import crc32

from dovetail.bitcoin import UnixTime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """One entry as it is stored, be it readable or not. Its repr shows no content (P4)."""

    seq: int
    tag: str
    data: bytes
    created_at: UnixTime
    checksum: int | None
    """What `checksum_of` gave when it was written; None in entries that are older than that."""

    def __repr__(self) -> str:
        return f"<StoredEvent {self.seq}>"


def raw_event(seq: int, tag: str, data: bytes, created_at: UnixTime) -> StoredEvent:
    """An entry that is about to be stored."""
    return StoredEvent(
        seq=seq, tag=tag, data=data, created_at=created_at, checksum=checksum_of(seq, data)
    )


def is_as_written(seq: int, tag: bytes, data: bytes, checksum: int | None) -> bool:
    """Whether an entry is what was written, filed under its kind; False if it has no checksum."""
    return checksum == checksum_of(seq, data) and b'"event":"%s"' % tag in data[: len(tag) + 20]


def checksum_of(seq: int, data: bytes) -> int:
    """A CRC-32 of an entry and its place: it tells a flipped byte, and proves nothing."""
    return crc32(data, seq)
