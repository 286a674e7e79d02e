"""From settings to the things a command works with: wallet, chain, store, agent."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from dovetail.cli.config import LOCAL_CHAIN
from dovetail.cli.work import passphrases
from dovetail.cli.work.homes import CORE, Home
from dovetail.cli.work.nodes import open_node
from dovetail.cli.work.places import make_folder
from dovetail.errors import ConfigurationError
from dovetail.runtime.agent import Agent
from dovetail.stores.sql import SqlStore
from dovetail.wallets.bdk import BdkWallet
from dovetail.wallets.core_chain import SEARCHES, CoreChain
from dovetail.wallets.core_wallet import CoreWallet
from dovetail.wallets.electrum import ElectrumChain
from dovetail.wallets.esplora import EsploraChain


def open_wallet(
    place: Home, *, offline: bool = False, signs: bool = False
) -> BdkWallet | CoreWallet:
    """The wallet; `offline` where no chain source is asked, so that none need be set.

    One that `signs` is unlocked: its passphrase is read, or asked for.
    """
    if place.settings.wallet == CORE:
        return CoreWallet(open_node(place.settings, place.network), place.node_folder)
    return open_own(place, offline=offline, signs=signs)


def open_own(place: Home, *, offline: bool = False, signs: bool = False) -> BdkWallet:
    """The same, where Dovetail keeps the wallet and not a node."""
    server = LOCAL_CHAIN if offline else place.chain
    if not BdkWallet.exists(place.wallet_folder):
        raise ConfigurationError(
            f"There is no wallet on {place.network} yet: make one by"
            f" `dovetail wallet new --network {place.network}`, or name another `--data-dir`."
        )
    wallet = BdkWallet.open(place.wallet_folder, server=server, network=place.network)
    if signs:
        passphrases.unlock(wallet, place.settings)
    return wallet


@contextmanager
def open_chain(place: Home) -> Generator[EsploraChain | ElectrumChain | CoreChain]:
    """The chain source: the node whose wallet is used, or what the server's URL says."""
    source = _chain(place)
    try:
        yield source
    finally:
        source.close()


def _chain(place: Home) -> EsploraChain | ElectrumChain | CoreChain:
    if place.settings.wallet == CORE:
        node = open_node(place.settings, place.network)
        memory = place.node_folder / SEARCHES
        return CoreChain(node, memory=memory, min_fee_rate=place.relay_fee_rate)
    server = place.chain
    least, pace = place.relay_fee_rate, place.settings.chain_pace
    if server.is_electrum:
        return ElectrumChain(server, place.network, min_fee_rate=least, pace=pace)
    return EsploraChain(server.url, place.network, min_fee_rate=least, pace=pace)


@contextmanager
def open_store(place: Home) -> Generator[SqlStore | None]:
    """The sessions; None where there never was one, as looking makes no files."""
    if not place.database.exists():
        yield None
        return
    with SqlStore.open(place.database) as store:
        yield store


@asynccontextmanager
async def open_agent(
    place: Home, *, receives: bool = False, v1_only: bool = False, signs: bool = True
) -> AsyncGenerator[Agent]:
    """The agent, with no session under way yet; `receives` wants a directory as well.

    `v1_only` needs neither directory nor relay, and uses those that are set. An agent that `signs`
    unlocks the wallet before anything else is opened.
    """
    directories = place.directories if receives else ()
    relays = place.known_relays if v1_only else place.relays
    wallet = open_wallet(place, signs=signs)
    with open_chain(place) as source:
        make_folder(place.folder)
        async with Agent.open(
            place.folder,
            wallet=wallet,
            chain=source,
            directory=directories,
            relays=relays,
            direct=place.settings.direct,
            tor=place.tor,
            v1_only=v1_only,
            policy=place.policy,
            resume=False,
        ) as agent:
            try:
                yield agent
            finally:
                await agent.stop()
                # A look at the chain that a thread has begun ends before its connection closes.
                await asyncio.get_running_loop().shutdown_default_executor()
