"""Context managers that turn BDK's exceptions into Dovetail's errors."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

import bdkpython as bdk

from dovetail.errors import InsufficientFunds, InvalidPsbt, WalletError

_Errors = tuple[type[Exception], ...]


def _classes(*classes: object) -> _Errors:
    # The bindings define each error class twice, which type checkers cannot follow.
    return cast("_Errors", (*classes, bdk.InternalError))


KEY_ERRORS = _classes(bdk.Bip39Error, bdk.DescriptorError)
SIGN_ERRORS = _classes(bdk.SignerError, bdk.PsbtParseError, InvalidPsbt)
FEE_ERRORS = _classes(bdk.CalculateFeeError)
CONNECT_ERRORS = _classes(bdk.CannotConnectError)
SYNC_ERRORS = _classes(bdk.EsploraError, bdk.ElectrumError)
NOTHING_STORED = _classes(bdk.LoadWithPersistError.CouldNotLoad)[:1]
_BUILD_ERRORS = _classes(bdk.CreateTxError)
_LOAD_ERRORS = _classes(bdk.LoadWithPersistError)[:1]
_STORE_ERRORS = _classes(bdk.PersistenceError, bdk.CreateWithPersistError, OSError)


@contextmanager
def building(shortage: str) -> Generator[None]:
    """Wrap building. Raises `WalletError`, and `InsufficientFunds` with `shortage`."""
    try:
        yield
    except _BUILD_ERRORS as error:
        match error:
            case bdk.CreateTxError.InsufficientFunds() | bdk.CreateTxError.CoinSelection():
                raise InsufficientFunds(shortage) from error
            case bdk.CreateTxError.OutputBelowDustLimit():
                raise WalletError(
                    "The amount is so small that nodes refuse it; pay more."
                ) from error
            case _:
                raise WalletError(
                    "The wallet could not build the transaction; sync it and try again."
                ) from error


@contextmanager
def storing() -> Generator[None]:
    """Wrap reading and writing the wallet's data. Raises `WalletError`."""
    try:
        yield
    except _LOAD_ERRORS:
        # The cause quotes keys (P4).
        raise WalletError(
            "The wallet's data are damaged; move wallet.sqlite away, and a sync restores it."
        ) from None
    except _STORE_ERRORS as error:
        raise WalletError(
            "The wallet's data cannot be stored; check its directory and its free space."
        ) from error
