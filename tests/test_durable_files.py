import errno
import os
import stat
from pathlib import Path

import pytest

from dovetail.durable_files import create_durably, new_file, replace_durably, sync_folder


def failing(number: int):
    def fail(*_arguments, **_named):
        raise OSError(number, os.strerror(number))

    return fail


def test_a_file_is_replaced_as_a_whole_and_is_ours_alone(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    replace_durably(path, b"after")
    assert path.read_bytes() == b"after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch, step):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    monkeypatch.setattr(os if step == "fsync" else Path, step, failing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        replace_durably(path, b"after")
    assert path.read_bytes() == b"before"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_what_an_earlier_process_of_that_number_left_is_no_hindrance(tmp_path: Path):
    path = tmp_path / "file"
    (tmp_path / f"file.{os.getpid()}").write_bytes(b"half")
    replace_durably(path, b"whole")
    assert path.read_bytes() == b"whole"


def test_a_file_that_is_there_is_not_created_again(tmp_path: Path):
    path = tmp_path / "file"
    assert create_durably(path, b"first")
    assert not create_durably(path, b"second")
    assert path.read_bytes() == b"first"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_new_file_is_gone_if_it_cannot_be_finished(tmp_path: Path):
    path = tmp_path / "file"
    with pytest.raises(TypeError), new_file(path) as file:
        file.write("no bytes")  # type: ignore[call-overload]
    assert not path.exists()
    with new_file(path) as file:
        file.write(b"whole")
    with pytest.raises(FileExistsError), new_file(path):
        pass
    assert path.read_bytes() == b"whole"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EINVAL])
def test_a_system_that_knows_no_durable_folders_is_no_failure(tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", failing(number))
    sync_folder(tmp_path)


def test_a_disk_that_fails_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        sync_folder(tmp_path)
