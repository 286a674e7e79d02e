"""Targets of a relay: gateways named in a path, at public addresses only."""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import cast

import httpcore2

from dovetail.errors import InvalidUri, TransportError
from dovetail.mailroom.public_addresses import is_public

Resolve = Callable[[str, int], Awaitable[Iterable[str]]]
"""Finds the addresses of a host and port; raises OSError."""

_AUTHORITY = (
    r"(?P<host>[0-9a-z_](?:[0-9a-z._-]*[0-9a-z_.])?|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?"
)
_PATH = re.compile(rf"/(?P<scheme>https?):/{{1,2}}{_AUTHORITY}/?", re.ASCII | re.IGNORECASE)
_HOST_PORT = re.compile(_AUTHORITY, re.ASCII | re.IGNORECASE)
_LONGEST_HOST = 255
_PORTS = {"http": 80, "https": 443}
_TRIED = 4
"""Addresses of one host that are tried, since a hostile name server could return many."""


@dataclass(frozen=True, slots=True)
class Target:
    """The origin of a gateway, with an explicit port."""

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
        """The host without the brackets of an IPv6 address."""
        return self.host.strip("[]")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


class Dialler(httpcore2.AsyncNetworkBackend):
    """Resolves, checks and connects in one step, so that DNS rebinding cannot bypass the check."""

    def __init__(self, *, local: bool, resolve: Resolve) -> None:
        """`local` allows private addresses."""
        self._local = local
        self._resolve = resolve
        self._network = cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the allowed addresses of a host; raises `TransportError` if there is none.

        A host with even one private address is refused.
        """
        try:
            addresses = list(await self._resolve(host, port))
        except OSError as error:
            raise TransportError(
                "The gateway's host cannot be resolved; check its name."
            ) from error
        if not addresses or not (self._local or all(map(is_public, addresses))):
            raise TransportError("The gateway has no public address; choose another.")
        return addresses[:_TRIED]

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore2's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """See httpcore2. Resolves and checks the host, and tries its addresses in turn.

        Each address gets an equal part of the timeout, so that a silent one leaves time for the
        others.
        """
        addresses = await self.addresses(host.strip("[]"), port)
        share = None if timeout is None else timeout / len(addresses)
        failure: Exception = OSError()
        for address in addresses:
            try:
                return await self._network.connect_tcp(
                    address, port, share, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure
