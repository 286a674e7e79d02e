"""Who asks, told by network, and how much of what is limited one of them may hold.

Nothing of it is written anywhere: a client is known by a hash under a key of this run.
"""

import hashlib
import secrets
from collections import Counter
from collections.abc import Generator, Hashable, Iterable
from contextlib import contextmanager
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NewType

from dovetail.errors import ConfigurationError
from dovetail.serving.asgi import Scope, header

Client = NewType("Client", bytes)
"""A client's network: IPv4 by /24, IPv6 by /56, which is what one customer gets."""

OWN_PROXIES = ("127.0.0.1", "::1")
_IPV4_PREFIX, _IPV6_PREFIX = 24, 56
_CACHED = 4_096


class Clients:
    """Names clients. Those at the addresses of the operator's own `proxies` have no name.

    With a `forwarded` header, in which a proxy writes the client's address last, a request
    through a proxy is that client's. Raises `ConfigurationError`.
    """

    def __init__(
        self, *, proxies: Iterable[str] = OWN_PROXIES, forwarded: str | None = None
    ) -> None:
        try:
            self._proxies = tuple(ip_network(each) for each in proxies)
        except ValueError as error:
            raise ConfigurationError(
                "`proxies` must hold IP addresses or networks: correct it."
            ) from error
        self._forwarded = None if forwarded is None else forwarded.strip().lower().encode()
        self._secret = secrets.token_bytes(32)
        self._named = lru_cache(_CACHED)(self._name)

    def at(self, address: str | None) -> Client | None:
        """The client at an IP address; None where all that is known is a proxy."""
        return None if address is None else self._named(address)

    def of(self, scope: Scope) -> Client | None:
        """Whose request an ASGI scope is."""
        peer = scope.get("client")
        client = self.at(peer[0]) if peer else None
        if client is None and self._forwarded is not None:
            told = (header(scope, self._forwarded) or b"").rpartition(b",")[2]
            client = self.at(told.strip().decode("latin-1"))
        return client

    def _name(self, text: str) -> Client | None:
        try:
            address = ip_address(text.strip("[]").partition("%")[0])
        except ValueError:
            return None
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if any(address in network for network in self._proxies):
            return None
        return Client(hashlib.blake2b(_prefix(address), key=self._secret, digest_size=16).digest())


class Shares:
    """At most `limit` at once, and of one client at most `per_client` and what is still free.

    So whoever holds the most is refused first: one client alone gets half, and there is room
    for another one until there are as many clients as places. None counts as nobody: it is
    bound by the limit alone.
    """

    def __init__(self, limit: int, per_client: int | None = None) -> None:
        self._limit = limit
        self._per_client = limit if per_client is None else per_client
        self._held: Counter[Hashable] = Counter()
        self._count = 0

    @property
    def count(self) -> int:
        """How many are taken."""
        return self._count

    def take(self, client: Hashable | None) -> bool:
        """Take one for this client, to be given back; False if it may not have it now."""
        free = self._limit - self._count
        if free <= 0:
            return False
        if client is not None:
            if self._held[client] >= min(self._per_client, free):
                return False
            self._held[client] += 1
        self._count += 1
        return True

    def give_back(self, client: Hashable | None) -> None:
        """End what `take` began."""
        self._count -= 1
        if client is not None:
            self._held[client] -= 1
            if not self._held[client]:
                del self._held[client]

    @contextmanager
    def hold(self, client: Hashable | None) -> Generator[bool]:
        """Take one for as long as the block runs; gives False if it may not have it now."""
        taken = self.take(client)
        try:
            yield taken
        finally:
            if taken:
                self.give_back(client)


def _prefix(address: IPv4Address | IPv6Address) -> bytes:
    bits = _IPV4_PREFIX if isinstance(address, IPv4Address) else _IPV6_PREFIX
    return address.packed[: bits // 8]
