"""Paying an address as usual, and the word it takes to pay one twice."""

import click
import pytest
from tests.cli.in_process import Cli, Terminal

from dovetail.bitcoin import Address, Network
from dovetail.cli import exits, json_keys
from dovetail.protocol.uri import PayjoinUri
from dovetail.regtest import RegtestServer

# Source of the second: a `pj` in the home network, over plain http, as a shop's software made it.
ADDRESS = "bcrt1qdtdv49wjluh4cnetjlgtyfrnk0a7qxlt2hphtx"
UNUSABLE = f"bitcoin:{ADDRESS}?amount=0.0005&pj=http://umbrel.local:3003/BTC/pj"
DRAFT = f"bitcoin:{ADDRESS}?amount=0.0005&pj=https://payjo.in/AzzKI8EZJ3WF14dwBZLGyRX5FJ-s84oNwmviJE-T3vj-"


def fresh(person) -> str:
    said = person("somebody")("wallet", "address")
    return str(said.out.strip())


def received(chain: RegtestServer, address: str) -> list[int]:
    script = Address.parse(address).script_pubkey
    found = [entry.transaction for entry in chain.node.mempool]
    return [
        int(output.value)
        for transaction in found
        for output in transaction.outputs
        if output.script_pubkey == script
    ]


def pay(payer: Cli, *words: str):
    said = payer("pay", *words, "--yes", "--no-wait", "--fee-rate", "2", "--json")
    assert said.code == 0, said.err
    return said.json


def test_an_address_is_paid_as_usual_and_watched(person, chain):
    bob, address = person("bob", 300_000), fresh(person)
    told = pay(bob, address, "70000")
    assert set(told) == set(json_keys.PAY)
    assert told["status"] == "confirming"
    assert told["reason"] == "plain-payment"
    assert told["amount_sats"] == 70_000
    assert received(chain, address) == [70_000]
    assert bob("history", "--json").json["sessions"][0]["txid"] == told["txid"]
    assert "ordinary payment" in bob("show", "1").out
    chain.node.mine(1)
    done = bob("resume")
    assert done.code == 0
    assert done.out.startswith("Paid by the ordinary payment")
    assert bob("show", "1", "--json").json["outcome"] == "fallback"


@pytest.mark.parametrize("command", ["pay", "send"])
def test_a_link_whose_payjoin_cannot_be_used_is_paid_all_the_same(person, chain, command):
    bob, address = person("bob", 300_000), fresh(person)
    uri = UNUSABLE.replace(ADDRESS, address)
    refused = bob("send", uri, "--yes")
    assert refused.code == 2
    assert "not encrypted" in refused.err
    assert "`dovetail pay URI` pays its address" in refused.err
    words = ["--plain"] if command == "send" else []
    said = bob(command, uri, *words, "--yes", "--no-wait", "--fee-rate", "2", "--json")
    assert said.code == 0, said.err
    assert said.json["amount_sats"] == 50_000
    assert received(chain, address) == [50_000]


def test_a_link_of_an_older_draft_is_refused_and_its_address_can_be_paid(person):
    said = person("bob", 300_000)("send", DRAFT, "--yes")
    assert said.code == 2
    assert "ask for a new one" in said.err
    assert "`dovetail pay URI` pays its address" in said.err


def test_an_expired_link_is_paid_without_a_payjoin(person, chain, monkeypatch):
    alice, bob = person("alice", 10_000), person("bob", 300_000)
    uri = alice("receive", "50000", "--no-wait", "--lifetime", "1s").out.strip()
    monkeypatch.setattr("dovetail.cli.handlers.send.clock", lambda: 4_000_000_000)
    refused = bob("send", uri, "--yes")
    assert refused.code == 2
    assert "expired" in refused.err
    assert "`dovetail pay URI` pays its address" in refused.err
    said = bob("send", uri, "--plain", "--yes", "--no-wait", "--json")
    assert said.code == 0, said.err
    assert received(chain, str(PayjoinUri.parse(uri).address)) == [50_000]


def test_an_address_is_paid_once_unless_the_word_is_said(person, chain):
    bob, address = person("bob", 100_000, 100_000, 100_000), fresh(person)
    pay(bob, address, "20000")
    for command in ("pay", "send"):
        link = f"bitcoin:{address}?amount=0.0003&pj=https://127.0.0.1:1/pj"
        refused = bob(command, link, "--yes")
        assert refused.code == 2
        assert "Session 1 pays this address or did" in refused.err
        assert "--again" in refused.err
    assert received(chain, address) == [20_000]
    pay(bob, address, "30000", "--again")
    assert sorted(received(chain, address)) == [20_000, 30_000]


def test_an_invoice_that_another_wallet_paid_is_not_paid_again(person, chain):
    bob, carol, address = person("bob", 300_000), person("carol", 300_000), fresh(person)
    pay(carol, address, "50000")
    refused = bob("pay", f"bitcoin:{address}?amount=0.0005", "--yes")
    assert refused.code == 2
    assert "was paid that amount already" in refused.err
    more = pay(bob, f"bitcoin:{address}?amount=0.0006")
    assert more["amount_sats"] == 60_000


def test_what_will_be_paid_is_shown_before_it_is_asked(person, monkeypatch):
    bob, address = person("bob", 300_000), fresh(person)

    def confirm(_: str, **__: object) -> None:
        raise click.Abort

    monkeypatch.setattr(click, "confirm", confirm)
    uri = f"bitcoin:{address}?amount=0.0005&label=Alice&message=soup"
    said = bob("pay", uri, "--fee-rate", "2", stdin=Terminal())
    assert said.code == 1
    for words in ("50,000 sats", address, "Alice", "soup", "2 sat/vB", "Total", "anybody can tell"):
        assert words in said.err
    assert exits.STOPPED in said.err
    assert bob("history", "--json").json["sessions"] == []


def test_who_agrees_pays_and_waits(person, chain, monkeypatch):
    bob, address = person("bob", 300_000), fresh(person)
    monkeypatch.setattr(click, "confirm", lambda *_, **__: True)
    said = bob("pay", address, "50000", "--timeout", "2s", stdin=Terminal())
    assert said.code == 3
    assert received(chain, address) == [50_000]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((ADDRESS, "5000"), "(no terminal)"),
        ((str(Address.from_script(b"\x00\x14" + b"\x01" * 20, Network.MAINNET)), "5"), "not for"),
        (("bc1qnonsense", "5"), "copy it again"),
        (("shop:nonsense", "5"), "does not begin with bitcoin:"),
        ((ADDRESS, "--yes"), "No amount is named"),
        ((f"bitcoin:{ADDRESS}?amount=0.1", "5", "--yes"), "another amount"),
        ((f"bitcoin:{ADDRESS}?amount=0.1&req-x=1", "--yes"), "requires a feature that Dovetail"),
        (("bitcoin:?bc=bc1qqqqqq", "5", "--yes"), "no address"),
    ],
)
def test_what_cannot_be_paid_is_named(person, words, sentence):
    said = person("bob")("pay", *words)
    assert said.code == 2
    assert sentence in said.err


def test_the_coins_of_a_session_are_left_alone(person):
    alice, bob = person("alice", 10_000), person("bob", 300_000)
    uri = alice("receive", "50000", "--no-wait").out.strip()
    assert bob("send", uri, "--yes", "--no-wait").code == 0
    said = bob("pay", fresh(person), "5000", "--yes")
    assert said.code == 1
    assert "too few" in said.err


def test_a_fee_is_raised_from_the_command_line(person, chain):
    bob, address = person("bob", 300_000), fresh(person)
    first = pay(bob, address, "50000")["txid"]
    said = bob("fallback", "1", "--fee-rate", "30", "--json")
    assert said.code == 0, said.err
    assert "Its fee is now" in said.err
    assert said.json["txid"] != first
    mempool = {str(txid) for txid in chain.node.mempool_txids()}
    assert said.json["txid"] in mempool
    assert first not in mempool
    assert received(chain, address) == [50_000]
