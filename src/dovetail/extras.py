"""Missing packages of an extra: one sentence instead of a bare ModuleNotFoundError."""

from collections.abc import Generator
from contextlib import contextmanager
from types import MappingProxyType

PURPOSES = MappingProxyType(
    {
        "agent": "the agent with its wallet, chain and store",
        "client": "a client for a shop's API",
        "cli": "the command line and the BIP 78 endpoint",
        "keyring": "the system's keyring for the wallet's passphrase",
        "mailroom": "a directory, gateway and relay",
        "merchant": "a shop that takes payjoins",
        "postgresql": "a store in PostgreSQL",
        "regtest": "a chain of your own for tests",
    }
)
"""The extras that README lists, and what each adds."""


@contextmanager
def brought_by(extra: str, what: str) -> Generator[None]:
    """Name the extra that has the package missing in this block; `what` is the name that needs it.

    Raises `ModuleNotFoundError` with that sentence. The error for a missing module of Dovetail is
    not changed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in _OURS:
            raise
        message = (
            f"{what} needs `{package}`, part of the extra `{extra}`"
            f" ({PURPOSES[extra]}): run `pip install 'dovetail-payjoin[{extra}]'`."
        )
        raise ModuleNotFoundError(message, name=error.name) from error


_OURS = frozenset({"", "dovetail", "btclib_secp256k1", "cryptography", "msgspec"})
"""Packages of every installation."""
