"""A wallet's directory: its secret in `wallet.json`, its chain data in `wallet.sqlite`.

`wallet.json` has version 1 if the keys are unencrypted, and version 2 if a passphrase encrypts
them. `wallet.lock` is a lock between processes that share the directory. All files have mode 0600.
"""

import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from dovetail.bitcoin import Network
from dovetail.causes import no_file
from dovetail.crypto.entropy import Entropy, system
from dovetail.durable_files import create_durably, replace_durably
from dovetail.errors import ConfigurationError, WalletError
from dovetail.wallets.encryption import Sealed, decrypt, encrypt

_SECRET, _DATA, _LOCK = "wallet.json", "wallet.sqlite", "wallet.lock"
_LOCK_SECONDS = 30
_MAX_SECRET_SIZE = 65_536
# SQLite database file format, section 1.3.7: the counter of transactions that changed the file.
_CHANGE_COUNTER = slice(24, 28)

Kind: TypeAlias = Literal["P2PKH", "P2SH", "P2WPKH", "P2TR"]


class _Version(msgspec.Struct, frozen=True):
    version: int


class Secret(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that is needed to restore the wallet; its repr shows none of it (P4).

    `external` and `internal` are descriptors with private keys, `mnemonic` the words they come
    from (None for imported descriptors), `kind` the name of their script type.
    """

    version: Literal[1] = 1
    network: Network
    kind: Kind
    mnemonic: str | None
    external: str
    internal: str

    def __repr__(self) -> str:
        return f"<Secret of a wallet on {self.network}>"


class Locked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A wallet with encrypted keys: `sealed` holds its `Secret`, the rest is unencrypted.

    `external` and `internal` are the descriptors with public keys only: with them the wallet finds
    its coins and gives out addresses. They are authenticated together with `sealed`. Its repr
    shows none of it (P4).
    """

    version: Literal[2] = 2
    network: Network
    kind: Kind
    external: str
    internal: str
    sealed: Sealed

    def __repr__(self) -> str:
        return f"<Locked wallet on {self.network}>"

    def unlocked(self, passphrase: str) -> Secret:
        """Return the secret. Raises `WrongPassphrase`, also if the file was changed."""
        try:
            return msgspec.json.decode(decrypt(self.sealed, passphrase, self._bound()), type=Secret)
        except msgspec.DecodeError:
            raise WalletError(_DAMAGED) from None

    def _bound(self) -> bytes:
        return _bound(self.network, self.kind, self.external, self.internal)


def locked(
    secret: Secret, public: tuple[str, str], passphrase: str, *, entropy: Entropy = system
) -> Locked:
    """Encrypt the secret; `public` are its two descriptors with public keys only."""
    bound = _bound(secret.network, secret.kind, *public)
    return Locked(
        network=secret.network,
        kind=secret.kind,
        external=public[0],
        internal=public[1],
        sealed=encrypt(msgspec.json.encode(secret), passphrase, bound, entropy=entropy),
    )


def _bound(*parts: str) -> bytes:
    return b"dovetail wallet 2\n" + msgspec.json.encode(parts)


_DAMAGED = "The wallet's wallet.json is damaged or of a newer version; restore it from a backup."


def has_wallet(directory: Path) -> bool:
    """Whether a wallet was made in this directory."""
    return (directory / _SECRET).exists()


def write_secret(directory: Path, secret: Secret | Locked) -> None:
    """Create the directory (mode 0700) and write its secret durably and atomically.

    Raises `ConfigurationError` if there is a secret or the directory cannot be written.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = msgspec.json.encode(secret)
        made = not (directory / _DATA).exists() and create_durably(directory / _SECRET, data)
    except OSError as error:
        raise ConfigurationError(
            f"The wallet's directory cannot be written, as {no_file(error)}."
        ) from error
    if not made:
        raise ConfigurationError(
            "There is a wallet in this directory already; open it, or choose another directory."
        )


def replace_secret(directory: Path, former: Secret | Locked, secret: Secret | Locked) -> None:
    """Replace the stored form of the wallet's secret atomically.

    Raises `WalletError` if another process has replaced `former`, or the write failed.
    """
    with exclusive(directory):
        if read_secret(directory) != former:
            raise WalletError("Another process changed the wallet's passphrase; try again.")
        try:
            replace_durably(directory / _SECRET, msgspec.json.encode(secret))
        except OSError as error:
            raise WalletError(
                "The wallet cannot be written and is unchanged; check the disk and the modes of "
                "its files."
            ) from error


def read_secret(directory: Path) -> Secret | Locked:
    """The directory's secret. Raises `ConfigurationError` without one, `WalletError` if damaged."""
    try:
        with (directory / _SECRET).open("rb") as file:
            data = file.read(_MAX_SECRET_SIZE)
    except FileNotFoundError as error:
        raise ConfigurationError(
            "There is no wallet in this directory; create one or name another directory."
        ) from error
    except OSError as error:
        raise WalletError(f"The wallet cannot be read, as {no_file(error)}.") from error
    try:
        version = msgspec.json.decode(data, type=_Version).version
        if version == 2:
            return msgspec.json.decode(data, type=Locked)
        return msgspec.json.decode(data, type=Secret)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The cause may quote the file, so it is not chained (P4).
        raise WalletError(_DAMAGED) from None


def data_path(directory: Path) -> Path:
    """Return the path of the wallet's data; creates the file if missing. Raises `OSError`."""
    path = directory / _DATA
    # SQLite would make it readable for others; its journal gets the same mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    return path


def change_counter(directory: Path) -> bytes:
    """Return a value that changes with every write to the wallet's data."""
    try:
        with (directory / _DATA).open("rb") as file:
            return file.read(_CHANGE_COUNTER.stop)[_CHANGE_COUNTER]
    except OSError:
        return b""


@contextmanager
def exclusive(directory: Path) -> Generator[None]:
    """Keep other processes from changing the wallet. Raises `WalletError` after 30 seconds."""
    # An SQLite file serves as the lock, because it works on every system and can wait.
    try:
        os.close(os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o600))
        lock = sqlite3.connect(
            directory / _LOCK, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False
        )
    except OSError as error:
        raise WalletError(f"The wallet cannot be locked, as {no_file(error)}.") from error
    except sqlite3.Error as error:
        raise _not_locked(error) from error
    with closing(lock):
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            raise _not_locked(error) from error
        yield
        lock.execute("ROLLBACK")


def _not_locked(error: sqlite3.Error) -> WalletError:
    for mark, why in _LOCK_TROUBLE.items():
        if mark in str(error):
            return WalletError(f"The wallet cannot be locked, as {why}.")
    return WalletError("Another process keeps the wallet locked; wait for it to finish or stop it.")


# Parts of SQLite's messages, and their meaning.
_LOCK_TROUBLE = {
    "full": "the disk is full: free some space",
    "I/O": "the disk is full or reports an error: free some space, and check its health",
    "readonly": "the disk is read-only: make it writable",
    "unable to open": "its file cannot be opened: check the mode of its directory",
    "not a database": "the file wallet.lock is not Dovetail's: move it away",
}
