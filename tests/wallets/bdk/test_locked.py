import msgspec
import pytest

from dovetail.bitcoin import FeeRate, Network, Sats, Script, ScriptType
from dovetail.errors import UsageError, WalletError, WalletLocked, WrongPassphrase
from dovetail.wallets import encryption
from dovetail.wallets.bdk.wallet import BdkWallet
from dovetail.wallets.encryption import Cost

PASSPHRASE = "correct horse battery staple"
RATE = FeeRate.from_sat_per_vb(2)
TARGET = Script(b"\x00\x14" + bytes(20))
KINDS = [ScriptType.P2WPKH, ScriptType.P2TR, ScriptType.P2SH, ScriptType.P2PKH]


@pytest.fixture(autouse=True)
def _cheap(monkeypatch):
    monkeypatch.setattr(encryption, "COST", Cost(n=2**10))


@pytest.fixture
def made(server, tmp_path):
    """A wallet with a passphrase; what `create` gave, and a way to open it anew."""

    def make(kind=ScriptType.P2WPKH, **arguments):
        folder = tmp_path / kind.name
        wallet = BdkWallet.create(
            folder,
            Network.REGTEST,
            server=server.url,
            kind=kind,
            passphrase=PASSPHRASE,
            **arguments,
        )
        return wallet, lambda: BdkWallet.open(folder, server=server.url)

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_a_locked_wallet_looks_and_an_unlocked_one_signs(made, server, kind):
    created, opened = made(kind)
    assert created.encrypted
    assert not created.locked
    server.node.fund(created.new_address().script_pubkey, Sats(100_000))
    wallet = opened()
    assert wallet.locked
    assert (wallet.network, wallet.kind) == (Network.REGTEST, kind)
    wallet.sync()
    assert wallet.balance().confirmed == 100_000
    [coin] = wallet.coins()
    assert wallet.owned([coin.utxo.script_pubkey])
    assert wallet.new_address().script_pubkey.type is kind
    for signing in (
        lambda: wallet.pay(TARGET, Sats(50_000), fee_rate=RATE),
        lambda: wallet.revoke(coin.outpoint, fee_rate=RATE),
        wallet.mnemonic,
        lambda: wallet.change_passphrase(None),
    ):
        with pytest.raises(WalletLocked, match="unlock"):
            signing()
    wallet.unlock(PASSPHRASE)
    assert not wallet.locked
    assert wallet.encrypted
    assert wallet.mnemonic() == created.mnemonic()
    psbt = wallet.pay(TARGET, Sats(50_000), fee_rate=RATE)
    assert psbt.is_finalized
    with pytest.raises(WalletLocked):
        opened().sign(psbt, inputs=[coin.outpoint])


def test_keys_lie_open_in_none_of_the_files(made, tmp_path):
    wallet, _ = made()
    secret = wallet.secret()
    key = secret.external.split("]")[-1].split("/")[0].removeprefix("wpkh(")
    assert key.startswith("tprv")
    for path in (tmp_path / "P2WPKH").iterdir():
        data = path.read_bytes()
        for part in (secret.mnemonic, key, PASSPHRASE):
            assert part.encode() not in data


def test_a_wrong_passphrase_leaves_it_locked(made):
    _, opened = made()
    wallet = opened()
    with pytest.raises(WrongPassphrase):
        wallet.unlock("correct horse battery")
    assert wallet.locked
    wallet.unlock(PASSPHRASE)
    wallet.unlock("whatever: it is open")
    assert not wallet.locked


def test_a_passphrase_is_set_changed_and_removed(server, tmp_path):
    folder = tmp_path / "wallet"
    wallet = BdkWallet.create(folder, Network.REGTEST, server=server.url)
    words, first = wallet.mnemonic(), wallet.new_address()
    assert not wallet.encrypted
    wallet.change_passphrase(PASSPHRASE)
    assert BdkWallet.open(folder, server=server.url).encrypted
    wallet.change_passphrase("another long one")
    opened = BdkWallet.open(folder, server=server.url)
    with pytest.raises(WrongPassphrase):
        opened.unlock(PASSPHRASE)
    opened.unlock("another long one")
    assert opened.mnemonic() == words
    assert opened.new_address() != first
    opened.change_passphrase(None)
    assert not BdkWallet.open(folder, server=server.url).encrypted
    with pytest.raises(WalletError, match="Another process"):
        wallet.change_passphrase(PASSPHRASE)


def test_a_passphrase_that_is_too_short_makes_no_wallet(server, tmp_path):
    folder = tmp_path / "wallet"
    with pytest.raises(UsageError, match="8 to 1024"):
        BdkWallet.create(folder, Network.REGTEST, server=server.url, passphrase="short")
    assert not BdkWallet.exists(folder)


def test_descriptors_are_locked_too(server, made, tmp_path):
    secret = BdkWallet.create(tmp_path / "source", Network.REGTEST, server=server.url).secret()
    _, opened = made(descriptors=(secret.external, secret.internal))
    wallet = opened()
    wallet.unlock(PASSPHRASE)
    assert wallet.secret() == msgspec.structs.replace(secret, mnemonic=None)
