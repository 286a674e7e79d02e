"""The wallet's passphrase: from a descriptor, a file, the keyring, or a person at a terminal.

It is read once, before anything else is opened, and goes into no log and no message.
"""

import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import click

from dovetail.cli import keyring
from dovetail.cli.context import Home
from dovetail.cli.options import flags
from dovetail.cli.output import write
from dovetail.errors import ConfigurationError, UsageError, WalletLocked, WrongPassphrase
from dovetail.wallets.encryption import MOST_LENGTH, require_passphrase

if TYPE_CHECKING:
    from dovetail.wallets.bdk.wallet import BdkWallet

T = TypeVar("T")

_TRIES = 3
_MOST_BYTES = 4 * MOST_LENGTH + 2
HIDDEN = "It is not shown while you type."


def unlock(wallet: "BdkWallet", place: Home) -> str | None:
    """Unlock the wallet by its passphrase; a wallet that is not locked needs none.

    A service calls this once at its start. Gives the passphrase. Raises `WalletLocked` where
    nobody can be asked, `WrongPassphrase`, and `ConfigurationError` for a file or a keyring that
    cannot be read.
    """
    if not wallet.locked:
        return None
    given = named(place.settings.passphrase_file)
    if given is None and place.settings.passphrase_keyring:
        return _of_keyring(wallet, place)
    return tried(wallet.unlock, "wallet", given)[0]


def _of_keyring(wallet: "BdkWallet", place: Home) -> str:
    passphrase = keyring.kept(place)
    try:
        wallet.unlock(passphrase)
    except WrongPassphrase:
        raise WrongPassphrase(
            "The keyring keeps another passphrase than this wallet's: run `dovetail wallet keyring`"
            " to keep the right one."
        ) from None
    return passphrase


def tried(use: Callable[[str], T], what: str, given: str | None) -> tuple[str, T]:
    """Return the passphrase with which `use` succeeds, and its result.

    It is the one `given`, or the one that a person types, in three tries.
    """
    if given is not None:
        return given, use(given)
    if not sys.stdin.isatty():
        raise WalletLocked(
            f"The {what} is locked, and there is no terminal to type its passphrase. Name a file"
            " that holds it with --passphrase-file or DOVETAIL_PASSPHRASE_FILE, or an open"
            " descriptor with --passphrase-fd."
        )
    for _ in range(_TRIES - 1):
        typed = _asked(f"Passphrase of the {what}")
        with suppress(WrongPassphrase):
            return typed, use(typed)
        write("That is not the passphrase; try again.", err=True)
    typed = _asked(f"Passphrase of the {what}")
    return typed, use(typed)


def named(file: Path | None) -> str | None:
    """The passphrase of --passphrase-fd, or of a file; None where neither is named."""
    descriptor: int | None = flags().get("passphrase_fd")
    if descriptor is not None:
        return of_descriptor(descriptor)
    return None if file is None else of_file(file)


def of_file(path: Path) -> str:
    """The first line of a file. Raises `ConfigurationError`."""
    try:
        with path.open("rb") as file:
            return _first_line(file)
    except OSError as error:
        raise ConfigurationError(
            f"The passphrase's file {path} cannot be read: {error.strerror}. Name another one."
        ) from error


def of_descriptor(number: int) -> str:
    """The first line of an open file descriptor, which is closed then, unless it is stdin."""
    try:
        with os.fdopen(number, "rb", closefd=number > 2) as file:
            return _first_line(file)
    except OSError as error:
        raise ConfigurationError(
            f"The passphrase's descriptor {number} cannot be read: {error.strerror}. Open it for"
            " reading before Dovetail starts."
        ) from error


def chosen(name: str, *, file: Path | None = None, descriptor: int | None = None) -> str:
    """A new passphrase: as `file` or `descriptor` says it, or as a person types it twice.

    Raises `UsageError` for one that will not do, and where nobody can be asked.
    """
    if descriptor is not None:
        passphrase = of_descriptor(descriptor)
    elif file is not None:
        passphrase = of_file(file)
    elif sys.stdin.isatty():
        return _typed_twice(name)
    else:
        raise UsageError(
            "Can't ask for a new passphrase (no terminal). Name a file that holds it, or a"
            " descriptor."
        )
    require_passphrase(passphrase)
    return passphrase


def _typed_twice(name: str) -> str:
    write(f"{name}: take several words, and write them down. {HIDDEN}", err=True)
    while True:
        passphrase = _asked(name)
        try:
            require_passphrase(passphrase)
        except UsageError as error:
            write(str(error), err=True)
            continue
        if _asked("The same again") == passphrase:
            return passphrase
        write("The two are not the same; type it anew.", err=True)


def _asked(name: str) -> str:
    with _interruptible():
        passphrase: str = click.prompt(name, hide_input=True, err=True)
    return passphrase


@contextmanager
def _interruptible() -> Generator[None]:
    """Let Ctrl-C end the question also where an event loop has taken the signals."""
    former = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in former.items():
            with suppress(TypeError):  # a handler that was not set from Python
                signal.signal(number, handler)


def _first_line(file: BinaryIO) -> str:
    line = file.readline(_MOST_BYTES)
    if line.endswith(b"\n"):
        line = line[:-1].removesuffix(b"\r")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise ConfigurationError(
            "The passphrase's file is not text in UTF-8: correct it."
        ) from None
    if not text:
        raise ConfigurationError("The passphrase's file is empty: write it into the first line.")
    return text
