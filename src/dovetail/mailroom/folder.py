"""The data folder: one mailroom at a time works in it."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from dovetail.errors import ConfigurationError


@contextmanager
def hold(folder: Path) -> Generator[None]:
    """Make the folder, private if it is new, and keep every other mailroom out of it.

    The system lets go of it when the process ends, however it ends. Two mailrooms would not wake
    each other's long polls, and would give two keys one id. Raises `ConfigurationError`.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The data folder cannot be made: {error.strerror}. Choose another."
        ) from error
    if sys.platform == "win32":  # no folder can be locked there
        yield
        return
    # The folder itself, as a disk that is full may hold no further file.
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle)
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    import fcntl  # noqa: PLC0415  # the module exists on POSIX only

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigurationError(
            "Another mailroom works in this data folder: stop it, or choose another folder."
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"The data folder cannot be locked: {error.strerror}. Choose one on a disk of this"
            " machine."
        ) from error
