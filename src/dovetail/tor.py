"""Onion addresses, and the SOCKS5 proxy of Tor that leads to them (RFC 7686, RFC 1928).

Without input or output of its own: the runtime dials in an event loop, a wallet in a thread.
"""

from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import Self
from urllib.parse import urlsplit

from dovetail.errors import ConfigurationError

USUAL = "socks5://127.0.0.1:9050"
"""Where Tor listens unless it is told otherwise."""
ONION = "This is an onion address, which only Tor can reach."
CIRCUIT_PATIENCE = 60.0
"""Seconds until Tor has a way to an onion service; the first one takes long."""

_SCHEMES = ("socks5", "socks5h")
_USUAL_PORT = 9050
_VERSION, _NO_LOGIN, _CONNECT, _BY_NAME = 5, 0, 1, 3
_LONGEST_NAME = 255
# How long the address is that follows the head of a reply, by its type.
_ADDRESS_SIZES = {1: 4, 4: 16}


class Failure(StrEnum):
    """Why there is no connection through the proxy, in a sentence that names the setting."""

    AWAY = "Tor does not answer where `tor` says: start Tor, or correct `tor`."
    NO_PROXY = "What answers where `tor` says is no SOCKS5 proxy without a login: correct `tor`."
    NO_WAY = (
        "Tor found no way to the onion address: it may be wrong or down, or Tor not be ready yet."
    )


class ProxyFailed(Exception):
    """There is no connection; who dials says so in an error of its own."""

    def __init__(self, why: Failure) -> None:
        super().__init__(why.value)
        self.why = why


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


Conversation = Generator[tuple[bytes, int], bytes, None]
"""Yields bytes to send and how many to read then, no more: what follows is the host's."""


def connecting(host: str, port: int) -> Conversation:
    """What is said to a proxy so that it connects to `host`, which it resolves itself.

    Once it ends, the connection is one to the host. Raises `ProxyFailed`.
    """
    name = host.rstrip(".").encode()
    if len(name) > _LONGEST_NAME:
        raise ProxyFailed(Failure.NO_WAY)
    greeted = yield bytes([_VERSION, 1, _NO_LOGIN]), 2
    if greeted != bytes([_VERSION, _NO_LOGIN]):
        raise ProxyFailed(Failure.NO_PROXY)
    request = bytes([_VERSION, _CONNECT, 0, _BY_NAME, len(name)]) + name + port.to_bytes(2)
    version, reply, _, kind = yield request, 4
    if version != _VERSION:
        raise ProxyFailed(Failure.NO_PROXY)
    if reply != 0:
        raise ProxyFailed(Failure.NO_WAY)
    size = _ADDRESS_SIZES.get(kind) or (yield b"", 1)[0]
    yield b"", size + 2
