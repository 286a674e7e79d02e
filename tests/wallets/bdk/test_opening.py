"""Wallets are created, opened, imported and restored."""

import pytest

from dovetail.bitcoin import Network, Sats, ScriptType
from dovetail.crypto.entropy import SeededEntropy
from dovetail.errors import ConfigurationError, WalletError
from dovetail.wallets.bdk.wallet import BdkWallet
from dovetail.wallets.ports import Balance

KINDS = [ScriptType.P2WPKH, ScriptType.P2TR, ScriptType.P2SH, ScriptType.P2PKH]
WORDS = "abandon " * 11 + "about"


def test_a_wallet_is_opened_as_it_was_created(server, tmp_path):
    directory = tmp_path / "deep" / "wallet"
    assert not BdkWallet.exists(directory)
    created = BdkWallet.create(directory, Network.REGTEST, server=server.url)
    assert BdkWallet.exists(directory)
    opened = BdkWallet.open(directory, server=server.url, network=Network.REGTEST)
    assert opened.mnemonic() == created.mnemonic()
    assert (opened.network, opened.kind) == (Network.REGTEST, ScriptType.P2WPKH)
    assert created.new_address() != opened.new_address()


def test_a_wallet_shows_no_keys(server, tmp_path):
    wallet = BdkWallet.create(tmp_path / "wallet", Network.REGTEST, server=server.url)
    assert repr(wallet) == "<BdkWallet on regtest>"


def test_new_words_are_twelve_and_the_entropys(server, tmp_path):
    first, second, third = (
        BdkWallet.create(
            tmp_path / name, Network.REGTEST, server=server.url, entropy=SeededEntropy(seed)
        ).mnemonic()
        for name, seed in (("a", b"one"), ("b", b"one"), ("c", b"two"))
    )
    assert first == second != third
    assert first is not None
    assert len(first.split()) == 12


@pytest.mark.parametrize("kind", KINDS)
def test_addresses_have_the_type_asked_for(make_wallet, kind):
    wallet = make_wallet(kind=kind)
    assert wallet.kind is kind
    assert wallet.new_address().script_pubkey.type is kind


def test_imported_descriptors_make_a_wallet_without_words(server, make_wallet, tmp_path):
    source = make_wallet(kind=ScriptType.P2TR)
    pair = (source._secret.external, source._secret.internal)
    wallet = BdkWallet.create(
        tmp_path / "imported", Network.REGTEST, server=server.url, descriptors=pair
    )
    assert wallet.mnemonic() is None
    assert wallet.kind is ScriptType.P2TR
    assert wallet.new_address() == source.new_address()


def test_a_wallet_comes_from_one_source(server, tmp_path):
    with pytest.raises(ConfigurationError, match="give one"):
        BdkWallet.create(
            tmp_path / "wallet",
            Network.REGTEST,
            server=server.url,
            mnemonic=WORDS,
            descriptors=("", ""),
        )


def test_a_wrong_server_leaves_no_wallet_behind(tmp_path):
    with pytest.raises(ConfigurationError):
        BdkWallet.create(tmp_path / "wallet", Network.REGTEST, server="chain.example")
    assert not BdkWallet.exists(tmp_path / "wallet")


def test_a_wallet_of_another_network_is_refused(server, make_wallet, tmp_path):
    make_wallet()
    with pytest.raises(ConfigurationError, match="regtest, not on signet"):
        BdkWallet.open(tmp_path / "wallet", server=server.url, network=Network.SIGNET)


def test_a_wallet_from_known_words_finds_its_coins(server, make_wallet, tmp_path):
    before = make_wallet(50_000, 70_000)
    restored = BdkWallet.create(
        tmp_path / "restored", Network.REGTEST, server=server.url, mnemonic=before.mnemonic()
    )
    assert restored.balance() == Balance(confirmed=Sats(0), unconfirmed=Sats(0))
    restored.sync()
    assert restored.balance().confirmed == 120_000
    assert before.new_address() == restored.new_address()


def test_lost_data_are_restored_from_the_chain(server, make_wallet, tmp_path):
    make_wallet(50_000)
    (tmp_path / "wallet" / "wallet.sqlite").unlink()
    wallet = BdkWallet.open(tmp_path / "wallet", server=server.url)
    wallet.sync()
    assert wallet.balance().confirmed == 50_000


def test_damaged_data_are_told_without_quoting_keys(server, make_wallet, tmp_path):
    make_wallet()
    other = make_wallet(name="other")
    data = tmp_path / "wallet" / "wallet.sqlite"
    for damage in (b"no database" * 1000, (tmp_path / "other" / "wallet.sqlite").read_bytes()):
        data.write_bytes(damage)
        with pytest.raises(WalletError, match="damaged") as caught:
            BdkWallet.open(tmp_path / "wallet", server=server.url)
        assert caught.value.__cause__ is None
    assert other.balance() == Balance(confirmed=Sats(0), unconfirmed=Sats(0))


def test_data_that_cannot_be_stored_are_told(server, make_wallet, tmp_path):
    wallet = make_wallet()
    (tmp_path / "wallet" / "wallet.sqlite").unlink()
    (tmp_path / "wallet" / "wallet.sqlite").mkdir()
    with pytest.raises(WalletError, match="cannot be stored"):
        wallet.new_address()
