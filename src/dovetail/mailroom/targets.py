"""Where a relay may go: gateways named by a path, at public addresses only."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import cast

import httpcore

from dovetail.errors import InvalidUri, TransportError

Resolve = Callable[[str, int], Awaitable[Iterable[str]]]
"""Finds the addresses of a host and port; raises OSError."""

_AUTHORITY = (
    r"(?P<host>[0-9a-z_](?:[0-9a-z._-]*[0-9a-z_.])?|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?"
)
_PATH = re.compile(rf"/(?P<scheme>https?):/{{1,2}}{_AUTHORITY}/?", re.ASCII | re.IGNORECASE)
_HOST_PORT = re.compile(_AUTHORITY, re.ASCII | re.IGNORECASE)
_LONGEST_HOST = 255
_PORTS = {"http": 80, "https": 443}
# IPv6 addresses through which a translator reaches the IPv4 address at their end (RFC 6052).
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Target:
    """The origin of a gateway, its port written out."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of_path(cls, path: str) -> "Target":
        """Read `/https://host[:port]`, with one slash or two and with or without one at the end.

        Raises `InvalidUri`.
        """
        match = _PATH.fullmatch(path)
        return cls._of(match, match["scheme"].lower() if match else "")

    @classmethod
    def of_authority(cls, authority: str) -> "Target":
        """Read the `host:port` of CONNECT, an https origin; raises `InvalidUri`."""
        return cls._of(_HOST_PORT.fullmatch(authority), "https")

    @classmethod
    def _of(cls, match: re.Match[str] | None, scheme: str) -> "Target":
        if match is not None:
            port = int(match["port"] or _PORTS[scheme])
            if 0 < port <= 0xFFFF and len(match["host"]) <= _LONGEST_HOST:
                return cls(scheme, match["host"].lower(), port)
        raise InvalidUri("The gateway must be an origin such as https://host, with no path.")

    @property
    def bare_host(self) -> str:
        """The host as a resolver takes it."""
        return self.host.strip("[]")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


def is_public(text: str) -> bool:
    """Whether the whole internet can reach this IP address, and no machine or network of ours."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    inner = _embedded(address) if isinstance(address, IPv6Address) else None
    if inner is not None:
        return is_public(str(inner))
    return address.is_global and not address.is_multicast and not address.is_reserved


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, by the system's resolver; raises OSError."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError("The name of the host is no domain name.") from error
    return [str(entry[4][0]) for entry in found]


class Dialler(httpcore.AsyncNetworkBackend):
    """Connects to the address it has checked, so that DNS cannot change its mind in between."""

    def __init__(self, *, local: bool, find: Resolve = resolve) -> None:
        """`local` allows private addresses."""
        self._local = local
        self._find = find
        self._network = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def address(self, host: str, port: int) -> str:
        """An address that may be dialled; raises `TransportError` if there is none.

        One private address among public ones is enough to refuse the host.
        """
        try:
            addresses = list(await self._find(host, port))
        except OSError as error:
            raise TransportError("The gateway's host is not known; check its name.") from error
        if not addresses or not (self._local or all(map(is_public, addresses))):
            raise TransportError("The gateway has no public address; choose another.")
        return addresses[0]

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """See httpcore; the host is resolved and checked here."""
        address = await self.address(host.strip("[]"), port)
        return await self._network.connect_tcp(
            address, port, timeout, local_address, socket_options
        )


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
