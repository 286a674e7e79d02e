"""Which coins pay, how much of them, and what fee is too high to be meant."""

import click
import pytest
from tests.cli.in_process import Cli, Terminal

from dovetail.bitcoin import Address, Network, Script
from dovetail.regtest import RegtestServer

PLACE = str(Address.from_script(Script(b"\x00\x14" + b"\x09" * 20), Network.REGTEST))


def coins(payer: Cli) -> dict[int, str]:
    listed = payer("wallet", "coins", "--json").json["coins"]
    return {coin["amount_sats"]: coin["outpoint"] for coin in listed}


def pay(payer: Cli, *words: str):
    said = payer("pay", PLACE, *words, "--yes", "--again", "--no-wait", "--json")
    assert said.code == 0, said.err
    return said.json


def spent(chain: RegtestServer, txid: str) -> tuple[set[str], list[int]]:
    """The coins that a transaction of the mempool spends, and the values of its outputs."""
    [found] = [
        each.transaction for each in chain.node.mempool if str(each.transaction.txid) == txid
    ]
    return set(map(str, found.contested())), [int(output.value) for output in found.outputs]


def test_all_is_everything_less_the_fee(person, chain):
    bob = person("bob", 100_000, 50_000, 400)
    known = coins(bob)
    told = pay(bob, "all", "--fee-rate", "10")
    inputs, values = spent(chain, told["txid"])
    # The coin of 400 sats costs 68 vB at 10 sat/vB, which is more: it stays.
    assert inputs == {known[100_000], known[50_000]}
    assert values == [150_000 - told["fee_sats"]] == [told["amount_sats"]]


def test_all_leaves_out_what_sessions_hold(person, chain):
    alice, bob = person("alice", 10_000), person("bob", 100_000, 50_000)
    known = coins(bob)
    uri = alice("receive", "20000", "--no-wait").out.strip()
    assert bob("send", uri, "--coin", known[50_000], "--yes", "--no-wait").code == 0
    told = pay(bob, "ALL", "--fee-rate", "2")
    assert spent(chain, told["txid"])[0] == {known[100_000]}


def test_all_of_nothing_is_named(person):
    said = person("bob")("pay", PLACE, "all", "--yes")
    assert said.code == 1
    assert "no coin that is confirmed, free and worth its fee" in said.err


def test_all_of_a_nodes_wallet_is_the_nodes_to_pay(cli: Cli):
    cli.settings["wallet"] = "core"
    said = cli("pay", PLACE, "all", "--yes")
    assert said.code == 2
    assert "bitcoin-cli sendall" in said.err


def test_an_amount_that_is_asked_for_is_not_all(person):
    said = person("bob", 100_000)("pay", f"bitcoin:{PLACE}?amount=0.0001", "all", "--yes")
    assert said.code == 2
    assert "The URI asks for an amount" in said.err


@pytest.mark.parametrize("value", [60_000, 100_000])
def test_only_the_coins_that_are_named_are_spent(person, chain, value):
    bob = person("bob", 100_000, 60_000, 50_000)
    known = coins(bob)
    told = pay(bob, "40000", "--fee-rate", "2", "--coin", known[value].upper())
    assert spent(chain, told["txid"])[0] == {known[value]}


def test_several_coins_may_be_named(person, chain):
    bob = person("bob", 100_000, 60_000, 50_000)
    known = coins(bob)
    chosen = {known[60_000], known[50_000]}
    told = pay(bob, "all", "--fee-rate", "2", *(f"--coin={each}" for each in chosen))
    assert spent(chain, told["txid"])[0] == chosen
    assert coins(bob).keys() == {100_000}


def test_named_coins_that_are_too_few_are_too_few(person):
    bob = person("bob", 100_000, 50_000)
    said = bob("pay", PLACE, "60000", "--yes", "--coin", coins(bob)[50_000])
    assert said.code == 1
    assert "50,000 sats confirmed and free, too few" in said.err


def test_a_coin_that_cannot_be_spent_is_named(person):
    alice, bob = person("alice", 10_000), person("bob", 100_000, 50_000)
    foreign, held = f"{'ab' * 32}:0", coins(bob)[50_000]
    said = bob("pay", PLACE, "10000", "--yes", "--coin", foreign)
    assert said.code == 2
    assert f"no confirmed coin {foreign}" in said.err
    assert bob("pay", PLACE, "10000", "--yes", "--coin", "ab:0").code == 2
    uri = alice("receive", "20000", "--no-wait").out.strip()
    bob("send", uri, "--yes", "--no-wait", "--coin", held)
    said = bob("pay", PLACE, "10000", "--yes", "--coin", held)
    assert said.code == 1
    assert f"Session 1 holds the coin {held}" in said.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("50000", "--fee-rate", "1000.1"), "higher than 1,000 sat/vB"),
        # 141 vB and more at 900 sat/vB are some 127,000 sats
        (("500000", "--fee-rate", "900"), "more than 10% of the 500,000 sats"),
    ],
)
def test_a_fee_that_looks_like_a_slip_is_refused(person, words, sentence):
    bob = person("bob", 1_000_000)
    said = bob("pay", PLACE, *words, "--yes")
    assert said.code == 2
    assert sentence in said.err
    assert "--allow-high-fee" in said.err
    assert bob("history", "--json").json["sessions"] == []
    pay(bob, *words, "--allow-high-fee")


def test_a_link_is_not_paid_at_such_a_fee_either(person):
    alice, bob = person("alice", 10_000), person("bob", 1_000_000)
    uri = alice("receive", "50000", "--no-wait").out.strip()
    # The ordinary payment's fee alone, some 14,000 sats, is below what is worth a word.
    said = bob("send", uri, "--fee-rate", "100", "--yes", "--no-wait")
    assert said.code == 2
    assert "The fee may come to" in said.err
    assert bob("send", uri, "--fee-rate", "100", "--allow-high-fee", "--yes", "--no-wait").code == 0


def test_a_small_fee_is_paid_though_the_amount_is_smaller(person):
    bob = person("bob", 1_000_000)
    assert pay(bob, "1000", "--fee-rate", "20")["fee_sats"] > 1_000


@pytest.mark.parametrize("command", ["fallback", "revoke"])
def test_no_fee_is_raised_to_such_a_rate(person, command):
    bob = person("bob", 1_000_000)
    pay(bob, "50000")
    said = bob(command, "1", "--fee-rate", "1001")
    assert said.code == 2
    assert "--allow-high-fee" in said.err
    more = bob(command, "1", "--fee-rate", "1001", "--allow-high-fee", "--json")
    assert "--allow-high-fee" not in more.err


@pytest.mark.parametrize("rate", ["0", "0.000", "00"])
@pytest.mark.parametrize("command", [("pay", PLACE, "5000"), ("fallback", "1"), ("revoke", "1")])
def test_a_payment_without_a_fee_is_refused_at_once(cli: Cli, command, rate):
    said = cli(*command, "--fee-rate", rate)
    assert said.code == 2
    assert "without a fee is never mined" in said.err


def test_what_is_spent_and_comes_back_is_shown(person, monkeypatch):
    bob = person("bob", 300_000)
    monkeypatch.setattr(click, "confirm", lambda *_, **__: True)
    said = bob("pay", PLACE, "50000", "--fee-rate", "2", "--no-wait", stdin=Terminal())
    assert "Total         50,28" in said.err
    assert "from 1 coin (300,000 sats)" in said.err
    assert "249,71" in said.err
    said = bob("pay", PLACE, "all", "--again", "--no-wait", stdin=Terminal())
    assert said.code == 1  # the change is not confirmed yet


# what is asked for


@pytest.mark.parametrize(("kind", "least"), [("segwit", 294), ("taproot", 330), ("nested", 540)])
def test_dust_is_not_asked_for(person, kind, least):
    # Bitcoin Core, policy/policy.cpp, GetDustThreshold: 3 sat/vB for what spending costs
    alice = person("alice")
    alice.folder = alice.folder / kind
    alice("wallet", "new", "--kind", kind)
    said = alice("receive", str(least - 1), "--no-wait")
    assert said.code == 2
    assert f"less than {least} sats" in said.err
    assert said.out == ""
    assert alice("history", "--json").json["sessions"] == []
    assert alice("receive", str(least), "--no-wait").code == 0


def test_a_request_may_leave_the_amount_to_the_sender(person):
    alice, bob = person("alice", 10_000), person("bob", 100_000)
    said = alice("receive", "--no-wait")
    assert "receiving any amount" in said.err
    uri = said.out.strip()
    assert "amount=" not in uri
    assert bob("send", uri, "--yes").code == 2
    sent = bob("send", uri, "--amount", "20000", "--yes", "--no-wait", "--json")
    assert sent.json["amount_sats"] == 20_000


@pytest.mark.parametrize("lifetime", ["31d", "30.1d", "9999w"])
def test_a_link_lasts_as_long_as_the_configuration_may_say(person, lifetime):
    said = person("alice")("receive", "5000", "--no-wait", "--lifetime", lifetime)
    assert said.code == 2
    assert "`--lifetime` must be a duration from 1m to 30d" in said.err
