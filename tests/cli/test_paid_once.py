"""An address is paid once by whichever command, unless `--again` is said (ADR 0023)."""

import pytest
from tests.cli.in_process import Cli
from tests.cli.test_paying import fresh, pay, received

# Nobody answers at this link.
OTHER = "bitcoin:{address}?amount=0.0002&pj=https://127.0.0.1:1/other"
WAYS = {
    "send": ("send", OTHER),
    "send --plain": ("send", OTHER, "--plain"),
    "pay ADDRESS": ("pay", "{address}", "20000"),
    "pay URI": ("pay", "bitcoin:{address}?amount=0.0002"),
    "pay URI, its payjoin left aside": ("pay", OTHER),
    "pay ADDRESS all": ("pay", "{address}", "all"),
    "pay ADDRESS in capitals": ("pay", "{capitals}", "20000"),
    "pay URI in capitals": ("pay", "BITCOIN:{capitals}?amount=0.0002"),
}
INVOICES = ("send", "send --plain", "pay URI", "pay URI, its payjoin left aside")


def say(payer: Cli, way: str, address: str, *more: str):
    words = [word.format(address=address, capitals=address.upper()) for word in WAYS[way]]
    return payer(*words, *more, "--yes", "--no-wait", "--fee-rate", "2", "--json")


def sessions(payer: Cli) -> list[int]:
    return [each["session"] for each in payer("history", "--json").json["sessions"]]


@pytest.mark.parametrize("first", ["send", "send --plain", "pay ADDRESS", "pay ADDRESS all"])
def test_what_any_command_pays_no_other_pays_too(person, chain, first):
    bob, address = person("bob", 100_000, 100_000), fresh(person)
    began = say(bob, first, address)
    assert began.code == (3 if first == "send" else 0), began.err
    before = received(chain, address)
    for way in WAYS:
        refused = say(bob, way, address)
        assert refused.code == 2, way
        # The same link is told as such; any other by its address.
        assert "Session 1 pays this" in refused.err, way
        assert (way == first == "send") or "--again" in refused.err, way
    assert sessions(bob) == [1]
    assert received(chain, address) == before


@pytest.mark.parametrize("way", WAYS)
def test_the_word_allows_a_second_payment_by_any_command(person, chain, way):
    bob, address = person("bob", 100_000, 100_000), fresh(person)
    pay(bob, address, "20000")
    said = say(bob, way, address, "--again")
    assert sessions(bob) == [2, 1], said.err
    if way == "send":
        assert said.json["status"] == "sending-original"
        return
    assert said.code == 0, said.err
    first, second = sorted(received(chain, address))
    assert first == 20_000
    assert second == 20_000 or (second > 99_000 and way == "pay ADDRESS all")


@pytest.mark.parametrize("way", INVOICES)
def test_what_the_chain_shows_as_paid_is_paid_again_by_the_word_alone(person, chain, way):
    bob, carol, address = person("bob", 100_000), person("carol", 300_000), fresh(person)
    pay(carol, address, "20000")
    refused = say(bob, way, address)
    assert refused.code == 2
    assert "was paid that amount already" in refused.err
    assert sessions(bob) == []
    said = say(bob, way, address, "--again")
    assert sessions(bob) == [1], said.err
    assert received(chain, address) == ([20_000] if way == "send" else [20_000, 20_000])


def test_a_payment_that_was_taken_back_counts_until_it_can_be_made_no_more(person, chain):
    bob, address = person("bob", 100_000, 100_000), fresh(person)
    assert say(bob, "send", address).code == 3
    for words in (("cancel", "1", "--fallback", "never"), ("revoke", "1", "--yes")):
        assert bob(*words).code == 0, words
        assert say(bob, "pay ADDRESS", address).code == 2, words
    chain.node.mine(1)
    bob("resume")
    assert bob("show", "1", "--json").json["outcome"] == "revoked"
    assert say(bob, "pay ADDRESS", address).code == 0
    assert received(chain, address) == [20_000]
