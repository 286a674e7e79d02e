"""What moved the wallet's money, what holds the rest, and which session it was."""

import re

import pytest
from tests.cli.in_process import Cli
from tests.cli.terminals import Tty

from dovetail.bitcoin import Address, Network, Script
from dovetail.cli import json_keys

PLACE = str(Address.from_script(Script(b"\x00\x14" + b"\x08" * 20), Network.REGTEST))


def listed(cli: Cli, *words: str):
    said = cli("wallet", "transactions", "--json", *words)
    assert said.code == 0, said.err
    assert set(said.json) == set(json_keys.WALLET_TRANSACTIONS)
    return said.json


def test_what_came_in_and_went_out_is_listed_with_its_session(person, chain):
    bob = person("bob", 300_000)
    paid = bob("pay", PLACE, "50000", "--fee-rate", "2", "--yes", "--no-wait", "--json").json
    newest, oldest = listed(bob)["transactions"]
    assert newest["txid"] == paid["txid"]
    assert newest["sessions"] == [1]
    assert newest["confirmations"] == 0
    assert newest["fee_sats"] == paid["fee_sats"]
    assert newest["sent_sats"] == 300_000
    assert newest["received_sats"] == 250_000 - paid["fee_sats"]
    assert oldest["received_sats"] == 300_000
    assert oldest["sent_sats"] == 0
    assert oldest["sessions"] == []
    assert oldest["confirmations"] >= 1
    assert oldest["at"] > 1_600_000_000
    chain.node.mine(2)
    bob("resume")
    newest, _ = listed(bob)["transactions"]
    assert (newest["confirmations"], newest["sessions"]) == (2, [1])
    said = bob("wallet", "transactions")
    assert said.lines[0].split() == [
        *("Date", "Amount", "Fee", "Depth", "Session", "Transaction"),
    ]
    assert paid["txid"] in said.lines[1]
    assert f"-{50_000 + paid['fee_sats']:,} sats" in said.lines[1]
    assert "+300,000 sats" in said.lines[2]


def test_only_the_newest_are_listed(person):
    bob = person("bob", 10_000, 20_000, 30_000)
    found = listed(bob, "--limit", "2")
    assert len(found["transactions"]) == 2
    assert found["more"]
    assert "--limit 3 lists all" in bob("wallet", "transactions", "--limit", "2").err


@pytest.mark.parametrize(
    ("columns", "headings"),
    [
        (120, ["Date", "Amount", "Fee", "Depth", "Session", "Transaction"]),
        (57, ["Date", "Amount", "Fee", "Depth", "Session"]),
        (40, ["Date", "Amount", "Fee"]),
    ],
)
def test_a_table_fits_the_terminal_and_tells_all(person, monkeypatch, columns, headings):
    bob = person("bob", 300_000)
    bob("pay", PLACE, "50000", "--fee-rate", "2", "--yes", "--again", "--no-wait")
    said = Tty(columns, settings=bob.environment)("wallet", "transactions")
    assert said.lines[0].split() == headings
    assert max(map(len, said.lines)) <= columns
    assert len(re.findall(r"[0-9a-f]{8}…[0-9a-f]{4}", said.text)) == 2


def test_a_log_that_cannot_be_read_hides_no_transaction(person):
    bob = person("bob", 300_000)
    bob("receive", "5000", "--no-wait")
    bob("pay", PLACE, "50000", "--fee-rate", "2", "--yes", "--again", "--no-wait")
    bob.damage(1)
    assert [each["sessions"] for each in listed(bob)["transactions"]] == [[2], []]


def test_an_empty_wallet_has_no_transaction(person):
    alice = person("alice")
    assert listed(alice) == {"transactions": [], "more": False}
    assert "wallet address" in alice("wallet", "transactions").err


def test_a_nodes_wallet_lists_its_own(cli: Cli):
    cli.settings["wallet"] = "core"
    said = cli("wallet", "transactions")
    assert said.code == 2
    assert "bitcoin-cli listtransactions" in said.err


def test_reserved_coins_name_their_sessions(person):
    alice, bob = person("alice", 10_000), person("bob", 300_000, 20_000)
    uri = alice("receive", "50000", "--no-wait").out.strip()
    coins = bob("wallet", "coins", "--json").json["coins"]
    [large] = [each["outpoint"] for each in coins if each["amount_sats"] == 300_000]
    assert bob("send", uri, "--coin", large, "--yes", "--no-wait").code == 0
    said = bob("wallet", "balance", "--json")
    assert said.json["reserved_by"] == [1]
    assert said.json["spendable_sats"] == 20_000
    assert "Spendable    20,000 sats: 300,000 reserved by session 1" in bob("wallet", "balance").out
    held = [each["session"] for each in bob("wallet", "coins", "--json").json["coins"]]
    assert sorted(held, key=str) == [1, None]
    assert "by session 1" in bob("wallet", "coins").out
    other = alice("receive", "60000", "--no-wait").out.strip()
    for command in (("pay", PLACE, "60000", "--again"), ("send", other)):
        said = bob(*command, "--yes")
        assert said.code == 1
        assert "20,000 sats confirmed and free" in said.err
        assert "300,000 sats more are reserved by session 1." in said.err
