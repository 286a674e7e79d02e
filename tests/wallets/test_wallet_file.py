import errno
import os
import sqlite3
import stat
import threading

import msgspec
import pytest

from dovetail.bitcoin import Network
from dovetail.errors import ConfigurationError, WalletError, WrongPassphrase
from dovetail.wallets import encryption, wallet_file
from dovetail.wallets.encryption import Cost
from dovetail.wallets.wallet_file import (
    Locked,
    Secret,
    change_counter,
    data_path,
    exclusive,
    has_wallet,
    locked,
    read_secret,
    replace_secret,
    write_secret,
)

SECRET = Secret(
    network=Network.REGTEST, kind="P2WPKH", mnemonic="word " * 12, external="one", internal="two"
)


def test_a_secret_is_read_as_it_was_written(tmp_path):
    assert not has_wallet(tmp_path / "wallet")
    write_secret(tmp_path / "wallet", SECRET)
    assert has_wallet(tmp_path / "wallet")
    assert read_secret(tmp_path / "wallet") == SECRET


def test_only_the_owner_can_read_the_files(tmp_path):
    directory = tmp_path / "wallet"
    write_secret(directory, SECRET)
    data_path(directory)
    with exclusive(directory):
        pass
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert modes == dict.fromkeys(("wallet.json", "wallet.sqlite", "wallet.lock"), 0o600)


def test_a_secret_shows_nothing_of_itself():
    assert repr(SECRET) == "<Secret of a wallet on regtest>"


def test_a_wallet_is_never_overwritten(tmp_path):
    write_secret(tmp_path, SECRET)
    before = (tmp_path / "wallet.json").read_bytes()
    with pytest.raises(ConfigurationError, match="already"):
        write_secret(tmp_path, SECRET)
    assert (tmp_path / "wallet.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["wallet.json"]


def test_data_without_a_secret_belong_to_another_wallet(tmp_path):
    data_path(tmp_path)
    with pytest.raises(ConfigurationError, match="already"):
        write_secret(tmp_path, SECRET)


def test_a_directory_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "wallet").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_secret(tmp_path / "wallet", SECRET)
    with pytest.raises(WalletError, match="cannot be read"):
        read_secret(tmp_path / "wallet")


def test_a_missing_wallet_says_what_to_do(tmp_path):
    with pytest.raises(ConfigurationError, match="create one"):
        read_secret(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"\xff",
        b"[" * 60_000,
        b'{"version":2}',
        b'{"version":3}',
        b'{"version":1}',
        b'{"surprise":"secret"}',
    ],
)
def test_a_damaged_secret_is_not_quoted(tmp_path, data):
    (tmp_path / "wallet.json").write_bytes(data)
    with pytest.raises(WalletError, match="damaged") as caught:
        read_secret(tmp_path)
    assert caught.value.__cause__ is None


def test_a_directory_that_cannot_be_synced_is_good_enough(tmp_path, monkeypatch):
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "no such call for folders")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_secret(tmp_path, SECRET)
    assert read_secret(tmp_path) == SECRET


def test_the_change_counter_follows_every_write(tmp_path):
    assert change_counter(tmp_path) == b""
    path = data_path(tmp_path)
    assert change_counter(tmp_path) == b""
    seen = set()
    for statement in ("CREATE TABLE t (x)", "INSERT INTO t VALUES (1)"):
        database = sqlite3.connect(path)
        with database:
            database.execute(statement)
        database.close()
        seen.add(change_counter(tmp_path))
    assert len(seen) == 2


def test_the_lock_keeps_others_out_until_it_is_let_go(tmp_path, monkeypatch):
    monkeypatch.setattr(wallet_file, "_LOCK_SECONDS", 0.01)
    with (
        exclusive(tmp_path),
        pytest.raises(WalletError, match="Another process"),
        exclusive(tmp_path),
    ):
        pass
    with exclusive(tmp_path):
        pass


def test_the_lock_waits_its_turn(tmp_path):
    inside = threading.Event()
    order = []

    def first():
        with exclusive(tmp_path):
            inside.set()
            order.append("first")

    thread = threading.Thread(target=first)
    with exclusive(tmp_path):
        thread.start()
        assert not inside.wait(0.05)
        order.append("second")
    thread.join()
    assert order == ["second", "first"]


def test_a_block_that_fails_lets_go_of_the_lock(tmp_path):
    with pytest.raises(KeyError), exclusive(tmp_path):
        raise KeyError
    with exclusive(tmp_path):
        pass


def test_a_directory_that_is_gone_cannot_be_locked(tmp_path):
    with (
        pytest.raises(WalletError, match="cannot be locked"),
        exclusive(tmp_path / "gone"),
    ):
        pass


PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def _cheap(monkeypatch):
    monkeypatch.setattr(encryption, "COST", Cost(n=2**10))


@pytest.mark.usefixtures("_cheap")
def test_a_locked_wallet_keeps_no_secret_in_the_open(tmp_path):
    write_secret(tmp_path, locked(SECRET, ("out", "in"), PASSPHRASE))
    found = read_secret(tmp_path)
    assert isinstance(found, Locked)
    assert (found.network, found.kind, found.external, found.internal) == (
        Network.REGTEST,
        "P2WPKH",
        "out",
        "in",
    )
    data = (tmp_path / "wallet.json").read_bytes()
    assert not any(each in data for each in (b"word ", b'"one"', b'"two"', PASSPHRASE.encode()))
    assert found.unlocked(PASSPHRASE) == SECRET
    assert repr(found) == "<Locked wallet on regtest>"


@pytest.mark.usefixtures("_cheap")
@pytest.mark.parametrize(
    "change", [{"external": "theirs"}, {"internal": "theirs"}, {"kind": "P2TR"}]
)
def test_what_lies_open_is_authenticated(change):
    found = locked(SECRET, ("out", "in"), PASSPHRASE)
    with pytest.raises(WrongPassphrase):
        msgspec.structs.replace(found, **change).unlocked(PASSPHRASE)


@pytest.mark.usefixtures("_cheap")
def test_what_is_sealed_is_a_secret():
    found = locked(SECRET, ("out", "in"), PASSPHRASE)
    box = encryption.encrypt(b"{}", PASSPHRASE, found._bound())
    with pytest.raises(WalletError, match="damaged") as caught:
        msgspec.structs.replace(found, sealed=box).unlocked(PASSPHRASE)
    assert caught.value.__cause__ is None


@pytest.mark.usefixtures("_cheap")
def test_a_secret_is_replaced_at_once(tmp_path):
    write_secret(tmp_path, SECRET)
    stored = locked(SECRET, ("out", "in"), PASSPHRASE)
    replace_secret(tmp_path, SECRET, stored)
    assert read_secret(tmp_path) == stored
    assert stat.S_IMODE((tmp_path / "wallet.json").stat().st_mode) == 0o600
    with pytest.raises(WalletError, match="Another process changed"):
        replace_secret(tmp_path, SECRET, SECRET)
    assert read_secret(tmp_path) == stored


@pytest.mark.usefixtures("_cheap")
def test_a_disk_that_refuses_leaves_the_secret_as_it_was(tmp_path, monkeypatch):
    write_secret(tmp_path, SECRET)

    def fsync(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(WalletError, match="is unchanged"):
        replace_secret(tmp_path, SECRET, locked(SECRET, ("out", "in"), PASSPHRASE))
    assert read_secret(tmp_path) == SECRET
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wallet.json", "wallet.lock"]
