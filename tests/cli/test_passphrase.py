import os
import signal
import sys

import click
import pytest
from tests.cli.in_process import PASSPHRASE, Cli, Terminal

from dovetail.cli import json_keys

OTHER = "an other passphrase"
PLACE = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"


@pytest.fixture
def typed(monkeypatch):
    """What a person types at each question; gives the questions."""
    asked: list[str] = []

    def types(*answers: str) -> list[str]:
        left = list(answers)

        def prompt(name: str, **options: object) -> str:
            assert options["hide_input"]
            asked.append(name)
            return left.pop(0)

        monkeypatch.setattr(click, "prompt", prompt)
        return asked

    return types


@pytest.fixture
def descriptor():
    """A descriptor from which a text is read."""

    def make(text: bytes) -> str:
        reading, writing = os.pipe()
        os.write(writing, text)
        os.close(writing)
        return str(reading)

    return make


def test_a_new_wallet_asks_for_a_passphrase_twice(cli: Cli, typed):
    asked = typed("short", PASSPHRASE, "misspelled", PASSPHRASE, PASSPHRASE)
    said = cli("wallet", "new", "--json", stdin=Terminal())
    assert said.json["encrypted"]
    assert asked == [
        *("Passphrase of the new wallet", "Passphrase of the new wallet", "The same again"),
        *("Passphrase of the new wallet", "The same again"),
    ]
    assert "8 to 1024 characters" in said.err
    assert "not the same" in said.err
    assert PASSPHRASE not in said.err
    assert "has no passphrase" not in said.err


def test_who_wants_no_passphrase_is_told_what_that_means(cli: Cli):
    said = cli("wallet", "new", "--no-passphrase", "--json", stdin=Terminal())
    assert not said.json["encrypted"]
    assert "anyone who can read its file can spend" in said.err
    assert "has no passphrase" in cli("wallet", "info").err


def test_without_a_terminal_it_comes_from_a_file_or_a_descriptor(cli: Cli, file, descriptor):
    assert cli("wallet", "new", "--passphrase-file", file, "--json").json["encrypted"]
    said = cli("wallet", "words", "--yes", "--json", "--passphrase-fd", descriptor(b"wrong one"))
    assert said.code == 1
    assert "passphrase is wrong" in said.err
    said = cli(
        *("wallet", "words", "--yes", "--json", "--passphrase-fd"),
        descriptor(f"{PASSPHRASE}\r\n".encode()),
    )
    assert said.code == 0


def test_the_file_is_also_named_by_a_variable(cli: Cli, file):
    cli.settings["passphrase_file"] = file
    assert cli("wallet", "new", "--json").json["encrypted"]
    assert cli("wallet", "words", "--yes").code == 0


def test_nobody_to_ask_is_said_before_anything_is_done(person, file, tmp_path):
    alice = person("alice", 100_000)
    alice("wallet", "passphrase", "--new-passphrase-file", file)
    for command in (
        ("pay", PLACE, "50000", "--yes"),
        ("receive", "50000"),
        ("wallet", "words", "--yes"),
    ):
        said = alice(*command)
        assert said.code == 1
        assert "The wallet is locked" in said.err
        assert len(said.err.splitlines()) == 1
    assert not alice.database.exists()


def test_who_looks_needs_no_passphrase(person, file):
    alice = person("alice", 100_000)
    alice("wallet", "passphrase", "--new-passphrase-file", file)
    assert alice("wallet", "balance", "--json").json["confirmed_sats"] == 100_000
    assert alice("wallet", "coins", "--json").code == 0
    assert alice("wallet", "address").code == 0
    assert alice("receive", "50000", "--no-wait", "--no-qr").code == 0
    assert alice("history").code == 0
    assert alice("show", "1").code == 0
    assert alice("cancel", "1").code == 0


def test_who_signs_is_asked_once(person, typed, file):
    alice = person("alice", 100_000)
    alice("wallet", "passphrase", "--new-passphrase-file", file)
    asked = typed(PASSPHRASE)
    assert alice("pay", PLACE, "50000", "--yes", "--no-wait", stdin=Terminal()).code == 0
    assert asked == ["Passphrase of the wallet"]
    assert alice("wallet", "balance", "--json").json["reserved_sats"] == 0


def test_a_mistyped_passphrase_may_be_typed_again(cli: Cli, typed, file):
    cli("wallet", "new", "--passphrase-file", file)
    asked = typed("wrong one", PASSPHRASE)
    said = cli("wallet", "words", "--yes", stdin=Terminal())
    assert said.code == 0
    assert len(asked) == 2
    assert "try again" in said.err
    typed("wrong one", "wrong two", "wrong three", PASSPHRASE)
    said = cli("wallet", "words", "--yes", stdin=Terminal())
    assert said.code == 1
    assert said.out == ""


def test_a_passphrase_is_set_changed_and_removed(cli: Cli, typed, file, tmp_path):
    words = cli("wallet", "new").out
    typed(PASSPHRASE, PASSPHRASE)
    assert cli("wallet", "passphrase", stdin=Terminal()).code == 0
    assert cli("wallet", "info", "--json").json["encrypted"]
    other = tmp_path / "other"
    other.write_text(OTHER)
    said = cli(
        *("wallet", "passphrase", "--passphrase-file", file),
        *("--new-passphrase-file", str(other), "--json"),
    )
    assert said.json == {"encrypted": True}
    assert cli("wallet", "words", "--yes", "--passphrase-file", file).code == 1
    assert cli("wallet", "words", "--yes", "--passphrase-file", str(other)).out == words
    said = cli("wallet", "passphrase", "--remove", "--passphrase-file", str(other))
    assert "has no passphrase" in said.err
    assert not cli("wallet", "info", "--json").json["encrypted"]
    assert cli("wallet", "words", "--yes").out == words


def test_a_new_passphrase_may_come_from_a_descriptor(cli: Cli, descriptor):
    cli("wallet", "new")
    assert cli("wallet", "passphrase", "--new-passphrase-fd", descriptor(b"x" * 7)).code == 2
    assert cli("wallet", "passphrase", "--new-passphrase-fd", descriptor(b"x" * 8)).code == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--remove",), "nothing to remove"),
        (("--remove", "--new-passphrase-fd", "5"), "not both"),
        ((), "(no terminal)"),
        (("--new-passphrase-file", "/nowhere"), "cannot be read"),
        (("--new-passphrase-fd", "999"), "Open it for reading"),
    ],
)
def test_what_cannot_be_changed_is_named(cli: Cli, words, sentence):
    cli("wallet", "new")
    said = cli("wallet", "passphrase", *words)
    assert said.code == 2
    assert sentence in said.err


@pytest.mark.parametrize(
    ("data", "sentence"), [(b"", "is empty"), (b"\n", "is empty"), (b"\xff\xff", "not text")]
)
def test_a_file_without_a_passphrase_is_named(cli: Cli, tmp_path, data, sentence):
    path = tmp_path / "passphrase"
    path.write_bytes(data)
    said = cli("wallet", "new", "--passphrase-file", str(path))
    assert said.code == 2
    assert sentence in said.err
    assert cli("wallet", "info").code == 2


def test_words_are_shown_on_a_terminal_after_a_confirmation(cli: Cli, monkeypatch):
    words = cli("wallet", "new").out
    said = cli("wallet", "words")
    assert said.code == 2
    assert "--yes" in said.err
    assert cli("wallet", "words", stdin=Terminal()).code == 2  # into a pipe
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    asked = []
    monkeypatch.setattr(click, "confirm", lambda text, **_: asked.append(text))
    shown = cli("wallet", "words", stdin=Terminal()).out
    assert shown.split() == words.split()  # long words do not fit one line of a terminal
    assert "can take the money" in asked[0]
    said = cli("wallet", "words", "--yes", "--json")
    assert set(said.json) == set(json_keys.WALLET_WORDS)
    assert said.json["mnemonic"] == words.strip()
    assert said.json["path"] == "m/84h/1h/0h"  # BIP 84; SLIP 44 has 1 for every test network


def test_descriptors_stand_for_words(cli: Cli):
    key = (
        "tprv8ZgxMBicQKsPe5YMU9gHen4Ez3ApihUfykaqUorj9t6FDqy3nP6eoXiAo2ssvpAjoLroQxHqr3R5nE3a5dU3D"
        "HTjTgJDd7zrbniJr6nrCzd"
    )
    pair = [f"tr({key}/86h/1h/0h/{chain}/*)" for chain in (0, 1)]
    cli("wallet", "import", "--descriptors", stdin="\n".join(pair))
    said = cli("wallet", "words", "--yes", "--json")
    assert said.json["descriptors"] == pair
    assert said.json["mnemonic"] is said.json["path"] is None
    assert cli("wallet", "words", "--yes").lines == pair


def test_info_says_what_kind_of_wallet_it_is(cli: Cli):
    cli("wallet", "new", "--kind", "taproot")
    said = cli("wallet", "info", "--json")
    assert set(said.json) == set(json_keys.WALLET_INFO)
    assert said.json["kind"] == "taproot"
    assert "Passphrase  none" in cli("wallet", "info").out


def test_a_nodes_wallet_keeps_its_own_keys(cli: Cli):
    cli.settings["wallet"] = "core"
    for command in (("info",), ("words", "--yes"), ("passphrase",)):
        said = cli("wallet", *command)
        assert said.code == 2
        assert "the node keeps the wallet and its keys: use `bitcoin-cli" in said.err


def test_ctrl_c_ends_the_question(cli: Cli, file, monkeypatch):
    cli("wallet", "new", "--passphrase-file", file)
    before = signal.getsignal(signal.SIGINT)

    def prompt(name: str, **options: object) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError

    monkeypatch.setattr(click, "prompt", prompt)
    said = cli("pay", PLACE, "50000", "--yes", stdin=Terminal())
    assert said.code == 1
    assert "Stopped before anything was done" in said.err
    assert signal.getsignal(signal.SIGINT) == before
