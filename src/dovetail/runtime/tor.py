"""Onion addresses, and the SOCKS5 proxy of Tor that leads to them (RFC 7686, RFC 1928)."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from dovetail.errors import ConfigurationError

USUAL = "socks5://127.0.0.1:9050"
"""Where Tor listens unless it is told otherwise."""
ONION = "This is an onion address, which only Tor can reach."

_SCHEMES = ("socks5", "socks5h")
_USUAL_PORT = 9050


@dataclass(frozen=True, slots=True)
class SocksProxy:
    """Where a SOCKS5 proxy listens; the names of hosts are resolved behind it, never here."""

    host: str
    port: int = _USUAL_PORT

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `socks5://host[:port]`; raises `ConfigurationError`, which names the setting."""
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
            bare = not (parts.username or parts.query or parts.fragment or parts.path.strip("/"))
            sound = parts.scheme in _SCHEMES and port != 0 and bare and text.isascii()
        except ValueError:
            host, port, sound = None, None, False
        if not host or not sound or not text.isprintable() or " " in text:
            raise ConfigurationError(
                f"`tor` must be the SOCKS5 proxy of Tor, such as {USUAL}: correct it."
            )
        return cls(host, port or _USUAL_PORT)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"socks5://{host}:{self.port}"


def is_onion(url: str) -> bool:
    """Whether only Tor can reach the host of this URL; its name must never be asked of DNS."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return host.rstrip(".").endswith(".onion")
