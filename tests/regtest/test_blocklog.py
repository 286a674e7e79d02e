import os
import zlib
from pathlib import Path

import pytest

from dovetail.errors import ReplayError, StoreUnavailable
from dovetail.regtest.blocklog import BlockLog

BLOCKS = (b"first", b"second block", b"")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "deep" / "blocks.log"
    with BlockLog(found) as log:
        for block in BLOCKS:
            log.append(block)
        log.sync()
    return found


def blocks_in(path: Path) -> tuple[bytes, ...]:
    with BlockLog(path) as log:
        return log.take_blocks()


def test_blocks_come_back_in_the_order_they_were_appended(path):
    assert blocks_in(path) == BLOCKS


def test_blocks_are_given_out_once(path):
    with BlockLog(path) as log:
        log.take_blocks()
        assert log.take_blocks() == ()


def test_a_reopened_log_goes_on_at_its_end(path):
    with BlockLog(path) as log:
        log.append(b"fourth")
    assert blocks_in(path) == (*BLOCKS, b"fourth")


def test_a_record_cut_short_by_a_crash_is_dropped(tmp_path):
    path = tmp_path / "blocks.log"
    with BlockLog(path) as log:
        log.append(b"whole")
        log.append(b"to be cut short")
    whole = path.read_bytes()
    first_end = len(whole) - len(b"to be cut short") - 8
    for end in range(first_end, len(whole)):
        path.write_bytes(whole[:end])
        assert blocks_in(path) == (b"whole",)
        assert len(path.read_bytes()) == first_end


def test_a_log_cut_within_its_first_line_starts_anew(tmp_path):
    path = tmp_path / "blocks.log"
    path.write_bytes(b"dovetail reg")
    with BlockLog(path) as log:
        log.append(b"block")
    assert blocks_in(path) == (b"block",)


def test_a_last_record_with_a_wrong_checksum_is_dropped(path):
    with BlockLog(path) as log:
        log.append(b"last")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert blocks_in(path) == BLOCKS


def test_damage_in_the_middle_is_reported_and_the_file_left_alone(path):
    data = bytearray(path.read_bytes())
    data[data.index(b"first")] ^= 1
    path.write_bytes(data)
    with pytest.raises(ReplayError):
        BlockLog(path)
    assert path.read_bytes() == bytes(data)


def test_a_length_no_block_can_have_is_reported(path):
    data = path.read_bytes()
    path.write_bytes(data + b"\xff" * 4 + bytes(4))
    with pytest.raises(ReplayError):
        BlockLog(path)


def test_another_file_is_not_taken_for_a_log(tmp_path):
    path = tmp_path / "blocks.log"
    path.write_bytes(b"somebody else's data, and a lot of it")
    with pytest.raises(ReplayError):
        BlockLog(path)
    assert path.read_bytes().startswith(b"somebody")


def test_a_second_process_cannot_open_the_log(path):
    with BlockLog(path), pytest.raises(StoreUnavailable):
        BlockLog(path)


def test_a_place_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailable):
        BlockLog(tmp_path / "file" / "blocks.log")


def test_a_full_disk_leaves_the_log_as_it_was(path, monkeypatch):
    before = path.read_bytes()
    with BlockLog(path) as log:
        monkeypatch.setattr(log, "_file", _FullDisk(log._file, room=3))
        with pytest.raises(StoreUnavailable):
            log.append(b"does not fit")
    assert path.read_bytes() == before


def test_a_failing_sync_is_reported_and_tried_again(path, monkeypatch):
    def fail(_descriptor):
        raise OSError

    with BlockLog(path) as log:
        log.append(b"block")
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", fail)
            with pytest.raises(StoreUnavailable):
                log.sync()
        log.sync()
    assert blocks_in(path)[-1] == b"block"


def test_the_format_is_the_documented_one(path):
    data = path.read_bytes()
    assert data.startswith(b"dovetail regtest blocks 1\n")
    offset = len(b"dovetail regtest blocks 1\n")
    record = (5).to_bytes(4, "little") + zlib.crc32(b"first").to_bytes(4, "little") + b"first"
    assert data[offset : offset + len(record)] == record


class _FullDisk:
    """A file that takes a few bytes and then fails as a full disk does."""

    def __init__(self, file, room):
        self.file = file
        self.room = room

    def write(self, data):
        if self.room <= 0:
            raise OSError(28, "No space left on device")
        written = self.file.write(bytes(data[: self.room]))
        self.room -= written
        return written

    def __getattr__(self, name):
        return getattr(self.file, name)
