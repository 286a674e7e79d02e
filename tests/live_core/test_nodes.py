"""Nodes that are not as they should be: what is said, and that sound ones of every kind will do."""

from collections.abc import Callable

import pytest
from tests.live_core.bitcoind import Bitcoind
from tests.wallets.signing import sign_all

from dovetail.bitcoin import (
    Address,
    FeeRate,
    Network,
    OutPoint,
    Psbt,
    Sats,
    Transaction,
    Txid,
    TxIn,
    TxOut,
)
from dovetail.errors import ChainError, ConfigurationError
from dovetail.wallets.core.blocks import SearchState
from dovetail.wallets.core.chain import CoreChain
from dovetail.wallets.core.node import CoreNode
from dovetail.wallets.core.rpc import CookieFile, UserPassword
from dovetail.wallets.core.wallet import CoreWallet
from dovetail.wallets.ports import Accepted

Start = Callable[..., Bitcoind]
RATE = FeeRate.from_sat_per_vb(2)


def test_a_node_that_still_syncs_is_waited_for(start: Start) -> None:
    bitcoind = start()
    bitcoind.make_wallet("w")
    node = bitcoind.node("w")
    with pytest.raises(ChainError, match="`core_url` names is still syncing"):
        node.ask("getblockcount", int)
    bitcoind.mine()
    assert node.ask("getblockcount", int) == 1
    node.close()


def test_wrong_logins_wallets_and_networks_are_told_by_their_settings(start: Start) -> None:
    bitcoind = start()
    bitcoind.mine()
    bitcoind.make_wallet("watching", disable_private_keys=True)
    url, cookie = bitcoind.url, CookieFile(bitcoind.cookie)

    def told(login, wallet: str, network: Network = Network.REGTEST) -> str:
        node = CoreNode(url, login, wallet=wallet, network=network)
        with pytest.raises(ConfigurationError) as caught:
            node.check()
        node.close()
        return str(caught.value)

    assert "`core_password`" in told(UserPassword("a", "b"), "miner")
    assert "load it with `bitcoin-cli loadwallet`" in told(cookie, "nobody's")
    assert "has no private keys" in told(cookie, "watching")
    assert "not on signet" in told(cookie, "miner", Network.SIGNET)


def test_a_node_that_went_away_is_found_again_with_its_new_cookie(start: Start) -> None:
    bitcoind = start()
    bitcoind.mine()
    node = bitcoind.node("miner")
    assert node.ask("getblockcount", int) == 1
    bitcoind.stop()
    with pytest.raises(ChainError, match="cookie file is not there: start Bitcoin Core"):
        node.ask("getblockcount", int)
    bitcoind.start("-wallet=miner")
    assert node.ask("getblockcount", int) == 1
    node.close()


def test_locks_outlive_a_restart_of_the_node(start: Start, tmp_path) -> None:
    bitcoind = start()
    bitcoind.make_wallet("w")
    node = bitcoind.node("w")
    bitcoind.mine()
    wallet = CoreWallet(node, tmp_path)
    coin = bitcoind.fund(str(wallet.new_address()), 100_000)
    wallet.hold(lambda: [coin])
    bitcoind.stop()
    bitcoind.start("-wallet=w")
    assert bitcoind.locked("w") == {coin}
    wallet.hold(list)
    assert bitcoind.locked("w") == set()
    node.close()


def foreign_spend(bitcoind: Bitcoind, sats: int) -> tuple[OutPoint, str]:
    """A coin of another wallet, and the transaction in the mempool that spends it."""
    coin = bitcoind.fund(bitcoind.rpc("getnewaddress", wallet="other"), sats)
    there = bitcoind.rpc("getnewaddress", wallet="miner")
    spend = {"inputs": [{"txid": str(coin.txid), "vout": coin.vout}]}
    told = bitcoind.rpc("send", outputs=[{there: "0.0001"}], options=spend, wallet="other")
    return coin, told["txid"]


def test_a_pruned_node_will_do_and_says_where_it_does_not(start: Start, tmp_path) -> None:
    bitcoind = start("-prune=1", "-fastprune")
    for name in ("w", "other"):
        bitcoind.make_wallet(name)
    bitcoind.mine(110)
    node = bitcoind.node("w")
    wallet, chain = CoreWallet(node, tmp_path), CoreChain(node, memory=tmp_path / "memory")
    ours = bitcoind.fund(str(wallet.new_address()), 100_000)
    there = bitcoind.rpc("getnewaddress", wallet="miner")
    payment = wallet.pay(wallet.new_address().script_pubkey, Sats(40_000), fee_rate=RATE).extract()
    near, far = foreign_spend(bitcoind, 200_000), foreign_spend(bitcoind, 300_000)
    assert chain.spend_of(far[0]) is not None
    assert chain.broadcast(payment) == Accepted()
    bitcoind.mine()
    found = chain.spend_of(near[0])
    assert found is not None
    assert str(found.transaction.txid) == near[1]

    for _ in range(6):
        bitcoind.rpc("generatetoaddress", 100, there)
    bitcoind.rpc("pruneblockchain", 420)
    found = chain.spend_of(ours)
    assert found is not None
    assert (found.transaction, found.depth) == (payment, 601)
    found = chain.spend_of(near[0])
    assert found is not None
    assert found.depth == 602
    with pytest.raises(ChainError, match=r"has pruned a block.*`prune`"):
        chain.spend_of(far[0])
    node.close()


def test_many_blocks_are_searched_in_parts(start: Start, tmp_path) -> None:
    bitcoind = start()
    for name in ("w", "other"):
        bitcoind.make_wallet(name)
    bitcoind.mine(300)
    node = bitcoind.node("w")
    chain = CoreChain(node, memory=tmp_path / "memory")
    coin, txid = foreign_spend(bitcoind, 200_000)
    bitcoind.mine(3)
    chain._blocks._remember(coin, SearchState(bitcoind.rpc("getblockhash", 1)))
    with pytest.raises(ChainError, match="still being searched"):
        chain.spend_of(coin)
    with pytest.raises(ChainError, match="still being searched"):
        chain.spend_of(coin)
    found = chain.spend_of(coin)
    assert found is not None
    assert (str(found.transaction.txid), found.depth) == (txid, 3)
    node.close()


def test_a_payment_goes_with_the_parent_that_no_mempool_has(start: Start, tmp_path) -> None:
    """A package, as the node keeps its wallet's transactions to itself."""
    bitcoind = start("-walletbroadcast=0")
    bitcoind.make_wallet("w")
    bitcoind.mine(110)
    node = bitcoind.node("w")
    wallet, chain = CoreWallet(node, tmp_path), CoreChain(node)
    miner = bitcoind.rpc("getnewaddress", wallet="miner")
    txid = bitcoind.rpc("sendtoaddress", str(wallet.new_address()), "0.001", wallet="miner")
    bitcoind.rpc("sendrawtransaction", bitcoind.rpc("gettransaction", txid, wallet="miner")["hex"])
    bitcoind.mine()
    own = str(wallet.new_address())
    parent = bitcoind.rpc("sendtoaddress", own, "0.0005", wallet="w")
    assert bitcoind.rpc("getrawmempool") == []
    outputs = bitcoind.transaction(parent, wallet="w").outputs
    vout = next(i for i, output in enumerate(outputs) if output.value == 50_000)
    child = sign_all(
        wallet,
        Psbt.from_unsigned(
            Transaction(
                version=2,
                inputs=(TxIn(OutPoint(Txid.from_hex(parent), vout)),),
                outputs=(TxOut(Sats(40_000), Address.parse(miner).script_pubkey),),
                lock_time=0,
            )
        ),
    ).extract()

    assert chain.acceptance(child) == Accepted(tested=True)
    assert chain.broadcast(child) == Accepted()
    assert set(bitcoind.rpc("getrawmempool")) == {parent, str(child.txid)}
    node.close()
