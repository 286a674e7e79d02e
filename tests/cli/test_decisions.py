"""`cancel`, `fallback`, `release` and `revoke`, with real wallets on a real chain."""

import click
import pytest
from tests.cli.commands import Cli, Terminal

from dovetail.cli import keys


@pytest.fixture
def parties(person) -> tuple[Cli, Cli]:
    """A receiver and a sender that has posted its Original: session 1 on both sides."""
    alice, bob = person("alice", 100_000), person("bob", 300_000)
    uri = alice("receive", "50000", "--no-wait").out.strip()
    assert bob("send", uri, "--yes", "--no-wait", "--fee-rate", "2").code == 0
    return alice, bob


def test_a_cancelled_payment_waits_for_a_word(parties):
    _, bob = parties
    said = bob("cancel", "1", "--json")
    assert said.code == 4
    assert set(said.json) == set(keys.SESSION)
    assert said.json["status"] == "fallback-pending"
    assert said.json["reason"] == "cancelled-by-us"
    assert "`fallback`" in said.json["next"]
    assert "fallback 1 or release 1" in bob("history").out
    resumed = bob("resume", "1")
    assert resumed.code == 4
    assert "dovetail fallback 1" in resumed.err
    assert "dovetail release 1" in resumed.err


def test_the_fallback_pays(parties, chain):
    _, bob = parties
    bob("cancel", "1")
    said = bob("fallback", "1")
    assert said.code == 0
    txid = said.out.strip()
    assert txid in map(str, chain.node.mempool_txids())
    assert "dovetail resume 1" in said.err
    chain.node.mine(1)
    assert bob("resume").out == f"Paid by the ordinary transaction, without a payjoin. {txid}\n"


def test_a_released_payment_can_be_revoked(parties, chain):
    _, bob = parties
    bob("cancel", "1")
    said = bob("release", "1", "--yes")
    assert said.code == 0
    assert "the receiver can still take it" in said.err
    assert "show 1" in bob("history").out
    assert "`revoke`" in bob("show", "1").out
    said = bob("revoke", "1", "--yes", "--fee-rate", "3", "--json")
    assert said.code == 0
    assert set(said.json) == set(keys.REVOKE)
    assert said.json["revocation_txid"] in map(str, chain.node.mempool_txids())
    chain.node.mine(1)
    ended = bob("resume")
    assert ended.code == 1
    assert "Revoked: the coins went back to the wallet." in ended.out


def test_the_fee_rate_of_a_revocation_is_estimated(parties):
    _, bob = parties
    bob("cancel", "1")
    bob("release", "1", "--yes")
    assert len(bob("revoke", "1", "--yes").out.strip()) == 64


def test_a_receiver_that_was_not_paid_just_ends(person):
    alice = person("alice", 100_000)
    alice("receive", "50000", "--no-wait")
    said = alice("cancel", "1", "--json")
    assert said.code == 0
    assert said.json["outcome"] == "cancelled"
    assert said.json["next"] == "Nothing is left to do."
    assert alice("resume", "1").err.startswith("Error: Session 1 is closed")


@pytest.mark.parametrize("command", ["release", "revoke"])
def test_who_is_asked_may_say_no(parties, monkeypatch, command):
    _, bob = parties
    bob("cancel", "1")
    if command == "revoke":
        bob("release", "1", "--yes")
    before = bob("show", "1", "--json").out

    def no(_text: str, **_: object) -> None:
        raise click.Abort

    monkeypatch.setattr(click, "confirm", no)
    said = bob(command, "1", stdin=Terminal())
    assert said.code == 1
    assert bob("show", "1", "--json").out == before


@pytest.mark.parametrize("words", [("release", "1"), ("revoke", "1")])
def test_without_a_terminal_a_decision_needs_yes(parties, words):
    _, bob = parties
    said = bob(*words)
    assert said.code == 2
    assert "--yes" in said.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("fallback", "1"), "cancel the session first"),
        (("release", "1", "--yes"), "cancel the session first"),
        (("revoke", "1", "--yes"), "cancel and release it first"),
    ],
)
def test_what_the_state_does_not_allow_is_refused_and_changes_nothing(parties, words, sentence):
    _, bob = parties
    before = bob("show", "1", "--json").out
    said = bob(*words)
    assert said.code == 2
    assert sentence in said.err
    assert bob("show", "1", "--json").out == before
