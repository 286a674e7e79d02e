"""Whether a relay and a directory have one operator, as far as their names tell.

An operator of both sees a network address together with the times at which a mailbox is used,
which Oblivious HTTP exists to prevent (RFC 9458, Section 6.1).
"""

from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

_OURS = ("localhost", "local", "internal")
"""Names of this machine and of its network (RFC 6761, RFC 6762, ICANN's private-use domain)."""


@cache
def operator(url: str) -> str | None:
    """The operator of the server of `url`: its registrable domain, or its public IP address.

    None for one's own machine and network, where there is nobody to hide from. A domain is
    registrable below a suffix of a registry; a hosting company's domains count as one, as it
    sees what all its customers' servers see. Raises `ValueError` if `url` is no URL.
    """
    host = (urlsplit(url).hostname or "").rstrip(".")
    address = _address(host)
    if address is not None:
        return str(address) if address.is_global else None
    if host.rpartition(".")[2] in _OURS:
        return None
    return _suffixes().privatesuffix(_ascii(host)) or host


def one_hand(relay: str, directory: str) -> bool:
    """Whether both have one operator."""
    named = operator(relay)
    return named is not None and named == operator(directory)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return mapped or found


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host


@cache
def _suffixes() -> "PublicSuffixList":
    # Imported here: the list is read where a relay is chosen, not for each `--help`.
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415

    return PublicSuffixList(only_icann=True)
