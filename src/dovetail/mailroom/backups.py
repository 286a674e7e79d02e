"""A copy of a mailroom that runs: its messages and OHTTP keys."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from dovetail.durable_files import new_file, sync_folder
from dovetail.errors import ConfigurationError, StoreUnavailable
from dovetail.mailroom.settings import MailroomSettings

_BUSY_SECONDS = 30.0
_PAGES = 256
_PAUSE = 0.005


def backup(settings: MailroomSettings, folder: Path) -> tuple[str, ...]:
    """Copy what is there into a new folder of mode 0700, and return the names of its files.

    The database is copied first, and is of one moment; a key that is made meanwhile is in the copy
    too. Raises `ConfigurationError` where there is nothing to copy or the folder cannot be made,
    and `StoreUnavailable`; nothing is left behind then.
    """
    if not settings.database.exists() or not settings.key_file.exists():
        raise ConfigurationError(
            f"There is no directory's data in {settings.data_dir}: name another folder."
        )
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise ConfigurationError(
            f"The folder {folder} cannot be made: {error.strerror}. Name a new one."
        ) from error
    plain = [each for each in (settings.key_file, settings.block_file) if each.exists()]
    try:
        _copy_database(settings.database, folder / settings.database.name)
        for each in plain:
            with new_file(folder / each.name) as file:
                file.write(each.read_bytes())
        sync_folder(folder)
    except BaseException as error:
        for each in folder.iterdir():
            each.unlink()
        folder.rmdir()
        if isinstance(error, OSError | sqlite3.Error):
            reason = getattr(error, "strerror", None) or str(error)
            raise StoreUnavailable(
                f"The mailroom could not be copied: {reason}. See to the disk, and try again."
            ) from error
        raise
    return settings.database.name, *(each.name for each in plain)


def _copy_database(source: Path, target: Path) -> None:
    with new_file(target):
        pass  # with its mode, before anything is in it
    read_only = f"{source.absolute().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(read_only, uri=True, timeout=_BUSY_SECONDS)) as reading,
        closing(sqlite3.connect(target)) as writing,
    ):
        reading.backup(writing, pages=_PAGES, sleep=_PAUSE)
        (sound,) = writing.execute("PRAGMA quick_check(1)").fetchone()
        writing.execute("PRAGMA journal_mode = DELETE").fetchone()
    if sound != "ok":
        raise StoreUnavailable("The database of the mailroom is damaged: check its disk.")
    with target.open("rb+") as file:
        os.fsync(file.fileno())
