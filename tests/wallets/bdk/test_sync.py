import threading

import pytest
from tests.support.certificates import make_certificate

from dovetail.bitcoin import FeeRate, Network, Sats, Script
from dovetail.errors import ChainError
from dovetail.regtest.electrum_server import ElectrumServer
from dovetail.wallets.bdk import sync
from dovetail.wallets.bdk.wallet import BdkWallet
from dovetail.wallets.electrum import bridge, rpc
from dovetail.wallets.electrum.chain import ElectrumChain
from dovetail.wallets.ports import Accepted, Balance
from dovetail.wallets.server_url import ChainServer

RATE = FeeRate.from_sat_per_vb(2)
TARGET = Script(b"\x00\x14" + bytes(20))
UNDERSTOOD = "did not answer properly"


@pytest.fixture
def wallet(server, electrum, tmp_path):
    """A wallet with 40,000 sats, synced over Electrum."""
    made = BdkWallet.create(tmp_path / "electrum", Network.REGTEST, server=electrum.url)
    server.node.fund(made.new_address().script_pubkey, Sats(40_000))
    made.sync()
    return made


def at(wallet: BdkWallet, server: ChainServer | str) -> BdkWallet:
    """The same wallet on another server."""
    return BdkWallet.open(wallet._directory, server=server)


def test_a_wallet_learns_the_same_from_either_kind_of_server(server, wallet):
    assert wallet.balance().confirmed == 40_000
    other = at(wallet, server.url)
    server.node.fund(wallet.new_address().script_pubkey, Sats(2_000))
    other.sync()
    assert other.balance().confirmed == 42_000
    wallet.sync()
    assert wallet.balance().confirmed == 42_000


def test_a_restored_wallet_finds_its_coins(electrum, wallet, tmp_path):
    words = wallet.mnemonic()
    again = BdkWallet.create(
        tmp_path / "again", Network.REGTEST, server=electrum.url, mnemonic=words
    )
    again.sync()
    assert again.balance() == wallet.balance()


def test_a_payment_is_paid_and_taken_back(server, electrum, wallet):
    with ElectrumChain(electrum.url, Network.REGTEST) as chain:
        paid = wallet.pay(TARGET, Sats(30_000), fee_rate=RATE).extract()
        assert chain.broadcast(paid) == Accepted()
        wallet.sync()
        # What it replaces pays is known only with the outputs that it spends.
        revoked = wallet.revoke(paid.inputs[0].previous_output, fee_rate=RATE)
        assert chain.broadcast(revoked) == Accepted()
    assert not server.node.in_mempool(paid.txid)
    server.node.mine()
    wallet.sync()
    assert wallet.balance().confirmed == revoked.outputs[0].value


def test_a_reorganisation_is_followed(server, wallet):
    server.node.reorg(1)
    wallet.sync()
    assert wallet.balance() == Balance(confirmed=Sats(0), unconfirmed=Sats(40_000))
    server.node.mine()
    wallet.sync()
    assert wallet.balance().confirmed == 40_000


def test_a_wallet_syncs_over_tls_with_a_pinned_certificate(server, wallet, tmp_path):
    certificate = make_certificate(tmp_path)
    with ElectrumServer(server.node, tls=certificate.server()) as secured:
        server.node.fund(wallet.new_address().script_pubkey, Sats(1_000))
        pinning = at(wallet, ChainServer(secured.url, certificate.cert))
        pinning.sync()
        assert pinning.balance().confirmed == 41_000
        with pytest.raises(ChainError, match="`chain_certificate`"):
            at(wallet, secured.url).sync()


def test_a_server_of_another_network_is_refused(electrum, tmp_path):
    wallet = BdkWallet.create(tmp_path / "wallet", Network.SIGNET, server=electrum.url)
    with pytest.raises(ChainError, match="not on signet; set `chain` to one that is"):
        wallet.sync()


def test_our_first_blocks_are_those_of_the_wallets_own_networks(scripted_electrum, tmp_path):
    for network in Network:
        wallet = BdkWallet.create(tmp_path / network, network, server=scripted_electrum.url)
        assert str(wallet._core.checkpoints()[0].hash) in rpc._GENESIS[network]


def test_a_server_that_is_gone_is_told_without_its_address(wallet):
    with pytest.raises(
        ChainError, match=r"no connection to the chain server.*: check `chain`"
    ) as caught:
        at(wallet, "tcp://127.0.0.1:1").sync()
    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "raw"),
    [
        ("blockchain.scripthash.get_history", b""),
        ("blockchain.scripthash.get_history", b"garbage\n"),
        ("blockchain.scripthash.get_history", b"\xff\x00\n"),
        ("blockchain.headers.subscribe", b'{"id":1,"result":{"height":-5,"hex":"00"}}\n'),
        ("blockchain.block.headers", b'{"id":2,"result":{"count":9,"hex":"00","max":1}}\n'),
        ("blockchain.transaction.get", b'{"id":4,"result":"00"}\n'),
        ("server.version", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ],
)
def test_any_answer_keeps_what_was_known(server, scripted_electrum, wallet, method, raw):
    server.node.fund(wallet.new_address().script_pubkey, Sats(1_000))
    scripted_electrum.raw[method] = raw
    before = wallet.balance()
    hostile = at(wallet, scripted_electrum.url)
    with pytest.raises(ChainError, match=UNDERSTOOD):
        hostile.sync()
    assert hostile.balance() == before
    scripted_electrum.raw.clear()
    hostile.sync()
    assert hostile.balance().confirmed == 41_000


def test_a_refusal_keeps_what_was_known(scripted_electrum, wallet):
    scripted_electrum.errors["blockchain.scripthash.get_history"] = {"code": 1, "message": "busy"}
    with pytest.raises(ChainError, match=UNDERSTOOD):
        at(wallet, scripted_electrum.url).sync()


def test_a_server_that_stalls_is_given_up(scripted_electrum, wallet, monkeypatch):
    monkeypatch.setattr(sync, "_TIMEOUT_SECONDS", 1)
    scripted_electrum.stalls = True
    with pytest.raises(ChainError):
        at(wallet, scripted_electrum.url).sync()


def test_a_line_without_end_is_cut_off(scripted_electrum, wallet, monkeypatch):
    monkeypatch.setattr(bridge, "_MAX_LINE", 1000)
    scripted_electrum.raw["blockchain.scripthash.get_history"] = b"[" * 2000
    with pytest.raises(ChainError, match=UNDERSTOOD):
        at(wallet, scripted_electrum.url).sync()


def test_no_thread_outlives_a_sync(wallet, scripted_electrum):
    with pytest.raises(ChainError):
        at(wallet, "tcp://127.0.0.1:1").sync()
    scripted_electrum.raw["server.version"] = b""
    with pytest.raises(ChainError):
        at(wallet, scripted_electrum.url).sync()
    assert "dovetail-bridge" not in {thread.name for thread in threading.enumerate()}
