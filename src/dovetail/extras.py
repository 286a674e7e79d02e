"""What a package of an extra is missed for: one sentence in place of a bare ModuleNotFoundError."""

from collections.abc import Generator
from contextlib import contextmanager
from types import MappingProxyType

PURPOSES = MappingProxyType(
    {
        "agent": "the agent with its wallet, chain and store",
        "cli": "the command line and the BIP 78 endpoint",
        "keyring": "the system's keyring for the wallet's passphrase",
        "mailroom": "a directory, gateway and relay",
        "regtest": "a chain of your own for tests",
    }
)
"""The extras that README lists, and what each brings."""


@contextmanager
def brought_by(extra: str, what: str) -> Generator[None]:
    """Say which extra brings what an import in here misses; `what` is the name that needs it.

    Raises `ModuleNotFoundError` with that sentence. A missing module of our own is left as it is.
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
"""What every installation has."""
