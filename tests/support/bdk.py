"""BDK wallets with coins on a regtest chain."""

from pathlib import Path
from typing import Any

from dovetail.bitcoin import Network, Sats
from dovetail.regtest import RegtestServer
from dovetail.wallets.bdk.wallet import BdkWallet


def bdk_wallet(folder: Path, regtest: RegtestServer, *values: int, **options: Any) -> BdkWallet:
    """A new wallet with one confirmed coin of each value; `options` are those of `create`."""
    chosen = {"server": regtest.url} | options
    wallet = BdkWallet.create(folder, Network.REGTEST, **chosen)
    for value in values:
        regtest.node.fund(wallet.new_address().script_pubkey, Sats(value))
    wallet.sync()
    return wallet
