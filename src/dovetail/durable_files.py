"""Atomic writes of small files that survive a power cut."""

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_NO_FOLDERS = frozenset({errno.EACCES, errno.EBADF, errno.EINVAL, errno.EISDIR, errno.ENOTSUP})
"""Errors of systems that cannot sync a folder."""


def replace_durably(path: Path, data: bytes) -> None:
    """Replace a file by `data` atomically, with mode 0600. Raises `OSError`."""
    draft = _write_draft(path, data)
    try:
        draft.replace(path)
    except OSError:
        draft.unlink()
        raise
    sync_folder(path.parent)


def create_durably(path: Path, data: bytes) -> bool:
    """Create a file with mode 0600; return False if one exists. Raises `OSError`."""
    draft = _write_draft(path, data)
    try:
        # Unlike a rename, a link never replaces an existing file.
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    sync_folder(path.parent)
    return True


@contextmanager
def new_file(path: Path) -> Generator[BinaryIO]:
    """Yield a new file with mode 0600. It is durable afterwards, and removed if the block fails.

    Raises `FileExistsError` and other `OSError`s.
    """
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make new and renamed files of a folder durable. Raises `OSError`.

    It does nothing on a system that cannot sync folders.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDERS:
            raise


def _write_draft(path: Path, data: bytes) -> Path:
    """Write the data durably into a temporary file beside `path`, and return its path."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with new_file(draft) as file:
        file.write(data)
    return draft
