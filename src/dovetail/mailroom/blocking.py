"""The networks that an operator blocks and unblocks: a file in the data folder."""

from pathlib import Path

from dovetail.durable_files import replace_durably
from dovetail.errors import ConfigurationError, StoreUnavailable
from dovetail.serving.blocklist import Blocklist, Network, network_of

_HEAD = "# Networks that this mailroom refuses.\n"


def blocked(file: Path) -> Blocklist:
    """Return what the file refuses; nothing if it is missing. Raises `ConfigurationError`."""
    return Blocklist.read(file) if file.exists() else Blocklist()


def block(file: Path, text: str) -> Network:
    """Add a network, and return it.

    Raises `ConfigurationError` for what is no network or is blocked already, and
    `StoreUnavailable`.
    """
    network, known = network_of(text), blocked(file)
    if network in list(known):
        raise ConfigurationError(f"{network} is blocked already: nothing is to be done.")
    _write(file, [*known, network])
    return network


def unblock(file: Path, text: str) -> Network:
    """Take a network off the list, and return it.

    Raises `ConfigurationError` where it is not on the list, and `StoreUnavailable`.
    """
    network, known = network_of(text), list(blocked(file))
    if network not in known:
        around = [each for each in known if _holds(each, network)]
        advice = f"{around[0]} is, and holds it" if around else "look at the list"
        raise ConfigurationError(f"{network} is not blocked by name: {advice}.")
    known.remove(network)
    _write(file, known)
    return network


def _holds(outer: Network, inner: Network) -> bool:
    shorter = outer.version == inner.version and outer.prefixlen <= inner.prefixlen
    return shorter and inner.network_address in outer


def _write(file: Path, networks: list[Network]) -> None:
    lines = "".join(f"{each}\n" for each in Blocklist(networks))
    try:
        replace_durably(file, f"{_HEAD}{lines}".encode())
    except OSError as error:
        raise StoreUnavailable(
            f"The list of blocked networks cannot be written: {error.strerror}. Check its folder."
        ) from error
