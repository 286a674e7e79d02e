import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.live_core.bitcoind import ABSENT, Bitcoind, installed
from tests.support.bdk import bdk_wallet
from tests.support.scripted_electrum import ScriptedElectrum
from tests.support.scripted_http import ScriptedServer
from tests.wallets.taped_node import Stage, Tape

from dovetail.bitcoin import Network, ScriptType
from dovetail.regtest import RegtestServer
from dovetail.regtest.electrum_server import ElectrumServer
from dovetail.wallets.bdk.wallet import BdkWallet
from dovetail.wallets.esplora.chain import EsploraChain


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
        return bdk_wallet(tmp_path / name, server, *values, kind=kind)

    return make


_RECORDINGS = Path(__file__).parent / "core"


@pytest.fixture(scope="session")
def bitcoind(tmp_path_factory) -> Iterator[Bitcoind]:
    if installed() is None:
        pytest.skip(ABSENT)
    with Bitcoind(tmp_path_factory.mktemp("bitcoind")) as running:
        running.mine(110)
        yield running


@pytest.fixture(params=["recorded", "live"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """A node's wallet: as it was recorded, and where there is a node, a real one."""
    name = request.node.originalname.removeprefix("test_")
    recording = _RECORDINGS / f"{name}.json"
    if request.param == "recorded":
        tape = Tape.read(recording)
        stage = Stage(tape, tmp_path, name, None)
        yield stage
        stage.close()
        assert tape.is_over, "Less was asked of the node than was recorded."
        return
    stage = Stage(Tape(), tmp_path, name, request.getfixturevalue("bitcoind"))
    yield stage
    stage.close()
    if os.environ.get("DOVETAIL_RECORD"):
        stage.tape.write(recording)
