"""URLs of chain servers: Esplora over HTTP, Electrum over TLS, or plain TCP on this machine."""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, urlsplit

from dovetail.errors import ConfigurationError
from dovetail.tor import SocksProxy, is_onion
from dovetail.wallets.server_faults import Faults

_ESPLORA = ("http", "https")
_TLS, _CLEAR = "ssl", "tcp"
_ELECTRUM = (_TLS, _CLEAR)


@dataclass(frozen=True, slots=True, repr=False)
class ChainServer:
    """A chain server: its URL, whose scheme is the protocol, and how to connect to it.

    `http` and `https` are Esplora's, `ssl://host:port` is Electrum over TLS, `tcp://host:port`
    Electrum in the clear, which is for this machine and for onion addresses. `certificate` is
    the PEM file of the one certificate that an ssl server may show; without it the system's
    store decides. `proxy` is Tor's, for onion addresses.

    Raises `ConfigurationError`, which never quotes the URL; nor does its repr show it.
    """

    url: str
    certificate: Path | None = None
    proxy: SocksProxy | None = None

    def __post_init__(self) -> None:
        """Check everything that needs no connection."""
        object.__setattr__(self, "url", checked_url(self.url))
        if self.certificate is not None and urlsplit(self.url).scheme != _TLS:
            raise ConfigurationError(
                "`chain_certificate` is for a `chain` of the form ssl://host:port: correct one"
                " of them."
            )
        if self.is_onion and self.is_electrum and self.proxy is None:
            raise ConfigurationError(
                "`chain` is an onion address, which only Tor can reach: start Tor and set `tor`."
            )

    def __repr__(self) -> str:
        return f"<ChainServer over {urlsplit(self.url).scheme}>"

    @classmethod
    def of(cls, server: Self | str) -> Self:
        """Return the server; a plain URL is accepted too."""
        return cls(server) if isinstance(server, str) else server

    @property
    def is_electrum(self) -> bool:
        """Whether it uses Electrum's protocol."""
        return urlsplit(self.url).scheme in _ELECTRUM

    @property
    def is_onion(self) -> bool:
        """Whether only Tor can reach it; its name is then never looked up in DNS (RFC 7686)."""
        return is_onion(self.url)

    @property
    def uses_tls(self) -> bool:
        """Whether an Electrum server is reached by TLS."""
        return urlsplit(self.url).scheme == _TLS

    @property
    def host(self) -> str:
        """Its name or address, without brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port of an Electrum server; there is no default."""
        return urlsplit(self.url).port or 0


def chain_faults(kind: str) -> Faults:
    """Return the errors of a chain server; `kind` is its expected kind."""
    return Faults(
        server="the chain server",
        remedy="check `chain` and the network",
        broken="The connection to the chain server broke; check `chain` and the network.",
        too_slow="The chain server takes too long to answer; try again later.",
        too_large="The chain server's answer is too large; name another server.",
        strange=f"The chain server's answer is not what {kind} gives; check `chain`.",
    )


def checked_url(url: str, *, name: str = "The chain server's URL") -> str:
    """Return the URL without blanks around it and a slash at its end.

    Raises `ConfigurationError`, which calls it by `name` and never quotes it.
    """
    url = url.strip()
    try:
        parts = urlsplit(url)
        is_plain = url.isascii() and url.isprintable() and " " not in url
        is_server = is_plain and bool(parts.hostname) and parts.port != 0
        known = parts.scheme in (*_ESPLORA, *_ELECTRUM)
    except ValueError:
        raise ConfigurationError(
            f"{name} must be well formed, such as https://example.org: correct it."
        ) from None
    if not known or not is_server or parts.query or parts.fragment:
        raise ConfigurationError(
            f"{name} must be http:// or https:// with a host for an Esplora server, or"
            " ssl://host:port for an Electrum server: correct it."
        )
    if parts.username is not None:
        raise ConfigurationError(
            f"{name} must be without a user name, which is not supported: use a server without"
            " a login."
        )
    if parts.scheme in _ELECTRUM:
        _check_electrum(url, parts, name)
    elif is_onion(url):
        raise ConfigurationError(
            f"{name} must be an Electrum server's where it is an onion address, such as"
            " tcp://name.onion:50001: Esplora servers are not reached through Tor."
        )
    return url.rstrip("/")


def _check_electrum(url: str, parts: SplitResult, name: str) -> None:
    if parts.port is None or parts.path.strip("/"):
        raise ConfigurationError(
            f"{name} must be of the form {parts.scheme}://host:port for an Electrum server, with"
            " nothing after the port: correct it."
        )
    host = parts.hostname or ""
    if parts.scheme == _CLEAR and not _is_loopback(host) and not is_onion(url):
        raise ConfigurationError(
            f"{name} must be ssl://host:port, as tcp:// would tell everyone on the way which"
            " addresses are yours: it is for this machine and for onion addresses only."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
