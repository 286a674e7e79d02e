"""Small files that are written whole or not at all, and survive a power cut."""

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_NO_FOLDERS = frozenset({errno.EACCES, errno.EBADF, errno.EINVAL, errno.EISDIR, errno.ENOTSUP})
"""What systems say that cannot make a folder durable by itself."""


def replace_durably(path: Path, data: bytes) -> None:
    """Put `data` in the place of a file, all of it or nothing, with mode 0600. Raises `OSError`."""
    draft = _drafted(path, data)
    try:
        draft.replace(path)
    except OSError:
        draft.unlink()
        raise
    sync_folder(path.parent)


def create_durably(path: Path, data: bytes) -> bool:
    """Whether the file was made, with mode 0600; a file that is there stays. Raises `OSError`."""
    draft = _drafted(path, data)
    try:
        # Unlike a rename, a link never replaces a file that is there already.
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    sync_folder(path.parent)
    return True


@contextmanager
def new_file(path: Path) -> Generator[BinaryIO]:
    """A new file with mode 0600 to write to, durable afterwards; gone if the block fails.

    Raises `FileExistsError` where there is one, and other `OSError`s.
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
    """Make what was created or renamed in a folder durable. Raises `OSError`.

    Nothing happens on a system that has no such call for folders.
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


def _drafted(path: Path, data: bytes) -> Path:
    """The data in a file of this process beside `path`, durable."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with new_file(draft) as file:
        file.write(data)
    return draft
