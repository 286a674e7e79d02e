"""A lock on a folder, held by one process at a time."""

import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from dovetail.errors import ConfigurationError

_AGAIN = 0.02


@contextmanager
def hold(folder: Path, *, taken: str, patience: float = 0.0) -> Generator[None]:
    """Create the folder, private if it is new, and lock it while the block runs.

    The system releases the lock when the process ends, however it ends. `taken` is the error's
    sentence when another process holds the lock. `patience` is in seconds: `is_held` may hold the
    lock for a moment. Raises `ConfigurationError`.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The data folder cannot be made: {error.strerror}. Choose another."
        ) from error
    if sys.platform == "win32":  # Windows cannot lock a folder
        yield
        return
    # Lock the folder itself: a full disk may have no room for a lock file.
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, taken, time.monotonic() + patience)
        yield
    finally:
        os.close(handle)


def is_held(folder: Path) -> bool:
    """Whether a process holds the folder now; False if that cannot be known."""
    if sys.platform == "win32":
        return False
    import fcntl  # noqa: PLC0415  # the module exists on POSIX only

    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _lock(handle: int, taken: str, until: float) -> None:
    import fcntl  # noqa: PLC0415  # the module exists on POSIX only

    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= until:
                raise ConfigurationError(taken) from error
            time.sleep(_AGAIN)
        except OSError as error:
            raise ConfigurationError(
                f"The data folder cannot be locked: {error.strerror}. Choose one on a disk of this"
                " machine."
            ) from error
        else:
            return
