"""`cancel`, `fallback`, `release` and `revoke`, with real wallets on a real chain."""

import re
import threading

import click
import pytest
from tests.cli.in_process import Cli, Terminal

from dovetail.bitcoin import FeeRate, Sats
from dovetail.cli import json_keys
from dovetail.protocol.uri import PayjoinUri
from dovetail.wallets.esplora.chain import EsploraChain


@pytest.fixture
def parties(person) -> tuple[Cli, Cli]:
    """A receiver and a sender that has posted its Original: session 1 on both sides."""
    alice, bob = person("alice", 100_000), person("bob", 300_000)
    uri = alice("receive", "50000", "--no-wait").out.strip()
    said = bob("send", uri, "--yes", "--no-wait", "--fee-rate", "2")
    assert said.code == 0, said.err
    return alice, bob


def test_a_cancelled_payment_waits_for_a_word(parties):
    _, bob = parties
    said = bob("cancel", "1", "--json")
    assert said.code == 4
    assert set(said.json) == set(json_keys.SESSION)
    assert said.json["status"] == "fallback-pending"
    assert said.json["reason"] == "cancelled-by-us"
    for command in ("fallback", "release"):
        assert f"`dovetail {command} 1`" in said.json["next"]
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
    assert bob("resume").out == f"Paid by the ordinary payment, without a payjoin. {txid}\n"


def test_a_released_payment_can_be_revoked(parties, chain):
    _, bob = parties
    bob("cancel", "1")
    said = bob("release", "1", "--yes")
    assert said.code == 0
    assert "the receiver can still take it" in said.err
    assert "show 1" in bob("history").out
    assert "`dovetail revoke 1`" in bob("show", "1").out
    said = bob("revoke", "1", "--yes", "--fee-rate", "3", "--json")
    assert said.code == 0
    assert set(said.json) == set(json_keys.REVOKE)
    assert said.json["revocation_txid"] in map(str, chain.node.mempool_txids())
    chain.node.mine(1)
    ended = bob("resume")
    assert ended.code == 1
    assert "Revoked: the coins went back to the wallet." in ended.out


def test_a_receiver_is_told_what_its_own_revocation_competes_with(parties):
    alice, _ = parties
    alice("resume", "--timeout", "15s")
    assert alice("show", "1", "--json").json["status"] == "proposal-sent"
    said = alice("revoke", "1", "--yes", "--fee-rate", "3")
    assert said.code == 0
    assert "the payjoin that the sender can still broadcast" in said.err
    assert "the sender may be faster" in said.err


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
    assert "later payments show in your wallet" in said.json["next"]
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
    bob("cancel", "1")
    if words[0] == "revoke":
        bob("release", "1", "--yes")
    said = bob(*words)
    assert said.code == 2
    assert "--yes" in said.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("release", "1"), "cancel the session first"),
        (("revoke", "1"), "cancel and release it first"),
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


# what becomes of the payment is decided with the cancellation


def answering(monkeypatch, word: str) -> list[str]:
    asked: list[str] = []

    def prompt(text: str, **_: object) -> str:
        asked.append(text)
        return word

    monkeypatch.setattr(click, "prompt", prompt)
    return asked


def test_a_payment_is_made_now(parties, chain):
    _, bob = parties
    said = bob("cancel", "1", "--fallback", "now", "--json")
    assert said.code == 0
    assert said.json["status"] == "confirming"
    assert said.json["txid"] in map(str, chain.node.mempool_txids())


def test_a_payment_is_declined_and_can_still_be_taken(parties):
    _, bob = parties
    said = bob("cancel", "1", "--fallback", "never")
    assert said.code == 0
    assert "the receiver can still take it" in said.err
    assert "dovetail revoke 1" in said.err
    for words in (("history",), ("show", "1")):
        assert "The receiver can still take this payment." in bob(*words).out
    values = bob("show", "1", "--json").json
    assert values["receiver_can_take"]
    assert "can still take it" in values["owed"]
    followed = bob("resume", "--timeout", "0.5s")
    assert "the receiver can still take it" in followed.err


def test_a_payment_that_waits_falls_due_by_itself(parties):
    _, bob = parties
    said = bob("cancel", "1", "--fallback", "later")
    assert said.code == 4
    assert "The ordinary payment falls due at" in said.err
    assert re.search(r"due in (23h 59m|24h 00m)", bob("history").out)
    values = bob("show", "1", "--json").json
    assert values["deadline"] == "fallback"
    assert values["deadline_at"] == values["expires_at"]
    assert values["receiver_can_take"]
    bob.settings["at_expiry"] = "ask"
    assert bob("show", "1", "--json").json["deadline"] is None


@pytest.mark.parametrize(("word", "code"), [("now", 0), ("later", 4), ("never", 0)])
def test_a_person_is_asked_and_told_the_risk(parties, monkeypatch, word, code):
    _, bob = parties
    asked = answering(monkeypatch, word)
    said = bob("cancel", "1", stdin=Terminal())
    assert said.code == code
    assert len(asked) == 1
    assert "The receiver holds the ordinary payment and can still take it" in said.err


def test_a_receiver_whose_proposal_is_out_is_told_the_race(parties, monkeypatch):
    alice, _ = parties
    alice("resume", "--timeout", "4s")
    answering(monkeypatch, "never")
    said = alice("cancel", "1", stdin=Terminal())
    assert said.code == 0
    assert "can still broadcast the payjoin" in said.err
    assert alice("show", "1", "--json").json["status"] == "released"


def test_what_holds_no_payment_asks_nothing(person, monkeypatch):
    alice = person("alice", 100_000)
    alice("receive", "50000", "--no-wait")
    asked = answering(monkeypatch, "now")
    assert alice("cancel", "1", stdin=Terminal()).code == 0
    assert asked == []


def test_a_revocation_is_explained_with_its_cost_and_its_race(parties, monkeypatch):
    _, bob = parties
    bob("cancel", "1", "--fallback", "never")
    asked: list[str] = []
    monkeypatch.setattr(click, "confirm", lambda text, **_: asked.append(text))
    said = bob("revoke", "1", "--fee-rate", "3", stdin=Terminal())
    assert said.code == 0
    assert len(asked) == 1
    assert "Fee  " in said.err
    assert "It is a race" in said.err


def test_a_fee_that_may_be_too_low_is_told(parties, monkeypatch):
    _, bob = parties
    bob("cancel", "1")
    monkeypatch.setattr(
        EsploraChain, "fee_rate", lambda _self, *, target: FeeRate.from_sat_per_vb(10 * target)
    )
    said = bob("fallback", "1")
    assert said.code == 0
    assert "60 sat/vB is the going rate" in said.err
    assert "60 sat/vB is the going rate" in bob("resume", "--timeout", "1s").err


def test_a_reorganisation_is_told_and_closes_nothing(person, chain):
    alice, bob = person("alice", 100_000), person("bob", 300_000)
    bob.settings["depth"] = "4"
    uri = alice("receive", "50000", "--no-wait").out.strip()
    assert bob("send", uri, "--yes", "--no-wait").code == 0
    bob("cancel", "1", "--fallback", "now")
    chain.node.mine(2)
    timer = threading.Timer(1.5, lambda: chain.node.reorg(2))
    timer.start()
    said = bob("resume", "--timeout", "4s")
    timer.join()
    assert said.code == 3
    assert "has 2 of 4 confirmations" in said.err
    assert "A reorganisation " in said.err
    chain.node.mine(4)
    assert "Paid by the ordinary payment" in bob("resume").out


def test_a_receiver_that_cancelled_and_is_paid_all_the_same_hears_of_it(person, chain):
    alice = person("alice", 100_000)
    uri = alice("receive", "50000", "--no-wait").out.strip()
    alice("cancel", "1")
    script = PayjoinUri.parse(uri).address.script_pubkey
    paid = chain.node.fund(script, Sats(50_000))
    said = alice("resume")
    assert said.code == 0
    assert f"50,000 of 50,000 sats came to its address afterwards. {paid.txid}" in said.err
    assert "Seen at" in alice("history").out
    assert str(paid.txid) in alice("show", "1").out
    assert "afterwards" not in alice("resume").err
    alice("receive", "1000", "--no-wait")
    alice("cancel", "2")
    alice.settings["chain"] = "http://127.0.0.1:1"
    assert "addresses of ended sessions could not be looked at" in alice("resume").err


def test_of_a_confirmed_payment_nobody_says_that_it_is_being_broadcast(person, chain):
    alice, bob = person("alice", 100_000), person("bob", 300_000)
    bob.settings["depth"] = "3"
    uri = alice("receive", "50000", "--no-wait").out.strip()
    assert bob("send", uri, "--yes", "--no-wait", "--fee-rate", "2").code == 0
    assert bob("fallback", "1").code == 0
    chain.node.mine()
    bob("resume", "--timeout", "4s")
    (listed,) = bob("history", "--json").json["sessions"]
    assert listed["seen"]["confirmations"] == 1
    assert "being broadcast" not in listed["status_words"]
    assert "confirmation" in listed["status_words"]


def test_what_keeps_the_ordinary_payment_out_is_told_with_its_rate(person):
    alice, bob = person("alice", 100_000), person("bob", 300_000)
    uri = alice("receive", "50000", "--no-wait").out.strip()
    assert bob("send", uri, "--yes", "--no-wait", "--fee-rate", "4").code == 0
    alice("resume", "--timeout", "3s")
    bob("cancel", "1", "--fallback", "never")
    assert bob("revoke", "1", "--fee-rate", "2", "--yes").code == 0
    said = alice("resume", "--timeout", "3s", "--json")
    assert "It pays 2" in said.err
    assert "and may replace it." in said.err
    [session] = said.json["sessions"]
    assert session["seen"]["kind"] == "stranger"
    assert 2 <= float(session["seen"]["fee_rate"]) < 2.1
    [listed] = alice("history", "--json").json["sessions"]
    assert listed["seen"]["fee_rate"] == session["seen"]["fee_rate"]
    assert alice("show", "1", "--json").json["seen"] == listed["seen"]
