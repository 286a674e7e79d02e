"""Networks that a server refuses."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Self, TypeAlias

from dovetail.errors import ConfigurationError

LONGEST_FILE = 64 << 20
"""The largest file in bytes that is read."""

Network: TypeAlias = IPv4Network | IPv6Network


class Blocklist:
    """A set of networks. A look takes a step for each length of prefix, however many there are."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = sorted(set(networks), key=lambda each: (each.version, each))
        self._by_length: dict[tuple[int, int], set[int]] = {}
        for each in self._networks:
            shift = each.max_prefixlen - each.prefixlen
            begins = self._by_length.setdefault((each.version, shift), set())
            begins.add(int(each.network_address) >> shift)

    @classmethod
    def read(cls, *files: Path) -> Self:
        """Read files of one address or network a line, with # before remarks.

        Raises `ConfigurationError`, which names the file and the line.
        """
        return cls(network for file in files for network in _read(file))

    def __contains__(self, address: str) -> bool:
        """Whether this IP address is in one of the networks; no address is in none."""
        if not self._by_length:
            return False
        try:
            found = ip_address(address.strip("[]").partition("%")[0])
        except ValueError:
            return False
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        number, version = int(found), found.version
        return any(
            number >> shift in begins
            for (kind, shift), begins in self._by_length.items()
            if kind == version
        )

    def __iter__(self) -> Iterator[Network]:
        return iter(self._networks)

    def __len__(self) -> int:
        return len(self._networks)


def network_of(text: str) -> Network:
    """Return the network that a text names, such as 192.0.2.0/24, or the one of an address.

    An IPv4 address inside of IPv6 is the IPv4 address. Raises `ConfigurationError`.
    """
    try:
        found = ip_network(text.strip())
    except ValueError as error:
        host_bits = "host bits" in str(error)
        raise ConfigurationError(
            "The network has an address inside of it: give its first address."
            if host_bits
            else "Give an IP address or a network, such as 192.0.2.0/24 or 2001:db8::/56."
        ) from None
    if isinstance(found, IPv6Network) and found.prefixlen >= 96:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, found.prefixlen - 96))
    return found


def _read(file: Path) -> Iterator[Network]:
    try:
        if file.stat().st_size > LONGEST_FILE:
            raise ConfigurationError(f"The blocklist {file} is larger than 64 MiB: shorten it.")
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The blocklist {file} cannot be read: check it.") from error
    for number, line in enumerate(text.splitlines(), 1):
        told = line.partition("#")[0].strip()
        if told:
            try:
                yield network_of(told)
            except ConfigurationError as error:
                raise ConfigurationError(f"{file}, line {number}: {error}") from error
