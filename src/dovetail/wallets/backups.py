"""A wallet's backup: one file, encrypted with a passphrase, with all that a loss would take.

In the open it says only what it is and for which network. Encrypted are the wallet's secret, how
far its addresses were given (or else one at which an open session waits would be given again), and
an export of its sessions.
"""

from typing import Annotated, Literal

import msgspec

from dovetail.bitcoin import Network, UnixTime
from dovetail.crypto.entropy import Entropy, system
from dovetail.errors import ParseError
from dovetail.wallets.encryption import Sealed, opened, sealed
from dovetail.wallets.wallet_file import Secret

LARGEST = 1 << 30
"""Bytes; a session is some kilobytes."""

_BOUND = b"dovetail backup 1\n"
_NO_BACKUP = (
    "This file is no backup of a wallet, is cut short, or is of a newer version: name another one."
)
_Index = Annotated[int, msgspec.Meta(ge=-1, lt=2**31)]


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Backup(_Struct, frozen=True, kw_only=True):
    """What a backup holds."""

    secret: Secret
    revealed: tuple[_Index, _Index]
    """The last index given of its addresses for payments and for change; -1 for none (BIP 32)."""
    made_at: UnixTime
    sessions: bytes
    """An export of the sessions with their keys; empty where there was none."""


class _File(_Struct, frozen=True, kw_only=True):
    dovetail_backup: Literal[1] = 1
    network: Network
    sealed: Sealed


def serialized(backup: Backup, passphrase: str, *, entropy: Entropy = system) -> bytes:
    """The file's bytes. Raises `UsageError` for a passphrase that is too short or too long."""
    network = backup.secret.network
    box = sealed(msgspec.json.encode(backup), passphrase, _bound(network), entropy=entropy)
    return msgspec.json.encode(_File(network=network, sealed=box)) + b"\n"


class ClosedBackup:
    """A backup's file, read and not opened; raises `ParseError` for any other."""

    def __init__(self, data: bytes) -> None:
        try:
            self._file = msgspec.json.decode(data, type=_File)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ParseError(_NO_BACKUP) from None

    @property
    def network(self) -> Network:
        """The network that its wallet is on."""
        return self._file.network

    def opened(self, passphrase: str) -> Backup:
        """What it holds. Raises `WrongPassphrase`, and `ParseError` for what no backup holds."""
        plain = opened(self._file.sealed, passphrase, _bound(self.network))
        try:
            found = msgspec.json.decode(plain, type=Backup)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ParseError(_NO_BACKUP) from None
        if found.secret.network is not self.network:
            raise ParseError(_NO_BACKUP)
        return found


def _bound(network: Network) -> bytes:
    return _BOUND + network.encode()
