"""Backups of a shop that runs: its database, the signer's log, and the wallet's secret.

The database is copied before the log, so that the log of a backup is never the older one.
"""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from dovetail.bitcoin import Network, UnixTime
from dovetail.durable_files import new_file, sync_folder
from dovetail.errors import ConfigurationError, StoreUnavailable
from dovetail.merchant.data import audit, wallets
from dovetail.merchant.data.database import Database
from dovetail.merchant.services.postgres_copies import SharedDatabase
from dovetail.merchant.services.reminding import recalls
from dovetail.merchant.signer.log import SignerLog

Name: TypeAlias = Literal["shop.db", "shop.dump", "signer.db", "wallet.json"]
"""A file of a backup."""

SHOP: Name = "shop.db"
DUMP: Name = "shop.dump"
"""The database, where it is in PostgreSQL."""

LOG: Name = "signer.db"
WALLET: Name = "wallet.json"
NAMES: tuple[Name, ...] = (SHOP, DUMP, LOG, WALLET)
"""The files of a backup, in the order in which they are copied."""

Places: TypeAlias = Mapping[Name, Path | SharedDatabase]
"""Where each part of a shop is."""

_MANIFEST = "backup.json"
_DATABASES = (SHOP, LOG)
_BUSY_SECONDS = 30.0
_LARGEST_MANIFEST = 65_536

OLDER_LOG = (
    "The backup's signer log is older than its database, so that the signer may have signed what"
    " the log does not know: restore a log that was copied after the database."
)


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a backup is of, and the SHA-256 of each file in hex."""

    version: Literal[1] = 1
    network: Network
    made_at: int
    files: dict[Name, str]


def backup(parts: Places, folder: Path, *, network: Network, now: UnixTime) -> Manifest:
    """Copy these files, by their names here, into a new folder of mode 0700.

    Databases may be in use; each copy is of one moment. Raises `ConfigurationError` where the
    folder is there or cannot be made, and `StoreUnavailable` for a file that cannot be copied;
    nothing is left behind then.
    """
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise ConfigurationError(
            f"The folder {folder} cannot be made: {error.strerror}. Name a new one."
        ) from error
    try:
        for name in NAMES:
            if name in parts:
                _copy(name, parts[name], folder / name)
        files = {name: _digest(folder / name) for name in NAMES if name in parts}
        manifest = msgspec.convert(
            {"network": network.value, "made_at": int(now), "files": files}, Manifest
        )
        with new_file(folder / _MANIFEST) as file:
            file.write(msgspec.json.encode(manifest))
        sync_folder(folder)
    except BaseException:
        _remove(folder)
        raise
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Return what a backup is of, its files compared with what was written.

    Raises `ConfigurationError` for a folder that is no backup, or one that is damaged.
    """
    try:
        with (folder / _MANIFEST).open("rb") as file:
            manifest = msgspec.json.decode(file.read(_LARGEST_MANIFEST), type=Manifest)
        damaged = [name for name, told in manifest.files.items() if _digest(folder / name) != told]
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The folder {folder} is no backup of a shop, or is not whole: name another one."
        ) from error
    if damaged:
        raise ConfigurationError(
            f"The file {folder / damaged[0]} is not as the backup wrote it: restore another backup."
        )
    return manifest


def restore(folder: Path, targets: Places, *, skip: int) -> Manifest:
    """Put the files of a backup where `targets` says, over nothing that is there.

    Each wallet passes over its next `skip` addresses: they may have been given out after the
    backup. Raises `ConfigurationError` for a damaged backup, for a file that is there, and for a
    signer's log that is older than the database, and `StoreUnavailable`; nothing is changed then,
    but for a database in PostgreSQL, whose log is compared once it is there.
    """
    manifest = read_manifest(folder)
    names: list[Name] = [name for name in NAMES if name in manifest.files and name in targets]
    files, shared = _apart({name: targets[name] for name in names})
    _require_room(files, shared)
    drafts: dict[Name, Path] = {
        name: path.with_name(f"{path.name}.restoring") for name, path in files.items()
    }
    try:
        for name, draft in drafts.items():
            draft.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.unlink(missing_ok=True)
            _copy(name, folder / name, draft)
        if SHOP in drafts:
            _prepare(drafts[SHOP], drafts.get(LOG), skip)
        if shared is not None:
            shared.restore(folder / DUMP)
            _prepare_shared(shared, drafts.get(LOG), skip)
        for name in reversed(drafts):  # the database last: without it nothing runs
            drafts[name].rename(files[name])
            sync_folder(files[name].parent)
    except OSError as error:
        raise StoreUnavailable(
            f"The backup cannot be put in place: {error.strerror}. See to the folder and the disk."
        ) from error
    finally:
        for draft in drafts.values():
            for suffix in ("", "-wal", "-shm"):
                draft.with_name(f"{draft.name}{suffix}").unlink(missing_ok=True)
    return manifest


def _require_room(files: Mapping[Name, Path], shared: SharedDatabase | None) -> None:
    """Raise `ConfigurationError` where something is there that would be written over."""
    for path in files.values():
        if path.exists():
            raise ConfigurationError(
                f"The file {path} is there, and stays as it is: move it away, or name another data"
                " folder."
            )
    if shared is not None:
        shared.require_empty()


def _apart(targets: Places) -> tuple[dict[Name, Path], SharedDatabase | None]:
    """What are files, and the database that is none."""
    files: dict[Name, Path] = {
        name: each for name, each in targets.items() if isinstance(each, Path)
    }
    shared = [each for each in targets.values() if isinstance(each, SharedDatabase)]
    return files, shared[0] if shared else None


def _prepare_shared(shared: SharedDatabase, log: Path | None, skip: int) -> None:
    try:
        _prepare(shared.url, log, skip)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error} The database has what was restored: drop it before you try again."
        ) from error


def _prepare(shop: Path | str, log: Path | None, skip: int) -> None:
    """Compare the database with the log, and pass over addresses; also upgrades its schema."""
    with Database.open(shop) as database:
        if log is not None:
            _require_newer(log, database)
        database.write(lambda connection: wallets.pass_over(connection, skip))
        if skip:
            database.write(
                lambda connection: audit.add(
                    connection,
                    who=audit.OWNER,
                    what="shop.restore",
                    subject="database",
                    now=database.now(),
                    detail={"skip": skip},
                )
            )
    if isinstance(shop, Path):
        _settle(shop)


def _require_newer(path: Path, database: Database) -> None:
    log = SignerLog.open(path)
    try:
        told = recalls(database)
        if any(log.unknown(each.sessions, each.payments) for each in told):
            raise ConfigurationError(OLDER_LOG)
    finally:
        log.close()
    _settle(path)


def _settle(path: Path) -> None:
    """Bring what is beside a database's file into it, so that the file alone is whole."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = DELETE")


def _copy(name: Name, source: Path | SharedDatabase, target: Path) -> None:
    """Copy one part durably, with mode 0600; raises `StoreUnavailable`, and what a dump raises."""
    if isinstance(source, SharedDatabase):
        source.dump(target)
        return
    try:
        if name in _DATABASES:
            _copy_database(source, target)
        else:
            with new_file(target) as file:
                file.write(source.read_bytes())
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(
            f"The file {source} cannot be copied: it must be there, whole and readable, and the"
            " disk needs room."
        ) from error


def _copy_database(source: Path, target: Path) -> None:
    """Copy by SQLite's own backup, in one step: the state of one moment, whoever writes."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    uri = f"{source.absolute().as_uri()}?mode=rw"
    with (
        closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as origin,
        closing(sqlite3.connect(target)) as copy,
    ):
        origin.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
        if copy.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError
    with target.open("rb+") as file:
        os.fsync(file.fileno())


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
