import io
import sys

import click
import pytest
from tests.cli.in_process import Cli, Terminal

from dovetail.cli import json_keys

WORDS = "abandon " * 11 + "about"
FIRST = "bcrt1q6rz28mcfaxtmd6v789l9rrlrusdprr9pz3cppk"  # BIP 84, coin type 1


def test_a_new_wallet_shows_its_words(cli: Cli):
    said = cli("wallet", "new", "--json")
    assert said.code == 0
    assert set(said.json) == set(json_keys.WALLET_NEW)
    assert len(said.json["mnemonic"].split()) == 12
    assert said.json["mnemonic"] not in said.err


def test_words_go_to_stdout_and_advice_to_stderr(cli: Cli):
    said = cli("wallet", "new")
    assert len(said.out.split()) == 12
    assert "Write these 12 words down" in said.err


def test_a_wallet_that_is_there_is_left_alone(cli: Cli):
    cli("wallet", "new")
    before = cli("wallet", "address").out
    for command in ("new", "import"):
        said = cli("wallet", command, stdin=WORDS)
        assert said.code == 2
        assert "stays as it is" in said.err
    assert cli("wallet", "address").out != before


def test_words_are_read_from_stdin(cli: Cli):
    said = cli("wallet", "import", "--json", stdin=f"{WORDS}\n")
    assert said.code == 0
    assert said.json == {"network": "regtest", "kind": "segwit", "encrypted": False}
    assert set(said.json) == set(json_keys.WALLET_IMPORT)
    assert cli("wallet", "address").out.strip() == FIRST
    assert WORDS not in said.err


def test_words_are_asked_for_on_a_terminal_and_not_shown(cli: Cli, monkeypatch):
    asked = []

    def prompt(name: str, **options: object) -> str:
        asked.append((name, options["hide_input"]))
        return WORDS

    monkeypatch.setattr(click, "prompt", prompt)
    assert cli("wallet", "import", "--no-passphrase", stdin=Terminal()).code == 0
    assert asked == [("Recovery words", True)]
    assert cli("wallet", "address").out.strip() == FIRST


def test_descriptors_are_read_from_stdin(cli: Cli):
    key = (
        "tprv8ZgxMBicQKsPe5YMU9gHen4Ez3ApihUfykaqUorj9t6FDqy3nP6eoXiAo2ssvpAjoLroQxHqr3R5nE3a5dU3D"
        "HTjTgJDd7zrbniJr6nrCzd"
    )
    said = cli(
        *("wallet", "import", "--descriptors", "--json"),
        stdin=f"wpkh({key}/84h/1h/0h/0/*)\nwpkh({key}/84h/1h/0h/1/*)\n",
    )
    assert said.code == 0
    assert said.json == {"network": "regtest", "kind": None, "encrypted": False}


@pytest.mark.parametrize("words", ["", "\n", "hello world", f"{WORDS} about"])
def test_what_is_no_phrase_is_refused_and_leaves_nothing(cli: Cli, words):
    said = cli("wallet", "import", stdin=words)
    assert said.code == 2
    assert len(said.err.splitlines()) == 1
    assert "abandon" not in said.err
    assert cli("wallet", "address").code == 2


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [("segwit", "bcrt1q"), ("taproot", "bcrt1p"), ("nested", "2"), ("legacy", ("m", "n"))],
)
def test_every_kind_has_its_addresses(cli: Cli, kind, prefix):
    assert cli("wallet", "new", "--kind", kind, "--json").json["kind"] == kind
    said = cli("wallet", "address", "--json")
    assert set(said.json) == set(json_keys.WALLET_ADDRESS)
    assert said.json["address"].startswith(prefix)


def test_balance_and_coins_say_what_is_there(person):
    alice = person("alice", 100_000, 50_000)
    said = alice("wallet", "balance", "--json")
    assert said.json == {
        "confirmed_sats": 150_000,
        "unconfirmed_sats": 0,
        "reserved_sats": 0,
        "spendable_sats": 150_000,
        "reserved_by": [],
    }
    assert set(said.json) == set(json_keys.WALLET_BALANCE)
    assert "Confirmed    150,000 sats" in alice("wallet", "balance").out
    said = alice("wallet", "coins", "--json")
    assert set(said.json) == set(json_keys.WALLET_COINS)
    assert {coin["amount_sats"] for coin in said.json["coins"]} == {50_000, 100_000}
    assert "100,000 sats" in alice("wallet", "coins").out


def test_an_empty_wallet_says_how_to_fill_it(person):
    said = person("alice")("wallet", "coins")
    assert said.code == 0
    assert said.out == ""
    assert "wallet address" in said.err


def test_a_chain_source_that_is_down_is_one_sentence(cli: Cli):
    cli("wallet", "new")
    said = cli("wallet", "balance")
    assert said.code == 1
    assert said.out == ""
    assert len(said.err.splitlines()) == 1


def test_nobody_waits_for_stdin_that_ends(cli: Cli):
    assert not io.StringIO().isatty()
    assert sys.stdin is not None
    assert "nothing came on stdin" in cli("wallet", "import").err
