"""Identify clients by their network, and share limited resources between them.

Nothing is stored: a client is identified by a keyed hash, and the key is new in each run.
"""

import hashlib
import secrets
from collections.abc import Callable, Generator, Hashable, Iterable
from contextlib import contextmanager
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NewType

from dovetail.errors import ConfigurationError
from dovetail.serving.asgi import Scope, header
from dovetail.serving.blocklist import Blocklist, Network

Client = NewType("Client", bytes)
"""A client's network: IPv4 by /24, IPv6 by /56, which is what one customer gets."""

OWN_PROXIES = ("127.0.0.1", "::1")
_IPV4_PREFIX, _IPV6_PREFIX = 24, 56
_CACHED = 4_096


class Clients:
    """Identifies clients. The operator's own `proxies` are not clients.

    `forwarded` names the header in which a proxy writes the client's address last. A request
    through a proxy then belongs to that client. Raises `ConfigurationError`.
    """

    def __init__(
        self, *, proxies: Iterable[str] = OWN_PROXIES, forwarded: str | None = None
    ) -> None:
        self._proxies: tuple[Network, ...] = ()
        self._forwarded: bytes | None = None
        self.blocked = Blocklist()
        """Networks that are refused."""
        self._secret = secrets.token_bytes(32)
        self._named = lru_cache(_CACHED)(self._name)
        self.adopt(proxies=proxies, forwarded=forwarded)

    def adopt(self, *, proxies: Iterable[str], forwarded: str | None) -> None:
        """Replace the operator's own proxies and their header; raises `ConfigurationError`."""
        try:
            self._proxies = tuple(ip_network(each) for each in proxies)
        except ValueError as error:
            raise ConfigurationError(
                "`proxies` must hold IP addresses or networks: correct it."
            ) from error
        self._forwarded = None if forwarded is None else forwarded.strip().lower().encode()
        self._named.cache_clear()

    def at(self, address: str | None) -> Client | None:
        """Return the client at an IP address, or None for a proxy or an unknown address."""
        return None if address is None else self._named(address)

    def of(self, scope: Scope) -> Client | None:
        """Return the client that sent the request of an ASGI scope."""
        peer = scope.get("client")
        client = self.at(peer[0]) if peer else None
        return self.at(self._told(scope)) if client is None else client

    def refuses(self, scope: Scope) -> bool:
        """Whether a request came through a proxy from a network that is refused."""
        if not self.blocked:
            return False
        peer = scope.get("client")
        through = peer is None or self.at(peer[0]) is None
        return through and (self._told(scope) or "") in self.blocked

    def is_proxy(self, address: str | None) -> bool:
        """Whether an IP address is that of one of the operator's proxies."""
        parsed = _parsed(address or "")
        return parsed is not None and any(parsed in network for network in self._proxies)

    def _told(self, scope: Scope) -> str | None:
        """Return the address that a proxy's header has last, unless there is none."""
        if self._forwarded is None:
            return None
        told = (header(scope, self._forwarded) or b"").rpartition(b",")[2]
        return told.strip().decode("latin-1")

    def _name(self, text: str) -> Client | None:
        address = _parsed(text)
        if address is None or any(address in network for network in self._proxies):
            return None
        return Client(hashlib.blake2b(_prefix(address), key=self._secret, digest_size=16).digest())


class Share:
    """One place that a client holds."""

    __slots__ = ("_shares", "client", "evict")

    def __init__(
        self, shares: "Shares", client: Hashable | None, evict: Callable[[], object] | None
    ) -> None:
        """`Shares` calls `evict` when it gives the place to another client."""
        self._shares: Shares | None = shares
        self.client = client
        self.evict = evict

    def end(self) -> None:
        """Give the place back. A second call, or a call after an eviction, does nothing."""
        shares, self._shares = self._shares, None
        if shares is not None:
            shares.give_back(self)


class Shares:
    """At most `limit` places at once; one client gets `per_client`, and no more than are free.

    When no place is free, the client with the most places loses its oldest one to a client that
    would still hold fewer. This needs a place that can be evicted. So a new client finds room
    until there are as many clients as places. The client None stands for unknown clients: only
    `limit` binds it, and it never loses a place.
    """

    def __init__(self, limit: int, per_client: int | None = None) -> None:
        self._limit = limit
        self._per_client = limit if per_client is None else per_client
        self._held: dict[Hashable, dict[Share, None]] = {}
        self._by_count: dict[int, dict[Hashable, None]] = {}
        self._most = 0
        self._count = 0

    def resize(self, limit: int, per_client: int | None = None) -> None:
        """Change the limits; who holds more than that keeps it until it ends."""
        self._limit = limit
        self._per_client = limit if per_client is None else per_client

    @property
    def count(self) -> int:
        """The number of places that are taken."""
        return self._count

    def take(
        self, client: Hashable | None, evict: Callable[[], object] | None = None
    ) -> Share | None:
        """Take a place for this client, or return None if it gets none. End it later."""
        free = self._limit - self._count
        mine = 0 if client is None else len(self._held.get(client, ()))
        if client is not None and mine >= self._per_client:
            return None
        if mine >= free and not self._make_room(mine):
            return None
        share = Share(self, client, evict)
        self._count += 1
        if client is not None:
            self._held.setdefault(client, {})[share] = None
            self._move(client, mine, mine + 1)
        return share

    def give_back(self, share: Share) -> None:
        """Take back a place; `Share.end` calls this."""
        self._count -= 1
        if share.client is None:
            return
        held = self._held[share.client]
        del held[share]
        self._move(share.client, len(held) + 1, len(held))
        if not held:
            del self._held[share.client]

    @contextmanager
    def hold(
        self, client: Hashable | None, evict: Callable[[], object] | None = None
    ) -> Generator[bool]:
        """Hold a place while the block runs; yields False if the client gets none now."""
        share = self.take(client, evict)
        try:
            yield share is not None
        finally:
            if share is not None:
                share.end()

    def _make_room(self, mine: int) -> bool:
        """Evict the client with the most places for one that will hold `mine` + 1."""
        if self._most <= mine + 1:
            return False
        largest = next(iter(self._by_count[self._most]))
        for share in self._held[largest]:
            if share.evict is not None:
                share.end()
                share.evict()
                return True
        return False

    def _move(self, client: Hashable, before: int, after: int) -> None:
        """Record how many places a client holds."""
        if before:
            del self._by_count[before][client]
            if not self._by_count[before]:
                del self._by_count[before]
        if after:
            self._by_count.setdefault(after, {})[client] = None
        if after > self._most or self._most not in self._by_count:
            self._most = after


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """Return an IP address; one of IPv4 inside of IPv6 is of IPv4."""
    try:
        address = ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _prefix(address: IPv4Address | IPv6Address) -> bytes:
    bits = _IPV4_PREFIX if isinstance(address, IPv4Address) else _IPV6_PREFIX
    return address.packed[: bits // 8]
