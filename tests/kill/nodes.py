"""Wallets of a Bitcoin Core node in place of BDK's: `python -m tests.kill --wallet core`.

The node runs beside the harness's own chain, which stays the one that is asked who was paid; a
mirror hands blocks and transactions from one to the other. Both parties have a wallet in the node.
It is killed at the end of a run, as its wallets have to stand that too.
"""

import os
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from tests.kill.ledger import Party
from tests.kill.processes import Process
from tests.kill.servers import Coins, Ports
from tests.live_core.bitcoind import ABSENT, NodeAccess, command, installed
from tests.live_core.mirror import Mirror
from tests.support.waiting import wait_for

from dovetail.bitcoin import Address, FeeRate, Network, Script
from dovetail.errors import InvalidAddress
from dovetail.regtest.remote import remote_fund
from dovetail.stores.sql import SqliteStore
from dovetail.wallets.core.chain import CoreChain
from dovetail.wallets.core.wallet import CoreWallet
from dovetail.wallets.ports import Accepted

__all__ = ["ABSENT", "installed"]

_KINDS = {Coins.TAPROOT: "bech32m", Coins.NESTED: "p2sh-segwit", Coins.LEGACY: "legacy"}
_PATIENCE = 90.0


def access(folder: Path, ports: Ports) -> NodeAccess:
    if ports.node is None:
        raise ValueError("This run has no node.")
    return NodeAccess(folder / "core", ports.node)


def run_node(folder: Path, ports: Ports) -> Iterator[Process]:
    """Start the node of a world, and what keeps it like the chain; both up when this is done."""
    node = access(folder, ports)
    words = command(node.folder, node.port, "-debuglogfile=0")

    def serve() -> int:
        os.execv(words[0], words)  # noqa: S606 - a node of the harness's own

    yield Process(serve, folder / "node.log")
    ready = folder / "mirror.up"
    ready.unlink(missing_ok=True)

    def mirror() -> int:
        wait_for(node.is_up, _PATIENCE)
        with Mirror(ports.chain_url, node) as kept:
            kept.settle()
            ready.touch()
            while True:
                time.sleep(60)

    process = Process(mirror, folder / "mirror.log")
    wait_for(lambda: ready.exists() or process.code is not None, 2 * _PATIENCE)
    if process.code is not None:
        told = [(folder / name).read_text() for name in ("mirror.log", "node.log")]
        raise TimeoutError(f"The node did not start: {told}")
    yield process
    node.close()


def end_node(folder: Path, ports: Ports, process: Process) -> None:
    access(folder, ports).rpc("stop")
    wait_for(lambda: process.code is not None, _PATIENCE)


def make_wallet(home: Path, ports: Ports, coins: Coins, funds: tuple[int, ...]) -> None:
    node = access(home.parent, ports)
    node.make_wallet(home.name, load_on_startup=True)
    kind = _KINDS.get(coins, "bech32")
    for value in funds:
        address = node.rpc("getnewaddress", "", kind, wallet=home.name)
        remote_fund(ports.chain_url, address, value)
    wait_for(lambda: len(node.rpc("listunspent", wallet=home.name)) == len(funds), _PATIENCE)


def owner_of(folder: Path, ports: Ports) -> Callable[[Script], Party | None]:
    node = access(folder, ports)

    @cache
    def owner(script: Script) -> Party | None:
        try:
            address = str(Address.from_script(script, Network.REGTEST))
        except InvalidAddress:
            return None
        for party in (Party.SENDER, Party.RECEIVER):
            if node.rpc("getaddressinfo", address, wallet=str(party))["ismine"]:
                return party
        return None

    return owner


def stray(home: Path, database: Path, ports: Ports) -> int:
    """The party spends the coin that it offered elsewhere."""
    with SqliteStore.open(database) as store:
        (offered,) = store.exposed()
    node = access(home.parent, ports).node(home.name)
    spend = CoreWallet(node, home).revoke(offered, fee_rate=FeeRate.from_sat_per_vb(30))
    return int(not isinstance(CoreChain(node).broadcast(spend), Accepted))


def locked(folder: Path, ports: Ports) -> bool:
    node = access(folder, ports)
    return any(node.locked(str(party)) for party in (Party.SENDER, Party.RECEIVER))
