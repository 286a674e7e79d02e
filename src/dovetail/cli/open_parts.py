"""Open what a command works with, by the settings: wallet, chain source, store.

Each is loaded when it is opened, as most commands want one kind of it, or none.
"""

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dovetail.cli.config import LOCAL_CHAIN
from dovetail.cli.context import CORE, Home
from dovetail.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator

    from dovetail.stores.sql import SqliteStore
    from dovetail.wallets.bdk.wallet import BdkWallet
    from dovetail.wallets.core.chain import CoreChain
    from dovetail.wallets.core.wallet import CoreWallet
    from dovetail.wallets.electrum.chain import ElectrumChain
    from dovetail.wallets.esplora.chain import EsploraChain


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The settings that an agent needs, checked, and its wallet."""

    place: Home
    wallet: "BdkWallet | CoreWallet"
    directories: tuple[str, ...]
    relays: tuple[str, ...]
    v1_only: bool


def start(
    place: Home,
    *,
    receives: bool = False,
    v1_only: bool = False,
    signs: bool = True,
    ahead: bool = False,
) -> Start:
    """Collect what an agent needs, before it is loaded; `receives` needs a directory too.

    `v1_only` needs neither directory nor relay, and uses those that are set. `signs` and `ahead`
    are as for `open_wallet`. Raises `ConfigurationError`.
    """
    needs = {"chain": True, "directory": receives, "relays": not v1_only}
    place.require(*(name for name, needed in needs.items() if needed))
    return Start(
        place=place,
        directories=place.directories if receives else (),
        relays=place.known_relays if v1_only else place.relays,
        wallet=open_wallet(place, signs=signs, ahead=ahead),
        v1_only=v1_only,
    )


def open_wallet(
    place: Home, *, offline: bool = False, signs: bool = False, ahead: bool = False
) -> "BdkWallet | CoreWallet":
    """The wallet; `offline` where no chain source is asked, so that none need be set.

    One that `signs` is unlocked: its passphrase is read, or asked for. With `ahead` the next `sync`
    begins now, while the caller loads what else it needs. A node's wallet is in sync by itself.
    """
    if place.settings.wallet == CORE:
        return _core_wallet(place)
    wallet = open_own(place, offline=offline, signs=signs)
    if ahead:
        wallet.begin_sync()
    return wallet


def open_own(place: Home, *, offline: bool = False, signs: bool = False) -> "BdkWallet":
    """Open Dovetail's own wallet."""
    from dovetail.cli.passphrases import unlock  # noqa: PLC0415 - only the kind that is used
    from dovetail.wallets.bdk.wallet import BdkWallet  # noqa: PLC0415

    server = LOCAL_CHAIN if offline else place.chain
    if not BdkWallet.exists(place.wallet_folder):
        raise ConfigurationError(
            f"There is no wallet on {place.network} yet: make one with"
            f" `dovetail wallet new --network {place.network}`, or name another `--data-dir`."
        )
    wallet = BdkWallet.open(place.wallet_folder, server=server, network=place.network)
    if signs:
        unlock(wallet, place)
    return wallet


def _core_wallet(place: Home) -> "CoreWallet":
    from dovetail.cli.core_node import open_node  # noqa: PLC0415 - only the kind that is used
    from dovetail.wallets.core.wallet import CoreWallet  # noqa: PLC0415

    return CoreWallet(open_node(place.settings, place.network), place.node_folder)


@contextmanager
def open_chain(place: Home) -> "Generator[EsploraChain | ElectrumChain | CoreChain]":
    """The chain source: the node whose wallet is used, or what the server's URL says."""
    source = _core_chain(place) if place.settings.wallet == CORE else _server(place)
    try:
        yield source
    finally:
        source.close()


def _core_chain(place: Home) -> "CoreChain":
    from dovetail.cli.core_node import open_node  # noqa: PLC0415 - only the kind that is used
    from dovetail.wallets.core.chain import SEARCHES, CoreChain  # noqa: PLC0415

    node = open_node(place.settings, place.network)
    memory = place.node_folder / SEARCHES
    return CoreChain(node, memory=memory, min_fee_rate=place.relay_fee_rate)


def _server(place: Home) -> "EsploraChain | ElectrumChain":
    server = place.chain
    least, pace = place.relay_fee_rate, place.settings.chain_pace
    if server.is_electrum:
        from dovetail.wallets.electrum.chain import ElectrumChain  # noqa: PLC0415 - as above

        return ElectrumChain(server, place.network, min_fee_rate=least, pace=pace)
    from dovetail.wallets.esplora.chain import EsploraChain  # noqa: PLC0415 - as above

    return EsploraChain(server.url, place.network, min_fee_rate=least, pace=pace)


@contextmanager
def open_store(place: Home) -> "Generator[SqliteStore | None]":
    """Open the sessions; None where there is no database: a command that reads makes none."""
    if not place.database.exists():
        yield None
        return
    from dovetail.stores.sql.sqlite_store import SqliteStore  # noqa: PLC0415 - only where there is one

    with SqliteStore.open(place.database) as store:
        yield store
