"""Our wallet and the tests' own keep what every wallet must."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from tests.support.chain import NodeChain
from tests.support.wallet import NodeWallet

from dovetail.bitcoin import Network, OutPoint, Sats, Script, ScriptType
from dovetail.regtest import RegtestNode, RegtestServer
from dovetail.testing.wallet_contract import WalletContract
from dovetail.wallets.bdk.wallet import BdkWallet
from dovetail.wallets.esplora.chain import EsploraChain
from dovetail.wallets.ports import Chain, Wallet

STRANGER = Script(b"\x00\x14" + b"\x11" * 20)


@dataclass
class OnNode:
    """A wallet on the chain of a node in this process."""

    wallet: Wallet
    chain: Chain
    node: RegtestNode
    go_away: Callable[[], None]
    stranger: Script = STRANGER

    def fund(self, amount: Sats, *, confirmed: bool = True) -> OutPoint:
        script = self.wallet.new_address().script_pubkey
        return self.node.fund(script, amount, confirmations=int(confirmed))


class TestBdk(WalletContract):
    @pytest.fixture(
        params=[ScriptType.P2WPKH, ScriptType.P2TR, ScriptType.P2SH, ScriptType.P2PKH],
        ids=lambda kind: kind.name,
    )
    def scene(self, request: pytest.FixtureRequest, tmp_path) -> Iterator[OnNode]:
        with RegtestServer() as server, EsploraChain(server.url, Network.REGTEST) as chain:
            wallet = BdkWallet.create(
                tmp_path / "wallet", Network.REGTEST, server=server.url, kind=request.param
            )
            yield OnNode(wallet, chain, server.node, go_away=server.close)


class TestOnKeys(WalletContract):
    @pytest.fixture
    def scene(self) -> Iterator[OnNode]:
        with RegtestNode() as node:
            node.mine(110)
            wallet = NodeWallet("a wallet of the tests", node)

            def go_away() -> None:
                wallet.away = True

            yield OnNode(wallet, NodeChain(node), node, go_away=go_away)
