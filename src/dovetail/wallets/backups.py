"""A wallet's backup: its secret and its sessions in one encrypted file.

Unencrypted are only the format and the network. Encrypted are the wallet's secret, the indices of
the addresses it has given out, and an export of its sessions. Without the indices a restored
wallet could give out the address of an open session again.
"""

from typing import Annotated, Literal

import msgspec

from dovetail.bitcoin import Network, UnixTime
from dovetail.crypto.entropy import Entropy, system
from dovetail.errors import ParseError
from dovetail.wallets.encryption import Sealed, decrypt, encrypt
from dovetail.wallets.wallet_file import Secret

LARGEST = 1 << 30
"""The largest backup in bytes; a session takes some kilobytes."""

_BOUND = b"dovetail backup 1\n"
_NO_BACKUP = (
    "This file is not a wallet backup, is incomplete, or has a newer version: choose another file."
)
_Index = Annotated[int, msgspec.Meta(ge=-1, lt=2**31)]


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Backup(_Struct, frozen=True, kw_only=True):
    """The contents of a backup."""

    secret: Secret
    revealed: tuple[_Index, _Index]
    """The last address index given out for payments and for change; -1 for none (BIP 32)."""
    made_at: UnixTime
    sessions: bytes
    """An export of the sessions with their keys; empty if there are none."""


class _File(_Struct, frozen=True, kw_only=True):
    dovetail_backup: Literal[1] = 1
    network: Network
    sealed: Sealed


def serialize_backup(backup: Backup, passphrase: str, *, entropy: Entropy = system) -> bytes:
    """Return the file's bytes. Raises `UsageError` for a too short or too long passphrase."""
    network = backup.secret.network
    box = encrypt(msgspec.json.encode(backup), passphrase, _bound(network), entropy=entropy)
    return msgspec.json.encode(_File(network=network, sealed=box)) + b"\n"


class ClosedBackup:
    """A backup file that is not yet decrypted; raises `ParseError` for any other file."""

    def __init__(self, data: bytes) -> None:
        try:
            self._file = msgspec.json.decode(data, type=_File)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ParseError(_NO_BACKUP) from None

    @property
    def network(self) -> Network:
        """The network of its wallet."""
        return self._file.network

    def decrypt(self, passphrase: str) -> Backup:
        """Decrypt the contents. Raises `WrongPassphrase` and `ParseError`."""
        plain = decrypt(self._file.sealed, passphrase, _bound(self.network))
        try:
            found = msgspec.json.decode(plain, type=Backup)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ParseError(_NO_BACKUP) from None
        if found.secret.network is not self.network:
            raise ParseError(_NO_BACKUP)
        return found


def _bound(network: Network) -> bytes:
    return _BOUND + network.encode()
