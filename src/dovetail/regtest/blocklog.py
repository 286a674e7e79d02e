"""The durable copy of the chain: an append-only file of blocks in the order they arrived.

Layout: a magic line, then per block its length and CRC-32 (4 bytes each, little endian)
and the serialized block. A record that a crash cut short at the end is dropped at the
next open; nobody was told of that block.
"""

import os
import sys
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from dovetail.errors import ReplayError, StoreUnavailable

_MAGIC = b"dovetail regtest blocks 1\n"
_PREFIX = 8
_MAX_BLOCK = 4_000_000


class BlockLog:
    """One process's exclusive hold on the file; close it after use.

    Raises StoreUnavailable when the file cannot be opened or another process has it,
    ReplayError when it is damaged (it is then left as it is).
    """

    def __init__(self, path: Path) -> None:
        with _storage("opened"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b", buffering=0)
        try:
            _lock(self._file.fileno())
            with _storage("read"):
                self._file.seek(0)
                data = self._file.read()
            self._blocks, self._end = _parse(data)
            self._synced = False
            if self._end < len(data):
                with _storage("repaired"):
                    self._file.truncate(self._end)
            if self._end == 0:
                self._write(_MAGIC)
            self.sync()
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take_blocks(self) -> tuple[bytes, ...]:
        """The blocks found at open, in the order they were appended; given out once."""
        blocks, self._blocks = self._blocks, ()
        return blocks

    def append(self, block: bytes) -> None:
        """Write a block behind the others; it is durable after `sync`.

        Raises StoreUnavailable; the log is then as it was.
        """
        checksum = zlib.crc32(block)
        self._write(len(block).to_bytes(4, "little") + checksum.to_bytes(4, "little") + block)

    def sync(self) -> None:
        """Make everything appended survive a crash. Raises StoreUnavailable."""
        if self._synced:
            return
        with _storage("synced"):
            os.fsync(self._file.fileno())
        self._synced = True

    def _write(self, record: bytes) -> None:
        self._synced = False
        try:
            with _storage("written"):
                view = memoryview(record)
                while view:
                    view = view[self._file.write(view) :]
        except StoreUnavailable:
            with _storage("repaired"):
                self._file.truncate(self._end)
            raise
        self._end += len(record)


def _parse(data: bytes) -> tuple[tuple[bytes, ...], int]:
    """The whole records of a log and the offset behind them; 0 for a log not yet begun."""
    if len(data) < len(_MAGIC) and _MAGIC.startswith(data):
        return (), 0
    if not data.startswith(_MAGIC):
        raise ReplayError("This file is not a regtest block log; choose another directory.")
    blocks: list[bytes] = []
    offset = len(_MAGIC)
    while len(data) - offset >= _PREFIX:
        length = int.from_bytes(data[offset : offset + 4], "little")
        checksum = int.from_bytes(data[offset + 4 : offset + 8], "little")
        end = offset + _PREFIX + length
        if length > _MAX_BLOCK:
            raise _damaged()
        block = data[offset + _PREFIX : end]
        if len(block) < length or (zlib.crc32(block) != checksum and end == len(data)):
            break
        if zlib.crc32(block) != checksum:
            raise _damaged()
        blocks.append(block)
        offset = end
    return tuple(blocks), offset


def _damaged() -> ReplayError:
    return ReplayError("The regtest block log is damaged; move its directory away and start anew.")


@contextmanager
def _storage(done: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(
            f"The regtest block log could not be {done}; check the directory and its free space."
        ) from error


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        return
    import fcntl  # noqa: PLC0415  the module exists on POSIX only

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise StoreUnavailable(
            "Another process uses this regtest directory; stop it or choose another one."
        ) from error
