"""A payment from end to end: the chain, the mailroom and both wallets are real."""

import sys

import click
import pytest
from tests.cli.in_process import Cli, Terminal

from dovetail.bitcoin import FeeRate
from dovetail.cli import exits, json_keys
from dovetail.errors import ChainError
from dovetail.protocol.uri import PayjoinUri
from dovetail.wallets.esplora.chain import EsploraChain


def ask(receiver: Cli, amount: int = 50_000, *words: str) -> str:
    said = receiver("receive", str(amount), "--no-wait", *words)
    assert said.code == 0, said.err
    return said.out.strip()


def post(sender: Cli, uri: str, *words: str):
    said = sender("send", uri, "--yes", "--no-wait", "--fee-rate", "2", "--json", *words)
    assert said.code == 0, said.err
    return said.json


def test_a_payjoin_by_parties_that_are_never_online_together(person, chain):
    alice, bob = person("alice", 200_000), person("bob", 300_000)
    uri = ask(alice, 50_000, "--label", "Alice's café")
    assert PayjoinUri.parse(uri).amount == 50_000

    sent = post(bob, uri)
    assert set(sent) == set(json_keys.SEND)
    assert sent["status"] == "waiting-for-proposal"
    assert sent["role"] == "sender"
    assert sent["amount_sats"] == 50_000
    assert 0 < sent["most_added_sats"] < sent["fee_sats"]
    assert bob("wallet", "balance", "--json").json["reserved_sats"] == 300_000
    assert "reserved" in bob("wallet", "coins").out

    answered = alice("resume", "1", "--timeout", "4s", "--json")
    assert answered.code == 3
    assert set(answered.json) == set(json_keys.RESUME)
    (session,) = answered.json["sessions"]
    assert set(session) == set(json_keys.SESSION)
    assert session["status"] == "proposal-sent"
    assert "dovetail resume 1" in answered.err

    broadcast = bob("resume", "--timeout", "4s", "--json")
    assert broadcast.code == 3
    txid = broadcast.json["sessions"][0]["txid"]
    assert txid in map(str, chain.node.mempool_txids())
    assert broadcast.json["sessions"][0]["seen"]["txid"] == txid

    watched = alice("resume", "--timeout", "2s", "--json")
    assert f"The network has the payjoin; it waits to be mined. {txid}" in watched.err
    seen = watched.json["sessions"][0]["seen"]
    assert (seen["kind"], seen["txid"], seen["confirmations"]) == ("payjoin", txid, 0)
    (listed,) = alice("history", "--json").json["sessions"]
    assert listed["seen"] | {"at": 0} == seen | {"at": 0}
    assert listed["seen"] == alice("show", "1", "--json").json["seen"]
    assert txid in alice("history").out
    for command in (("history",), ("show", "1")):
        assert "The network has the payjoin; it waits to be mined." in alice(*command).out
    assert txid in alice("show", "1").out
    chain.node.mine(1)

    for party in (alice, bob):
        done = party("resume")
        assert done.code == 0
        assert done.out == f"Paid by payjoin. {txid}\n"
        shown = party("show", "1", "--json")
        assert set(shown.json) == set(json_keys.SHOW)
        assert shown.json["outcome"] == "success"
        assert shown.json["txid"] == txid
        assert shown.json["events"][-1]["words"] == "Paid by payjoin."
        listed = party("history", "--json")
        assert set(listed.json) == set(json_keys.HISTORY)
        assert [each["outcome"] for each in listed.json["sessions"]] == ["success"]
        assert txid in party("history").out
    assert alice("wallet", "balance", "--json").json["confirmed_sats"] in range(249_990, 250_001)
    assert "nothing to resume" in alice("resume").err


def test_receive_waits_and_says_how_to_go_on(person):
    alice = person("alice", 10_000)
    said = alice("receive", "1000", "--timeout", "0.5s")
    assert said.code == 3
    assert said.out.startswith("bitcoin:bcrt1")
    assert len(said.lines) == 1
    assert "Waiting for the sender." in said.err
    assert "It expires at" in said.err
    assert "dovetail resume 1" in said.err


def test_receive_under_json_is_one_object_at_the_end(person):
    alice = person("alice", 10_000)
    said = alice("receive", "1000", "--timeout", "0.5s", "--json")
    assert said.code == 3
    assert set(said.json) == set(json_keys.RECEIVE)
    assert said.json["uri"] in said.err
    said = alice("receive", "1000", "--no-wait", "--json")
    assert said.code == 0
    assert set(said.json) == set(json_keys.RECEIVE)
    assert said.json["session"] == 2


def test_receive_draws_a_qr_code_where_it_fits_or_writes_it_to_a_file(
    person, monkeypatch, tmp_path
):
    alice = person("alice", 10_000)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")

    def told(lines: int, *options: str) -> str:
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("LINES", str(lines))
        ask(alice, 50_000, *options)
        return terminal.getvalue()

    assert "▀" in told(60)
    small = told(24)
    assert "▀" not in small
    assert "enlarge the terminal, or write it to a file with --qr FILE" in " ".join(small.split())
    assert "QR" not in told(60, "--no-qr")
    picture = tmp_path / "code.svg"
    assert "▀" not in told(60, "--qr", str(picture))
    assert picture.read_text().startswith("<?xml")


def test_a_file_for_the_qr_code_is_judged_before_there_is_a_session(person, tmp_path):
    alice = person("alice", 10_000)
    said = alice("receive", "1000", "--no-wait", "--qr", str(tmp_path / "code.gif"))
    assert said.code == 2
    assert ".png or .svg" in said.err


def test_a_terminal_is_shown_how_much_time_is_left(person, monkeypatch):
    terminal = Terminal()
    alice = person("alice", 10_000)
    monkeypatch.setattr(sys, "stderr", terminal)
    alice("receive", "1000", "--no-qr", "--timeout", "1.5s")
    assert "expires in 23:59:5" in terminal.getvalue()


def test_a_receiver_without_coins_is_told_what_that_means(person):
    said = person("alice")("receive", "1000", "--no-wait")
    assert said.code == 0
    assert "will be an ordinary payment, not a payjoin" in said.err


def test_a_receiver_goes_on_while_the_chain_is_away(person):
    alice = person("alice")
    alice.settings["chain"] = "http://127.0.0.1:1"
    said = alice("receive", "1000", "--timeout", "0.5s")
    assert said.code == 3
    assert "could not be brought up to date" in said.err


def test_a_lifetime_may_be_given(person):
    alice = person("alice")
    said = alice("receive", "1000", "--no-wait", "--lifetime", "90s", "--json")
    endpoint = PayjoinUri.parse(said.json["uri"]).endpoint
    assert getattr(endpoint, "expires_at", None) == said.json["expires_at"]
    assert "in 1m" in said.err


def test_what_will_be_paid_is_shown_before_it_is_asked(person, monkeypatch):
    alice, bob = person("alice", 10_000), person("bob", 300_000)
    uri = ask(alice, 50_000, "--label", "Alice", "--message", "soup\x1b[2J" + "!" * 100)
    asked = []

    def confirm(text: str, **_: object) -> None:
        asked.append(text)
        raise click.Abort

    monkeypatch.setattr(click, "confirm", confirm)
    said = bob("send", uri, "--fee-rate", "2", stdin=Terminal())
    assert said.code == 1
    assert asked == ["Pay this?"]
    for words in ("50,000 sats", "Alice", "soup", "2 sat/vB", "may add at most", "bcrt1"):
        assert words in said.err
    assert "\x1b" not in said.err
    assert exits.STOPPED in said.err
    assert bob("history", "--json").json["sessions"] == []


@pytest.mark.parametrize(
    ("floor", "estimate", "rate", "words"),
    [
        ("3", "5", "2", "Nodes relay from 3 sat/vB on"),
        (None, "5", "0.5", "Many nodes still relay from 1 sat/vB on"),
        (None, "5", "2", "It takes 5 sat/vB to confirm within 6 blocks by the estimate"),
        (None, "5", "5", None),
        (None, None, "2", None),
    ],
)
@pytest.mark.parametrize("command", ["send", "pay"])
def test_a_payment_below_what_is_asked_is_told_before_it_is_made(
    person, monkeypatch, floor, estimate, rate, words, command
):
    """Below 1 sat/vB always, as older nodes keep to that and no Esplora server tells its own."""
    alice, bob = person("alice", 10_000), person("bob", 300_000)
    if floor is not None:
        bob.settings["relay_fee_rate"] = floor

    def confirm(_: str, **__: object) -> None:
        raise click.Abort

    def estimated(*_: object, **__: object) -> FeeRate:
        if estimate is None:
            raise ChainError("The server is away.")
        return FeeRate.from_sat_per_vb(estimate)

    monkeypatch.setattr(click, "confirm", confirm)
    monkeypatch.setattr(EsploraChain, "fee_rate", estimated)
    said = bob(command, ask(alice, 50_000), "--fee-rate", rate, stdin=Terminal())
    assert said.code == 1
    told = [line for line in said.err.splitlines() if "sat/vB" in line]
    warnings = [line for line in told if not line.startswith(("Fee", " "))]
    assert [line[: len(words or "")] for line in warnings] == ([words] if words else [])


def test_who_agrees_pays(person, monkeypatch):
    alice, bob = person("alice", 10_000), person("bob", 300_000)
    monkeypatch.setattr(click, "confirm", lambda *_, **__: True)
    said = bob("send", ask(alice), "--no-wait", stdin=Terminal())
    assert said.code == 0
    assert "dovetail resume 1" in said.err


def test_an_amount_is_given_where_the_uri_names_none(person):
    alice, bob = person("alice", 10_000), person("bob", 300_000)
    uri = ask(alice)
    open_uri = uri.replace("amount=0.0005&", "")
    assert "amount" not in open_uri
    assert post(bob, open_uri, "--amount", "7000")["amount_sats"] == 7000


def test_a_fallback_is_paid_when_the_receiver_has_no_coins(person, chain):
    alice, bob = person("alice"), person("bob", 300_000)
    post(bob, ask(alice))
    told = alice("resume", "--timeout", "4s", "--json")
    assert told.json["sessions"][0]["reason"] == "no-coins-to-contribute"
    chain.node.mine(1)
    for party in (alice, bob):
        said = party("resume")
        assert said.code == 0
        assert "Paid by the ordinary payment" in said.out
        assert "Why: " in said.err


def test_several_sessions_go_on_side_by_side(person):
    alice = person("alice", 10_000)
    ask(alice)
    ask(alice)
    said = alice("resume", "--timeout", "0.5s")
    assert said.code == 3
    assert "#1 Waiting" in said.err
    assert "#2 Waiting" in said.err


def test_nothing_to_resume_is_no_failure(cli: Cli):
    assert cli("wallet", "new").code == 0
    said = cli("resume", "--json")
    assert said.code == 0
    assert said.json == {"sessions": []}


def test_a_session_that_expired_is_a_failure(person):
    alice = person("alice", 10_000)
    ask(alice, 50_000, "--lifetime", "60s")
    later = alice("history", "--json").json["sessions"][0]["expires_at"] + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time", lambda: float(later))
        listed = alice("history", "--json").json["sessions"][0]
        assert (listed["status"], listed["deadline"]) == ("expired", "watching")
        patch.setattr("time.time", lambda: float(later + 600))
        said = alice("resume")
    assert said.code == 1
    assert said.out == "Expired: nothing had come to the address.\n"
    assert "Make a new URI" in said.err
