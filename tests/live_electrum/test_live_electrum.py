"""Our wallet and chain source on ElectrumX and Bitcoin Core, which nobody here wrote."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.live_core.bitcoind import ABSENT as NO_BITCOIND
from tests.live_core.bitcoind import Bitcoind
from tests.live_core.bitcoind import installed as bitcoind
from tests.live_electrum.electrumx import ABSENT, electrumx, installed
from tests.support.waiting import wait_for

from dovetail.bitcoin import FeeRate, Network, OutPoint, Sats, Script, Txid
from dovetail.errors import ChainError
from dovetail.wallets.bdk.wallet import BdkWallet
from dovetail.wallets.electrum.chain import ElectrumChain
from dovetail.wallets.ports import Accepted, Refused, Spend
from dovetail.wallets.server_url import ChainServer

RATE = FeeRate.from_sat_per_vb(2)
TARGET = Script(b"\x00\x14" + bytes(20))
UNKNOWN = OutPoint(Txid(bytes(31) + b"\x01"), 0)
_PATIENCE = 60.0


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Bitcoind]:
    if bitcoind() is None:
        pytest.skip(NO_BITCOIND)
    if installed() is None:
        pytest.skip(ABSENT)
    with Bitcoind(tmp_path / "bitcoind", "-txindex=1", "-txospenderindex=1") as running:
        running.mine(101)
        yield running


@pytest.fixture
def server(node: Bitcoind, tmp_path: Path) -> Iterator[ChainServer]:
    program = installed()
    assert program is not None
    with electrumx(program, node, tmp_path / "electrumx") as running:
        yield running


@pytest.mark.timeout(240)
def test_a_payment_is_followed_through_a_reorganisation(node, server, tmp_path):
    wallet = BdkWallet.create(tmp_path / "wallet", Network.REGTEST, server=server)
    node.fund(str(wallet.new_address()), 100_000)

    def confirmed() -> int:
        wallet.sync()
        return int(wallet.balance().confirmed)

    wait_for(lambda: confirmed() == 100_000)
    paid = wallet.pay(TARGET, Sats(30_000), fee_rate=RATE).extract()
    outpoint = paid.inputs[0].previous_output
    with ElectrumChain(server, Network.REGTEST) as chain:
        assert chain.fee_rate(target=6) >= FeeRate.BROADCAST_MIN
        assert chain.spend_of(outpoint) is None
        assert chain.spend_of(UNKNOWN) is None
        assert chain.acceptance(paid) == Accepted(tested=True)
        txin = paid.inputs[0]
        for wrong in (
            replace(txin, witness=(bytes(72), txin.witness[1])),
            replace(txin, previous_output=UNKNOWN),
        ):
            assert isinstance(chain.acceptance(replace(paid, inputs=(wrong,))), Refused)
            verdict = chain.broadcast(replace(paid, inputs=(wrong,)))
            assert isinstance(verdict, Refused)
            assert paid.serialize().hex()[:60] not in verdict.reason
        assert [chain.broadcast(paid), chain.broadcast(paid)] == [Accepted(), Accepted()]
        wait_for(lambda: chain.spend_of(outpoint) == Spend(transaction=paid, depth=0))
        node.mine(2)
        wait_for(lambda: chain.spend_of(outpoint) == Spend(transaction=paid, depth=2))
        assert chain.broadcast(paid) == Accepted()
        assert [payment.depth for payment in chain.payments_to(TARGET)] == [2]
        first = node.rpc("getblockhash", node.rpc("getblockcount") - 1)
        node.rpc("invalidateblock", first)
        node.mine(3)
        wait_for(lambda: chain.spend_of(outpoint) == Spend(transaction=paid, depth=3))
    wait_for(lambda: confirmed() == paid.outputs[1].value or confirmed() == paid.outputs[0].value)


def test_another_network_and_another_certificate_are_refused(node, server):
    with (
        ElectrumChain(server, Network.MAINNET) as chain,
        pytest.raises(ChainError, match="not on mainnet"),
    ):
        chain.height()
    with (
        ElectrumChain(server.url, Network.REGTEST) as chain,
        pytest.raises(ChainError, match="`chain_certificate`"),
    ):
        chain.height()
