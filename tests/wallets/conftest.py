from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.wallets.scripted import ScriptedServer
from tests.wallets.scripted_electrum import ScriptedElectrum

from dovetail.bitcoin import Network, Sats, ScriptType
from dovetail.regtest import RegtestServer
from dovetail.regtest.electrum_server import ElectrumServer
from dovetail.wallets.bdk import BdkWallet
from dovetail.wallets.esplora import EsploraChain


@pytest.fixture(scope="session")
def server() -> Iterator[RegtestServer]:
    with RegtestServer() as running:
        yield running


@pytest.fixture
def chain(server) -> Iterator[EsploraChain]:
    with EsploraChain(server.url, Network.REGTEST) as opened:
        yield opened


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture(scope="session")
def electrum(server) -> Iterator[ElectrumServer]:
    """The same chain as an Electrum server tells it."""
    with ElectrumServer(server.node) as running:
        yield running


@pytest.fixture
def scripted_electrum(server) -> Iterator[ScriptedElectrum]:
    with ScriptedElectrum(server.node) as running:
        yield running


@pytest.fixture
def make_wallet(server, tmp_path: Path) -> Callable[..., BdkWallet]:
    """A new wallet that holds confirmed coins of these values."""

    def make(*values: int, kind: ScriptType = ScriptType.P2WPKH, name: str = "wallet") -> BdkWallet:
        wallet = BdkWallet.create(tmp_path / name, Network.REGTEST, server=server.url, kind=kind)
        for value in values:
            server.node.fund(wallet.new_address().script_pubkey, Sats(value))
        wallet.sync()
        return wallet

    return make
