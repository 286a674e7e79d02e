"""The `[merchant]` table of the configuration: what a shop's server uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

import click

from dovetail.cli.config import readers
from dovetail.cli.option_types import Place
from dovetail.errors import ConfigurationError
from dovetail.serving.client_shares import OWN_PROXIES

MOST_DRAIN = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantSettings:
    """The keys of the table."""

    database: str | None = None
    """A file's path, or a URL that begins with postgresql://; else a file in the data folder."""
    signer: str | None = None
    """The signer's socket, or host:port; else a socket in the data folder."""
    signer_ca: Path | None = None
    signer_cert: Path | None = None
    signer_key: Path | None = None
    cold: str | None = None
    """The public descriptor of cold storage, for the signer."""
    rates: tuple[str, ...] = ()
    """Sources of exchange rates: kraken, coinbase, bitstamp."""
    private_webhooks: bool = False
    """Whether webhooks may go to private addresses."""
    proxies: tuple[str, ...] = OWN_PROXIES
    """Addresses or networks of the operator's own proxies, which are no clients."""
    client_header: str | None = None
    """The header in which such a proxy writes the client's address last."""
    metrics: tuple[str, int] | None = None
    """Where Prometheus asks for metrics, as host:port; else nowhere."""
    drain: float = 0.0
    """Seconds that a server goes on after it was told to stop, so that a proxy finds another."""


def read(table: Mapping[str, Any]) -> MerchantSettings:
    """The table's values; raises `ConfigurationError`, which names the key."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        if name not in READERS:
            raise ConfigurationError(_unknown(name))
        found[name] = READERS[name](f"merchant.{name}", value)
    return MerchantSettings(**found)


def _names(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ConfigurationError(f"`{key}` must be a list: correct it.")
    return tuple(readers.text(key, each) for each in cast("list[object]", value))


def _place(key: str, value: Any) -> tuple[str, int]:
    try:
        return Place().convert(readers.text(key, value), None, None)
    except click.UsageError as error:
        raise ConfigurationError(f"`{key}`: {error.message}") from None


READERS: Mapping[str, Any] = {
    "database": readers.text,
    "signer": readers.text,
    "signer_ca": readers.file,
    "signer_cert": readers.file,
    "signer_key": readers.file,
    "cold": readers.text,
    "rates": _names,
    "private_webhooks": readers.truth,
    "proxies": _names,
    "client_header": readers.text,
    "metrics": _place,
    "drain": readers.duration(0, MOST_DRAIN),
}


def _unknown(name: str) -> str:
    near = get_close_matches(name, READERS, n=1, cutoff=0.5)
    shown = name if name.isidentifier() and len(name) <= 40 else "?"
    advice = f"did you mean `{near[0]}`?" if near else "remove it."
    return f"The table [merchant] has no key `{shown}`: {advice}"
