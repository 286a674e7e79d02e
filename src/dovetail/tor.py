"""Onion addresses, and the SOCKS5 proxy of Tor (RFC 7686, RFC 1928).

The module does no I/O: the runtime connects in an event loop, a wallet in a thread.
"""

from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import Self
from urllib.parse import urlsplit

from dovetail.errors import ConfigurationError

USUAL = "socks5://127.0.0.1:9050"
"""Tor's default address."""
ONION = "This is an onion address, which only Tor can reach."
CIRCUIT_PATIENCE = 60.0
"""Seconds to wait for Tor's circuit to an onion service; the first circuit takes long."""

_SCHEMES = ("socks5", "socks5h")
_USUAL_PORT = 9050
_VERSION, _NO_LOGIN, _CONNECT, _BY_NAME = 5, 0, 1, 3
_LONGEST_NAME = 255
# Bytes of the address that follows the head of a reply, by its type.
_ADDRESS_SIZES = {1: 4, 4: 16}


class Failure(StrEnum):
    """Reasons why the proxy gave no connection, as sentences that name the setting."""

    AWAY = "Tor does not answer where `tor` says: start Tor, or correct `tor`."
    NO_PROXY = "What answers where `tor` says is no SOCKS5 proxy without a login: correct `tor`."
    NO_WAY = (
        "Tor found no way to the onion address: it may be wrong or down, or Tor not be ready yet."
    )


class ProxyFailed(Exception):
    """The proxy gave no connection; the caller raises its own error."""

    def __init__(self, why: Failure) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(frozen=True, slots=True)
class SocksProxy:
    """The address of a SOCKS5 proxy. The proxy resolves host names, never this machine."""

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
    """Whether only Tor can reach the host of this URL. Never look up such a name in DNS."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return host.rstrip(".").endswith(".onion")


Conversation = Generator[tuple[bytes, int], bytes, None]
"""Yields bytes to send, and how many bytes to read then. Read no more: later bytes are the
host's."""


def socks_handshake(host: str, port: int) -> Conversation:
    """Ask a proxy to resolve `host` and connect to it.

    When the generator ends, the connection leads to the host. Raises `ProxyFailed`.
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
