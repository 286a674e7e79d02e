"""The lock on the data folder: one mailroom at a time uses it."""

from contextlib import AbstractContextManager
from pathlib import Path

from dovetail import locking


def hold(folder: Path) -> AbstractContextManager[None]:
    """Create the folder, private if it is new, and lock it against other mailrooms.

    Two mailrooms would not wake each other's long polls, and could give two keys the same id.
    Raises `ConfigurationError`.
    """
    return locking.hold(
        folder,
        taken="Another mailroom uses this data folder: stop it, or choose another folder.",
    )
