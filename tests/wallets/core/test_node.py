import pytest
from tests.wallets.scripted_node import SOUND, Refusal, SayingNode, node
from tests.wallets.taped_node import Stage

from dovetail.bitcoin import Network, Script, Txid
from dovetail.errors import ChainError, ConfigurationError
from dovetail.wallets.core.node import CoreNode, parsed, txid_of
from dovetail.wallets.core.rpc import RpcError, UserPassword


def test_a_node_that_will_do_is_looked_at_once() -> None:
    web = SayingNode(getblockcount=7)
    login = UserPassword("user", "password")
    found = CoreNode(
        "http://127.0.0.1:18443", login, wallet="w", network=Network.REGTEST, carrier=web
    )
    assert [found.ask("getblockcount", int) for _ in range(2)] == [7, 7]
    assert web.asked == [*SOUND, "getblockcount", "getblockcount"]
    assert repr(found) == "<CoreNode on regtest>"
    found.close()


@pytest.mark.parametrize(
    ("kind", "sentence", "says"),
    [
        (
            ConfigurationError,
            "`core_url` names is older than Bitcoin Core 25",
            {"getnetworkinfo": {"version": 240_200}},
        ),
        (
            ConfigurationError,
            r"`core_url` names is not on regtest: correct `network`",
            {"getblockchaininfo": {"chain": "main", "initialblockdownload": False}},
        ),
        (
            ChainError,
            "`core_url` names is still syncing",
            {"getblockchaininfo": {"chain": "regtest", "initialblockdownload": True}},
        ),
        (
            ConfigurationError,
            r"`core_wallet` names is of the old kind.*migratewallet",
            {"getwalletinfo": SOUND["getwalletinfo"] | {"descriptors": False}},
        ),
        (
            ConfigurationError,
            "`core_wallet` names has no private keys",
            {"getwalletinfo": SOUND["getwalletinfo"] | {"private_keys_enabled": False}},
        ),
        (
            ChainError,
            "`core_wallet` names is still scanning",
            {"getwalletinfo": SOUND["getwalletinfo"] | {"scanning": {"progress": 0.5}}},
        ),
        (ConfigurationError, "`core_wallet`", {"getwalletinfo": Refusal(-18)}),
        (ChainError, "refused a request", {"getwalletinfo": Refusal(-1)}),
    ],
)
def test_a_node_that_will_not_do_says_what_to_change(kind, sentence, says) -> None:
    with pytest.raises(kind, match=sentence):
        node(**says, getblockcount=7).ask("getblockcount", int)


@pytest.mark.parametrize("chain", ["test", "testnet4"])
def test_testnet_is_either_of_the_two(chain: str) -> None:
    says = {"getblockchaininfo": {"chain": chain, "initialblockdownload": False}}
    node(Network.TESTNET, **says).check()


def test_a_node_without_the_wallet_is_told(stage: Stage) -> None:
    stage.node.check()
    stage.rpc("unloadwallet")
    with pytest.raises(ConfigurationError, match=r"`core_wallet` names.*loadwallet"):
        stage.wallet.balance()


def test_a_transaction_or_address_that_is_not_there_is_none_of_the_wallets() -> None:
    txid = Txid(bytes(32))
    assert node(gettransaction=Refusal(-5)).transactions([txid, txid]) == {}
    script = Script(b"\x52\x02\x11\x11")  # a witness version that a node may not know
    assert node(getaddressinfo=Refusal(-5)).owned([script]) == frozenset()


def test_other_troubles_of_the_node_are_passed_on() -> None:
    with pytest.raises(RpcError):
        node(gettransaction=Refusal(-1)).transactions([Txid(bytes(32))])
    with pytest.raises(RpcError):
        node(getaddressinfo=Refusal(-1)).owned([Script(b"\x00\x14" + bytes(20))])


def test_what_is_no_transaction_or_txid_is_not_understood() -> None:
    for broken in ("", "xyz", "00"):
        with pytest.raises(ChainError, match="not what a Bitcoin Core node gives"):
            parsed(broken)
        with pytest.raises(ChainError, match="not what a Bitcoin Core node gives"):
            txid_of(broken)
