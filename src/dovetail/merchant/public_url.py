"""The public URL: the one origin at which customers, users and programs reach a shop."""

import re
from dataclasses import dataclass
from ipaddress import ip_address

from dovetail.bitcoin import Network
from dovetail.errors import ConfigurationError

_SITE = re.compile(r"(?P<scheme>https?)://(?P<host>[^/]+)/?", re.IGNORECASE)
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(:(?P<port>[0-9]{1,5}))?")
_USUAL = {"http": "80", "https": "443"}
_LOCAL = "localhost"


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """An origin (RFC 6454): a scheme, a host, and the port where it is not the usual one."""

    scheme: str
    host: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}"

    @classmethod
    def parse(cls, text: str, *, name: str = "public_url") -> "PublicUrl":
        """Read such as `https://pay.example`; raises `ConfigurationError`, which names `name`."""
        found = _SITE.fullmatch(text)
        scheme = "" if found is None else found["scheme"].lower()
        host = None if found is None else host_of(found["host"], scheme)
        if host is None:
            raise ConfigurationError(
                f"`{name}` must be a site's address, such as https://pay.example, without a path, a"
                " user and a query: correct it."
            )
        return cls(scheme, host)

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it by TLS."""
        return self.scheme == "https"

    def require_safe(self, network: Network) -> None:
        """Raise `ConfigurationError` for plain http, but for this machine or play money."""
        if not (self.is_secure or is_loopback(self.host) or network is Network.REGTEST):
            raise ConfigurationError(
                "`public_url` must begin with https://, as http shows passwords and keys to"
                " everyone on the way: put a proxy that speaks https in front, and correct it."
            )


def host_of(text: str, scheme: str) -> str | None:
    """Return a host as a `Host` header has it, in lower case and without the scheme's usual port.

    None: it is no host (RFC 9110, 7.2).
    """
    found = _HOST.fullmatch(text.lower())
    if found is None:
        return None
    port = found["port"]
    if port is None or port == _USUAL.get(scheme):
        return found["name"]
    return found[0] if 0 < int(port) <= 65_535 else None


def is_loopback(host: str) -> bool:
    """Whether a host that `host_of` gave is this machine, by its address or as `localhost`."""
    found = _HOST.fullmatch(host)
    name = "" if found is None else found["name"].strip("[]")
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == _LOCAL
