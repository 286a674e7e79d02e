import msgspec
import pytest

from dovetail.bitcoin import Network, UnixTime
from dovetail.errors import ParseError, WrongPassphrase
from dovetail.wallets import encryption
from dovetail.wallets.backups import Backup, ClosedBackup, serialize_backup
from dovetail.wallets.encryption import Cost, encrypt
from dovetail.wallets.wallet_file import Secret

PASSPHRASE = "correct horse battery staple"
SECRET = Secret(
    network=Network.REGTEST, kind="P2WPKH", mnemonic="word " * 12, external="one", internal="two"
)
BACKUP = Backup(secret=SECRET, revealed=(7, -1), made_at=UnixTime(1_700_000_000), sessions=b"log\n")


@pytest.fixture(autouse=True)
def _cheap(monkeypatch):
    monkeypatch.setattr(encryption, "COST", Cost(n=2**10))


def test_a_backup_is_read_as_it_was_written():
    data = serialize_backup(BACKUP, PASSPHRASE)
    assert not any(each in data for each in (b"word", b"log", b"one", b"P2WPKH"))
    closed = ClosedBackup(data)
    assert closed.network is Network.REGTEST
    assert closed.decrypt(PASSPHRASE) == BACKUP
    assert repr(BACKUP) == "<Backup>"


def test_another_passphrase_does_not_open_it():
    with pytest.raises(WrongPassphrase):
        ClosedBackup(serialize_backup(BACKUP, PASSPHRASE)).decrypt("another passphrase")


def test_a_backup_of_another_network_is_not_taken_for_one_of_this():
    data = serialize_backup(BACKUP, PASSPHRASE).replace(b'"regtest"', b'"mainnet"')
    with pytest.raises(WrongPassphrase):
        ClosedBackup(data).decrypt(PASSPHRASE)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"{}", b"[" * 60_000, serialize_backup(BACKUP, PASSPHRASE)[:-10]],
    ids=["empty", "no-text", "nothing", "deep", "cut"],
)
def test_what_is_no_backup_is_not_quoted(data):
    with pytest.raises(ParseError, match="not a wallet backup") as caught:
        ClosedBackup(data)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "plain",
    [
        b"{}",
        msgspec.json.encode(msgspec.structs.replace(BACKUP, revealed=(2**31, 0))),
        msgspec.json.encode(
            msgspec.structs.replace(
                BACKUP, secret=msgspec.structs.replace(SECRET, network=Network.MAINNET)
            )
        ),
    ],
)
def test_what_no_backup_holds_is_refused(plain):
    box = encrypt(plain, PASSPHRASE, b"dovetail backup 1\nregtest")
    data = msgspec.json.encode({"dovetail_backup": 1, "network": "regtest", "sealed": box})
    with pytest.raises(ParseError, match="not a wallet backup"):
        ClosedBackup(data).decrypt(PASSPHRASE)
