import sys

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import KeyringLocked
from tests.cli.in_process import PASSPHRASE

PLACE = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
OTHER = "an other passphrase"


class Drawer(KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class Closed(Drawer):
    """A keyring that its owner does not open."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked(service, username)

    def set_password(self, service: str, username: str, password: str) -> None:
        raise KeyringLocked(service, username, len(password))


@pytest.fixture
def drawer():
    """The keyring of this system, empty."""
    former, drawer = keyring.get_keyring(), Drawer()
    keyring.set_keyring(drawer)
    yield drawer
    keyring.set_keyring(former)


@pytest.fixture
def alice(person, file):
    """A person with a passphrase and some coins."""
    alice = person("alice", 100_000)
    alice("wallet", "passphrase", "--new-passphrase-file", file)
    return alice


def pay(alice, *options: str):
    return alice("pay", PLACE, "50000", "--yes", "--no-wait", *options)


def test_what_the_keyring_keeps_unlocks_the_wallet(alice, file, drawer: Drawer):
    kept = alice("wallet", "keyring", "--passphrase-file", file, "--json")
    assert kept.json == {"kept": True}
    assert "with --passphrase-keyring" in kept.err
    assert PASSPHRASE not in kept.err
    assert list(drawer.kept.values()) == [PASSPHRASE]
    assert "The wallet is locked" in pay(alice).err
    assert pay(alice, "--passphrase-keyring").code == 0


def test_each_wallet_has_its_own_place_in_the_keyring(alice, person, file, drawer: Drawer):
    bob = person("bob", 100_000)
    bob("wallet", "passphrase", "--new-passphrase-file", file)
    alice("wallet", "keyring", "--passphrase-file", file)
    bob("wallet", "keyring", "--passphrase-file", file)
    assert len(drawer.kept) == 2


def test_the_setting_does_the_same_and_is_not_advised_again(alice, file, drawer: Drawer):
    alice.settings["passphrase_keyring"] = "true"
    said = alice("wallet", "keyring", "--passphrase-file", file)
    assert "keeps the passphrase now" in said.err
    assert "--passphrase-keyring" not in said.err
    assert pay(alice).code == 0


def test_a_file_goes_before_the_keyring(alice, file, drawer: Drawer):
    assert pay(alice, "--passphrase-keyring", "--passphrase-file", file).code == 0


def test_an_empty_keyring_says_how_to_fill_it(alice, drawer: Drawer):
    said = pay(alice, "--passphrase-keyring")
    assert said.code == 2
    assert "run `dovetail wallet keyring`" in said.err


def test_another_passphrase_in_the_keyring_is_named_as_the_cause(alice, file, drawer: Drawer):
    alice("wallet", "keyring", "--passphrase-file", file)
    drawer.kept = dict.fromkeys(drawer.kept, OTHER)
    said = pay(alice, "--passphrase-keyring")
    assert said.code == 1
    assert "another passphrase" in said.err


def test_a_wrong_passphrase_is_not_kept(alice, tmp_path, drawer: Drawer):
    wrong = tmp_path / "wrong"
    wrong.write_text(OTHER)
    said = alice("wallet", "keyring", "--passphrase-file", str(wrong))
    assert said.code == 1
    assert drawer.kept == {}


def test_a_new_passphrase_takes_the_place_of_the_former(alice, file, tmp_path, drawer: Drawer):
    alice.settings["passphrase_keyring"] = "true"
    alice("wallet", "keyring", "--passphrase-file", file)
    other = tmp_path / "other"
    other.write_text(OTHER)
    assert alice("wallet", "passphrase", "--new-passphrase-file", str(other)).code == 0
    assert list(drawer.kept.values()) == [OTHER]
    assert pay(alice).code == 0


def test_a_passphrase_that_is_removed_leaves_the_keyring(alice, file, drawer: Drawer):
    alice.settings["passphrase_keyring"] = "true"
    alice("wallet", "keyring", "--passphrase-file", file)
    assert alice("wallet", "passphrase", "--remove").code == 0
    assert drawer.kept == {}


def test_it_is_taken_out_of_the_keyring(alice, file, drawer: Drawer):
    alice("wallet", "keyring", "--passphrase-file", file)
    taken = alice("wallet", "keyring", "--remove", "--json")
    assert taken.json == {"kept": False}
    assert drawer.kept == {}
    assert "kept no passphrase" in alice("wallet", "keyring", "--remove").err


def test_a_wallet_without_a_passphrase_has_nothing_to_keep(person, drawer: Drawer):
    said = person("alice", 100_000)("wallet", "keyring")
    assert said.code == 2
    assert "set one by `dovetail wallet passphrase` first" in said.err


@pytest.mark.parametrize("backend", [NoKeyring, Closed])
def test_a_keyring_that_cannot_be_used_says_what_to_do(alice, file, drawer: Drawer, backend):
    keyring.set_keyring(backend())
    for said in (
        pay(alice, "--passphrase-keyring"),
        alice("wallet", "keyring", "--passphrase-file", file),
    ):
        assert said.code == 2
        assert "unlock it, or name a file" in said.err
        assert PASSPHRASE not in said.err


def test_a_missing_package_is_named(alice, monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    said = pay(alice, "--passphrase-keyring")
    assert said.code == 2
    assert "pip install 'dovetail-payjoin[keyring]'" in said.err
