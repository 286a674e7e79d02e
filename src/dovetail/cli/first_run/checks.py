"""Live checks of a new shop's settings: each asks the server that an answer names."""

import asyncio
from dataclasses import replace
from typing import Any

from dovetail.bitcoin import Address, Network
from dovetail.cli import open_parts
from dovetail.cli.config import Settings
from dovetail.cli.context import Home
from dovetail.errors import ConfigurationError, TransportError
from dovetail.merchant.services.clocks import require_chains_time, require_network
from dovetail.merchant.wallet.descriptors import script_at
from dovetail.runtime.agent import now
from dovetail.runtime.ohttp_keys import OhttpKeys, tunnel_to
from dovetail.runtime.relays import Relays
from dovetail.runtime.transport import Transport, opened

_ANY_PAGE = 1 << 20


def at(settings: Settings, network: Network, **answers: Any) -> Home:
    """The settings as they will be with these answers."""
    return Home(replace(settings, network=network.value, **answers), network)


def chain(home: Home) -> str:
    """Ask the chain source for its first and its newest block.

    Raises `ChainError`, and `ConfigurationError` for one of another network.
    """
    with open_parts.open_chain(home) as source:
        require_network(source, home.network)
        height = require_chains_time(source, home.network, now())
    return f"It answers for {home.network}; the newest block is {height:,}."


def routes(home: Home) -> str:
    """Fetch the keys of each directory through each relay.

    Raises `ConfigurationError` for a relay of the directory's operator, and `TransportError`.
    """
    directories, relays = home.directories, home.relays
    asyncio.run(_routes(home, directories, relays))
    if not relays:
        return "It answers, and sees this machine's address."
    return f"It answers through {'the relay' if len(relays) == 1 else 'each relay'}."


async def _routes(home: Home, directories: tuple[str, ...], relays: tuple[str, ...]) -> None:
    async with opened(None, home.tor) as transport:
        for directory in directories:
            for ways in [[relay] for relay in relays] or [[]]:
                await _ask(directory, ways, home, transport)


async def _ask(directory: str, ways: list[str], home: Home, transport: Transport) -> None:
    relays = Relays(ways, clock=now, direct=not ways and home.settings.direct)
    relays.choose(directory)
    try:
        await OhttpKeys(transport, relays, clock=now).of(directory)
        if ways and tunnel_to(directory, relays) is None:  # it was asked straight
            await transport.get(ways[0], limit=_ANY_PAGE)
    except TransportError as error:
        raise ConfigurationError(f"{error} Correct `directory` or `relays`.") from error


def first_address(descriptor: str, network: Network) -> str:
    """The first address of cold storage, by which its owner knows it."""
    return str(Address.from_script(script_at(descriptor, network, 0), network))
