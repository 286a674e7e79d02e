"""The wallet's passphrase in the system's keyring: macOS, Windows and Linux desktops have one.

The package `keyring` speaks to it. Only its owner's programs read it, while the owner is logged in.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, cast

from dovetail.cli.context import Home
from dovetail.errors import ConfigurationError
from dovetail.extras import brought_by

SERVICE = "dovetail"
"""The name under which the keyring shows what is kept."""
SETTING = "passphrase_keyring"
NOTHING_KEPT = (
    "The keyring keeps no passphrase for this wallet: run `dovetail wallet keyring`, or leave"
    f" `{SETTING}` out."
)


class Keyring(Protocol):
    """The part of `keyring.backend.KeyringBackend` that is used."""

    @property
    def name(self) -> str:
        """Its name, for people."""
        ...

    def get_password(self, service: str, username: str) -> str | None:
        """The kept password, or None."""
        ...

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep it in place of a former one."""
        ...

    def delete_password(self, service: str, username: str) -> None:
        """Keep it no more."""
        ...


def kept(place: Home) -> str:
    """The passphrase. Raises `ConfigurationError` where there is none, or no keyring."""
    with _opened() as keyring:
        passphrase = keyring.get_password(SERVICE, _account(place.wallet_folder))
    if not passphrase:
        raise ConfigurationError(NOTHING_KEPT)
    return passphrase


def keep(place: Home, passphrase: str) -> str:
    """Keep the passphrase in place of a former one; gives the keyring's name."""
    with _opened() as keyring:
        keyring.set_password(SERVICE, _account(place.wallet_folder), passphrase)
        return keyring.name


def drop(place: Home) -> bool:
    """Take the passphrase out; whether there was one."""
    with _opened() as keyring:
        account = _account(place.wallet_folder)
        if keyring.get_password(SERVICE, account) is None:
            return False
        keyring.delete_password(SERVICE, account)
        return True


def _account(wallet: Path) -> str:
    return str(wallet.resolve())


@contextmanager
def _opened() -> Generator[Keyring]:
    """The keyring that this system has. Raises `ConfigurationError` where it refuses."""
    try:
        with brought_by("keyring", f"`{SETTING}`"):
            import keyring  # noqa: PLC0415 - only where it is used
            from keyring.errors import KeyringError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(str(error)) from None
    try:
        yield cast("Keyring", keyring.get_keyring())
    except KeyringError as error:
        raise ConfigurationError(
            f"The system's keyring cannot be used ({type(error).__name__}): unlock it, or name a"
            " file that holds the passphrase by --passphrase-file."
        ) from None
