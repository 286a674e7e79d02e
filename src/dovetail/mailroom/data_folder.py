"""The data folder: one mailroom at a time works in it."""

from contextlib import AbstractContextManager
from pathlib import Path

from dovetail import locking


def hold(folder: Path) -> AbstractContextManager[None]:
    """Make the folder, private if it is new, and keep every other mailroom out of it.

    Two mailrooms would not wake each other's long polls, and would give two keys one id. Raises
    `ConfigurationError`.
    """
    return locking.hold(
        folder,
        taken="Another mailroom works in this data folder: stop it, or choose another folder.",
    )
