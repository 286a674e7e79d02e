"""From settings to the things a command works with: wallet, chain, store, agent."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dovetail.bitcoin import FeeRate, Network
from dovetail.cli.config import LOCAL_CHAIN, LOCAL_MAILROOM, Settings
from dovetail.cli.work.nodes import open_node
from dovetail.cli.work.places import NODE, WALLET, make_folder, settings
from dovetail.errors import ConfigurationError, InvalidUri
from dovetail.protocol.uri import parse_directory
from dovetail.runtime.agent import DATABASE, Agent
from dovetail.runtime.services import AtExpiry, Policy
from dovetail.stores.sql import SqlStore
from dovetail.tor import SocksProxy
from dovetail.wallets.bdk import BdkWallet
from dovetail.wallets.core_chain import SEARCHES, CoreChain
from dovetail.wallets.core_wallet import CoreWallet
from dovetail.wallets.electrum import ElectrumChain
from dovetail.wallets.esplora import EsploraChain
from dovetail.wallets.servers import ChainServer

CORE = "core"


@dataclass(frozen=True, slots=True)
class Home:
    """The settings, and the one network a command is about."""

    settings: Settings
    network: Network

    @property
    def folder(self) -> Path:
        """Where this network's wallet and sessions are kept."""
        return self.settings.data_dir / self.network.value

    @property
    def wallet_folder(self) -> Path:
        """Where its wallet is kept."""
        return self.folder / WALLET

    @property
    def node_folder(self) -> Path:
        """Where is kept what is known of a node and its wallet."""
        return self.folder / NODE

    @property
    def database(self) -> Path:
        """Where its sessions are kept."""
        return self.folder / DATABASE

    @property
    def chain(self) -> ChainServer:
        """The chain server; raises `ConfigurationError`."""
        url = self.settings.chain
        if url is None and self.network is Network.REGTEST:
            url = LOCAL_CHAIN
        if url is None:
            raise ConfigurationError(
                f"No chain server is set for {self.network}: set `chain` to an Esplora or Electrum"
                " server of your own, or one you trust with your addresses."
            )
        return ChainServer(url, self.settings.chain_certificate, self.tor)

    @property
    def relay_fee_rate(self) -> FeeRate | None:
        """The least that nodes relay, where it is set."""
        told = self.settings.relay_fee_rate
        return None if told is None else FeeRate.from_sat_per_vb(told)

    @property
    def directories(self) -> tuple[str, ...]:
        """The directories for new mailboxes; raises `ConfigurationError`."""
        named = self.settings.directory
        if not named and self.network is Network.REGTEST:
            named = (LOCAL_MAILROOM,)
        if not named:
            raise ConfigurationError(
                "No directory is set: set `directory` to the mailroom where your payments"
                " shall come in."
            )
        try:
            return tuple(map(parse_directory, named))
        except InvalidUri as error:
            raise ConfigurationError(
                "`directory` must be an https origin such as https://example.org, or http on"
                " this machine: correct it."
            ) from error

    @property
    def relays(self) -> tuple[str, ...]:
        """The relays; none is right only where `direct` is set."""
        if not self.known_relays and not self.settings.direct:
            raise ConfigurationError(
                "No OHTTP relay is set: set `relays`, or `direct = true` to let the directory"
                " see your network address."
            )
        return self.known_relays

    @property
    def known_relays(self) -> tuple[str, ...]:
        """The relays, if there are any."""
        if self.network is Network.REGTEST and not self.settings.direct:
            return self.settings.relays or (LOCAL_MAILROOM,)
        return self.settings.relays

    @property
    def tor(self) -> SocksProxy | None:
        """The way to onion addresses; raises `ConfigurationError`."""
        return None if self.settings.tor is None else SocksProxy.parse(self.settings.tor)

    @property
    def policy(self) -> Policy:
        """The user's standing decisions."""
        settings = self.settings
        return Policy(
            depth=settings.depth,
            grace=settings.grace,
            at_expiry=AtExpiry(settings.at_expiry),
            min_fee_rate=FeeRate.from_sat_per_vb(settings.min_fee_rate),
            max_fee_rate=FeeRate.from_sat_per_vb(settings.max_fee_rate),
            fee_target=settings.fee_target,
            watch_interval=settings.watch_interval,
            unconfirmed_inputs=settings.unconfirmed_inputs,
        )

    @property
    def asks(self) -> bool:
        """Whether the policy asks before it broadcasts a fallback."""
        return self.policy.at_expiry is AtExpiry.ASK


def home() -> Home:
    """The settings and the network, be it the only one with a wallet.

    Raises `ConfigurationError`.
    """
    found = settings()
    if found.network is not None:
        return Home(found, Network(found.network))
    if found.wallet == CORE:
        raise ConfigurationError(
            "No `network` is set: say which one the node is on, such as by `--network signet`."
        )
    known = [each for each in Network if BdkWallet.exists(found.data_dir / each / WALLET)]
    if len(known) == 1:
        return Home(found, known[0])
    if known:
        raise ConfigurationError(
            "There are wallets on several networks: say which by `--network` or the key `network`."
        )
    raise ConfigurationError(
        "No `network` is set, and there is no wallet yet: make one, such as by"
        " `dovetail wallet new --network signet`."
    )


def open_wallet(place: Home, *, offline: bool = False) -> BdkWallet | CoreWallet:
    """The wallet; `offline` where no chain source is asked, so that none need be set."""
    if place.settings.wallet == CORE:
        return CoreWallet(open_node(place.settings, place.network), place.node_folder)
    server = LOCAL_CHAIN if offline else place.chain
    if not BdkWallet.exists(place.wallet_folder):
        raise ConfigurationError(
            f"There is no wallet on {place.network} yet: make one by"
            f" `dovetail wallet new --network {place.network}`, or name another `--data-dir`."
        )
    return BdkWallet.open(place.wallet_folder, server=server, network=place.network)


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
    place: Home, *, receives: bool = False, v1_only: bool = False
) -> AsyncGenerator[Agent]:
    """The agent, with no session under way yet; `receives` wants a directory as well.

    `v1_only` needs neither directory nor relay, and uses those that are set.
    """
    directories = place.directories if receives else ()
    relays = place.known_relays if v1_only else place.relays
    wallet = open_wallet(place)
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
