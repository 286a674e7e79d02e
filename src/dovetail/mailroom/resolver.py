"""Resolves gateways' hosts by the hosts file and by DNS, without threads.

The system's resolver uses a few threads, and a silent name server can block them all. dnspython
works in the event loop and has a timeout.
"""

import asyncio
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import dns.asyncresolver
import dns.exception
import dns.resolver

DEADLINE = 3.0
"""Seconds for all name servers together."""

_HOSTS = Path("/etc/hosts")
_SERVERS = Path("/etc/resolv.conf")
_REMEMBERED = 1_000
"""Answers that are cached during their time to live."""
_LOCALHOST = ("127.0.0.1", "::1")


def name_servers() -> dns.asyncresolver.Resolver:
    """Return a resolver with the system's name servers; raises OSError if there are none."""
    try:
        return dns.asyncresolver.Resolver(str(_SERVERS))
    except dns.resolver.NoResolverConfiguration as error:
        raise OSError("This machine has no name server configured.") from error


class Names:
    """Resolves hosts, with a cache. Use it from one event loop."""

    def __init__(
        self,
        *,
        hosts: Path = _HOSTS,
        servers: Callable[[], dns.asyncresolver.Resolver] = name_servers,
    ) -> None:
        """Nothing is read before the first lookup."""
        self._hosts = hosts
        self._hosts_read: tuple[int, dict[str, list[str]]] = (-1, {})
        self._servers = servers
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def __call__(self, host: str, port: int) -> list[str]:  # noqa: ARG002  # of any port
        """Return all addresses of a host, alternating IPv6 and IPv4; raises OSError."""
        name = host.rstrip(".").lower()
        known = [name] if _is_address(name) else self._from_hosts(name)
        if known:
            return known
        if name == "localhost" or name.endswith(".localhost"):  # RFC 6761 §6.3
            return list(_LOCALHOST)
        resolver = self._resolver_now()
        found = await asyncio.gather(
            _ask(resolver, name, "AAAA"), _ask(resolver, name, "A"), return_exceptions=True
        )
        six, four = (each if isinstance(each, list) else [] for each in found)
        for each in found:
            if isinstance(each, BaseException) and not isinstance(each, OSError):
                raise each
        if not (six or four):
            raise OSError("The host has no address.")
        turns = [(*six[at : at + 1], *four[at : at + 1]) for at in range(max(len(six), len(four)))]
        return [address for turn in turns for address in turn]

    def _resolver_now(self) -> dns.asyncresolver.Resolver:
        if self._resolver is None:
            self._resolver = self._servers()
            self._resolver.lifetime = DEADLINE
            self._resolver.cache = dns.resolver.LRUCache(_REMEMBERED)
        return self._resolver

    def _from_hosts(self, name: str) -> list[str]:
        try:
            changed = self._hosts.stat().st_mtime_ns
            if changed != self._hosts_read[0]:
                text = self._hosts.read_text(encoding="utf-8", errors="replace")
                self._hosts_read = (changed, _parse_hosts(text))
        except OSError:
            return []
        return self._hosts_read[1].get(name, [])


async def _ask(resolver: dns.asyncresolver.Resolver, name: str, kind: str) -> list[str]:
    try:
        answer = await resolver.resolve(name, kind, search=False)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise OSError("The name servers know no such host, or do not answer.") from error
    return [str(record) for record in answer]


def _parse_hosts(text: str) -> dict[str, list[str]]:
    """Return the addresses of each name in a hosts(5) file."""
    hosts: dict[str, list[str]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if _is_address(address):
            for name in names:
                hosts.setdefault(name.rstrip(".").lower(), []).append(address)
    return hosts


def _is_address(text: str) -> bool:
    try:
        ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True
