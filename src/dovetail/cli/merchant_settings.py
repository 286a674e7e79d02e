"""The `[merchant]` table of the configuration: what a shop's server uses."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dovetail.cli.config import readers
from dovetail.cli.config.table import Key
from dovetail.errors import ConfigurationError
from dovetail.merchant.public_url import PublicUrl
from dovetail.merchant.services.rates import APART, SOURCES
from dovetail.serving.client_shares import OWN_PROXIES

MOST_DRAIN = 300.0
MOST_APART = 50
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantSettings:
    """The keys of the table; `KEYS` says what each means."""

    database: str | None = None
    postgresql_programs: Path | None = None
    signer: str | None = None
    signer_group: str | None = None
    signer_ca: Path | None = None
    signer_cert: Path | None = None
    signer_key: Path | None = None
    cold: str | None = None
    public_url: PublicUrl | None = None
    rates: tuple[str, ...] = ()
    rates_apart: Decimal = APART
    private_webhooks: bool = False
    proxies: tuple[str, ...] = OWN_PROXIES
    client_header: str | None = None
    metrics: tuple[str, int] | None = None
    embedded_by: tuple[str, ...] = ()
    drain: float = 0.0


def read(table: Mapping[str, Any]) -> MerchantSettings:
    """The table's values; raises `ConfigurationError`, which names the key."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        if name not in _BY_NAME:
            raise ConfigurationError(_unknown(name))
        found[name] = _BY_NAME[name].read(f"merchant.{name}", value)
    return MerchantSettings(**found)


_names = readers.several(readers.text)


def _origins(key: str, value: Any) -> tuple[str, ...]:
    found = _names(key, value)
    if not all(_ORIGIN.fullmatch(each) for each in found):
        raise ConfigurationError(
            f"`{key}` must list origins, such as https://shop.example: correct it."
        )
    return found


def _site(key: str, value: Any) -> PublicUrl:
    return PublicUrl.parse(readers.text(key, value), name=key)


def _percent(key: str, value: Any) -> Decimal:
    sound = isinstance(value, int | float) and not isinstance(value, bool)
    if not sound or not 0 < value <= MOST_APART:
        raise ConfigurationError(
            f"`{key}` must be a number of per cent, more than 0 and at most {MOST_APART}: correct"
            " it."
        )
    return Decimal(str(value)) / 100


KEYS = (
    Key(
        "database",
        readers.text,
        None,
        "a file in the data folder",
        "Where the shop's database is: a file's path, or a URL that begins with postgresql://."
        " Workers need PostgreSQL.",
        "postgresql://shop@127.0.0.1/shop",
    ),
    Key(
        "postgresql_programs",
        readers.folder,
        None,
        "those of the path",
        "The folder of `pg_dump` and `pg_restore`, which copy a database in PostgreSQL: of its"
        " server's release, or a newer one.",
        "/usr/lib/postgresql/18/bin",
    ),
    Key(
        "signer",
        readers.text,
        None,
        "a socket in the data folder",
        "Where the signer listens: a socket's path, or host:port, which needs TLS.",
        "/run/dovetail-signer/signer.sock",
    ),
    Key(
        "signer_group",
        readers.text,
        None,
        "none: the signer's own user alone",
        "The system's group whose users may ask the signer at its socket, where server and workers"
        " run as another user.",
        "dovetail",
    ),
    Key(
        "signer_ca",
        readers.file,
        None,
        "none",
        "For a signer at host:port: the PEM file of the authority whose certificates both sides"
        " trust. It is the shop's own.",
        "~/signer-ca.pem",
    ),
    Key(
        "signer_cert",
        readers.file,
        None,
        "none",
        "For a signer at host:port: the PEM file of this side's own certificate.",
        "~/signer-cert.pem",
    ),
    Key(
        "signer_key",
        readers.file,
        None,
        "none",
        "For a signer at host:port: the PEM file of that certificate's key.",
        "~/signer-key.pem",
    ),
    Key(
        "cold",
        readers.text,
        None,
        "none: payments stay hot",
        "The public descriptor of cold storage, of the kind wpkh or tr and ending in /0/*. Payjoins"
        " settle there. The signer reads it, and signs no payjoin that pays elsewhere.",
        "wpkh([d34db33f/84h/0h/0h]xpub.../0/*)",
    ),
    Key(
        "public_url",
        _site,
        None,
        "none: for this machine alone",
        "Where customers, users and programs reach the shop: the https address of the proxy in"
        " front of it, without a path. Links are made from it, and a request for another host is"
        " refused.",
        "https://pay.example",
    ),
    Key(
        "rates",
        _names,
        (),
        "none: prices are in satoshis alone",
        f"Sources of exchange rates, of {', '.join(SOURCES)}. With several the rate is the median"
        " of those that answer and agree.",
        ["kraken", "coinbase", "bitstamp"],
    ),
    Key(
        "rates_apart",
        _percent,
        APART * 100,
        f"{APART * 100:f}",
        "How far sources may be apart, in per cent of the rate. One that is farther off does not"
        " count; without a majority that agrees there is no rate.",
        5,
    ),
    Key(
        "private_webhooks",
        readers.truth,
        False,
        "false",
        "Let webhooks go to private addresses, such as those of this machine.",
    ),
    Key(
        "proxies",
        _names,
        OWN_PROXIES,
        ", ".join(OWN_PROXIES),
        "Addresses or networks of your own proxies. Requests from there are limited by the address"
        " that `client_header` has.",
    ),
    Key(
        "client_header",
        readers.text,
        None,
        "none",
        "The header in which such a proxy writes the client's address last. Set it only if your"
        " proxy writes that header itself.",
        "x-forwarded-for",
    ),
    Key(
        "metrics",
        readers.place,
        None,
        "nowhere",
        "Where Prometheus asks for metrics, as host:port. Keep it to your own network.",
        "127.0.0.1:9100",
    ),
    Key(
        "embedded_by",
        _origins,
        (),
        "none",
        "Origins whose pages may show a checkout in a frame, beside that to which it leads back.",
        ["https://shop.example"],
    ),
    Key(
        "drain",
        readers.duration(0, MOST_DRAIN),
        0.0,
        "0s",
        "How long a server goes on after it was told to stop, so that a proxy finds another one.",
        "10s",
    ),
)
_BY_NAME = {key.name: key for key in KEYS}


def _unknown(name: str) -> str:
    near = get_close_matches(name, _BY_NAME, n=1, cutoff=0.5)
    shown = name if name.isidentifier() and len(name) <= 40 else "?"
    advice = f"did you mean `{near[0]}`?" if near else "remove it."
    return f"The table [merchant] has no key `{shown}`: {advice}"
