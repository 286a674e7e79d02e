"""The wallet of a Bitcoin Core node keeps what every wallet must; needs a node."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.live_core.bitcoind import Bitcoind

from dovetail.bitcoin import OutPoint, Sats, Script
from dovetail.testing.wallet_contract import WalletContract
from dovetail.wallets.core.chain import CoreChain
from dovetail.wallets.core.wallet import CoreWallet


@dataclass
class OnCore:
    """A wallet of a node, and the node's chain."""

    wallet: CoreWallet
    chain: CoreChain
    node: Bitcoind
    stranger: Script

    def fund(self, amount: Sats, *, confirmed: bool = True) -> OutPoint:
        address = str(self.wallet.new_address())
        return self.node.fund(address, int(amount), blocks=int(confirmed))

    def go_away(self) -> None:
        self.node.stop()


class TestCore(WalletContract):
    @pytest.fixture
    def scene(self, start: Callable[..., Bitcoind], tmp_path: Path) -> Iterator[OnCore]:
        bitcoind = start()
        bitcoind.make_wallet("w")
        bitcoind.make_wallet("stranger")
        bitcoind.mine(110)
        node, other = bitcoind.node("w"), bitcoind.node("stranger")
        stranger = CoreWallet(other, tmp_path / "stranger").new_address().script_pubkey
        yield OnCore(
            CoreWallet(node, tmp_path),
            CoreChain(node, memory=tmp_path / "memory"),
            bitcoind,
            stranger,
        )
        node.close()
        other.close()
