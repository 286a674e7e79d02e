"""`history` and `show`, on logs as they were recorded."""

import re
import sqlite3
import sys
from contextlib import closing

import pytest
from tests.cli.in_process import LOGS, Cli, Terminal

from dovetail.cli import json_keys
from dovetail.explain.event import RECEIVER, SENDER, meaning
from dovetail.protocol.proposal import RULES, rule_words
from dovetail.sessions import receiver, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sender import events as sent
from dovetail.stores.ports import Role

NAMES = sorted(f"{path.parent.name}/{path.stem}" for path in LOGS.glob("*/*.jsonl"))
OUTCOMES = {
    "sender/revoked": "revoked",
    "receiver/paid-by-payjoin": "payjoin",
    "receiver/paid-directly": "paid directly",
    "receiver/nobody-can-tell": "proposal sent",
    "receiver/expired-unpaid": "expired",
    "receiver/paid-by-fallback-when-due": "ordinary payment",
    "receiver/replied-with-error": "cancelled",
}


def test_without_sessions_history_says_how_to_begin_and_makes_no_files(cli: Cli):
    said = cli("history")
    assert said.code == 0
    assert said.out == ""
    assert "dovetail receive" in said.err
    assert not cli.folder.exists()


def test_history_lists_each_outcome_newest_first(cli: Cli):
    cli.store(*OUTCOMES)
    lines = [line for line in cli("history").lines if line[:4].strip()]
    assert lines[0].split()[:3] == ["ID", "Role", "Amount"]
    expected = list(zip(range(1, len(OUTCOMES) + 1), OUTCOMES.values(), strict=True))
    for line, (number, outcome) in zip(lines[1:], reversed(expected), strict=True):
        assert line.split()[0] == str(number)
        assert outcome in line


def test_history_goes_on_page_by_page(cli: Cli):
    cli.store(*OUTCOMES)
    said = cli("history", "--limit", "3", "--json")
    assert [each["session"] for each in said.json["sessions"]] == [7, 6, 5]
    assert said.json["more"]
    assert "--before 5" in cli("history", "--limit", "3").err
    said = cli("history", "--before", "3", "--json")
    assert [each["session"] for each in said.json["sessions"]] == [2, 1]
    assert not said.json["more"]


def test_history_can_be_of_open_sessions_alone(person):
    alice = person("alice", 10_000)
    alice.store("sender/success")
    alice("receive", "1000", "--no-wait")
    assert [each["session"] for each in alice("history", "--open", "--json").json["sessions"]] == [
        2
    ]
    said = alice("history", "--open", "--before", "2", "--json")
    assert said.json["sessions"] == []
    assert "resume 2" in alice("history").out


def test_a_person_sees_short_txids_and_a_program_whole_ones(cli: Cli, monkeypatch):
    cli.store("sender/success")
    txid = cli("history", "--json").json["sessions"][0]["txid"]
    assert txid in cli("history").out
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    cli("history")
    assert f"{txid[:8]}…{txid[-4:]}" in terminal.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_show_tells_the_story_of_every_log(cli: Cli, name):
    cli.store(name)
    said = cli("show", "1")
    assert said.code == 0
    entries = (LOGS / f"{name}.jsonl").read_bytes().splitlines()
    story = said.out.split("\n\n")[2].splitlines()
    assert len(story) == len(entries)
    assert story[0][23:].startswith(("You signed ", "The Payjoin URI was made."))
    for heading in ("Address ", "Created ", "Now ", "Next "):
        assert f"\n{heading}" in said.out
    shown = cli("show", "1", "--json").json
    assert set(shown) == set(json_keys.SHOW)
    assert [event["seq"] for event in shown["events"]] == list(range(len(entries)))


@pytest.mark.parametrize("name", NAMES)
def test_show_tells_no_key_no_psbt_and_no_uri_that_is_over(cli: Cli, name):
    cli.store(name)
    said = cli("show", "1")
    for secret in ("pj=", "cHNidP", "RK1"):
        assert secret not in said.out + said.err
    assert "bcrt1" not in said.err


def test_a_damaged_log_is_shown_as_such_and_hides_no_other(cli: Cli):
    cli.store("sender/asked-for-at-once", "receiver/paid-directly")
    cli.damage(1)
    listed = cli("history")
    assert listed.code == 0
    assert "damaged" in listed.out
    assert "paid directly" in listed.out
    values = cli("history", "--json").json["sessions"][1]
    assert set(values) == set(json_keys.LISTED)
    assert values["status"] == "damaged"
    said = cli("show", "1")
    assert said.code == 0
    assert "(The entry cannot be read.)" in said.out
    assert "Still to pay   Not known" in said.out
    assert "dovetail export 1 --with-secrets" in said.out
    assert "Entry" in cli("show", "1", "--json").json["problem"]
    assert "cannot be read" in said.out
    assert "Session 1: " in said.err


def test_an_event_of_a_newer_release_has_a_sentence(cli: Cli):
    cli.store("sender/success")
    with closing(sqlite3.connect(cli.database)) as database, database:
        database.execute("UPDATE session_events SET tag = 'Teleported' WHERE seq = 1")
    assert "upgrade Dovetail" in cli("show", "1").out


@pytest.mark.parametrize("words", [("show", "9"), ("resume", "9"), ("cancel", "9")])
def test_a_session_that_is_not_there_is_one_sentence(person, words):
    alice = person("alice")
    for _ in range(2):
        said = alice(*words)
        assert said.code == 2
        assert said.err == "Error: There is no session 9. `dovetail history` lists the sessions.\n"
        alice("receive", "1000", "--no-wait")


def test_every_event_has_a_meaning():
    def tags(union: object) -> set[str]:
        return {each.__name__ for each in getattr(union, "__args__", ())}

    assert set(RECEIVER) == tags(receiver.ReceiverEvent)
    assert set(SENDER) == tags(sender.SenderEvent)


def test_a_reason_is_told_with_its_event():
    failed = sent.ProtocolFailed(reason=Reason.RECEIVER_UNAVAILABLE)
    words = meaning(Role.SENDER, "ProtocolFailed", sender.encode_event(failed))
    assert words.endswith(Reason.RECEIVER_UNAVAILABLE.words)


def test_history_says_why_there_was_no_payjoin(cli: Cli):
    cli.store("sender/rule-broken", "receiver/paid-by-payjoin")
    lines = cli("history").lines
    notes = [line for line in lines if "└ No payjoin" in line]
    assert len(notes) == 1
    assert notes[0].startswith("    └ No payjoin: The receiver's proposal broke a rule of BIP 78")
    values = cli("history", "--json").json["sessions"]
    assert values[0]["reason"] is None, "there was one"
    assert values[1]["rule"] is not None
    assert values[1]["reason_words"].endswith(".")
    assert values[1]["reason_advice"] == Reason.PROPOSAL_BROKE_RULE.advice


def test_history_and_show_say_what_was_received_and_what_the_receiver_paid(cli: Cli):
    # A payjoin of an earlier release, which took a satoshi of the receiver's for rounding.
    cli.store("receiver/paid-by-payjoin", "receiver/paid-by-fallback-when-due", "sender/success")
    words = "You receive 49,999 sats: 1 sat less than the sender pays, for your part of the fee"
    assert words in cli("history").out
    shown = cli("show", "1").out
    less = "1 sat less than was paid: your part of the fee"
    assert f"\nReceived       49,999 sats, {less}\n" in shown
    assert "\nFee            1,327 sats, at 4.81 sat/vB\n" in shown
    assert "\nReceived       50,000 sats\nFee            1,000 sats, at 4.80 sat/vB\n" in (
        cli("show", "2").out
    )
    told = [cli("show", str(number), "--json").json for number in (1, 2, 3)]
    assert [each["transaction_fee_sats"] for each in told[:2]] == [1327, 1000]
    assert [each["transaction_fee_rate"] for each in told[:2]] == ["4.81", "4.80"]
    assert told[2]["transaction_fee_rate"] == told[2]["paid_fee_rate"]
    assert re.search(r"\nFee            [0-9,]+ sats, at ", cli("show", "3").out)
    paid, ordinary, received = cli("history", "--json").json["sessions"]
    assert (received["received_sats"], received["receiver_fee_sats"]) == (49_999, 1)
    assert (ordinary["received_sats"], ordinary["receiver_fee_sats"]) == (50_000, 0)
    assert received["paid_fee_sats"] is paid["received_sats"] is None
    assert paid["paid_fee_sats"] > 0
    assert float(paid["paid_fee_rate"]) > 0


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_words(rule):
    assert rule_words(rule).startswith("It ")
    assert "not known" in rule_words("of-a-newer-release")


def test_history_is_compact_in_a_pipe(cli: Cli):
    cli.store(*OUTCOMES)
    said = cli("history")
    told = [line for line in said.lines if "└" not in line]
    assert max(map(len, told)) <= 100
    [txid] = {each["txid"] for each in said_sessions(cli) if each["session"] == 1}
    assert f"    Transaction: {txid}" in said.out


def said_sessions(cli: Cli) -> list[dict[str, object]]:
    found: list[dict[str, object]] = cli("history", "--json").json["sessions"]
    return found


def test_an_ordinary_payment_that_was_wanted_is_not_explained(cli: Cli):
    cli.store("sender/plain")
    assert cli("history", "--json").json["sessions"][0]["reason"] == "plain-payment"
    assert "No payjoin" not in cli("history").out
    assert "\nWhy " not in cli("show", "1").out


def test_show_draws_what_was_exchanged_and_what_is_owed(cli: Cli):
    cli.store("receiver/paid-by-payjoin", "receiver/replied-with-error", "sender/success")
    out = cli("show", "1").out
    assert "(received a PSBT of " in out
    assert "in a message of 7,168, in 8,192 bytes on the wire)" in out
    assert "Still to come" not in out
    assert "(sent a message of 7,168, in 8,192 bytes on the wire)" in cli("show", "2").out
    sizes = [event["exchanged"] for event in cli("show", "3", "--json").json["events"]]
    posted = {"direction": "sent", "wire": 8192, "message": 7168, "psbt": None}
    assert posted in sizes
    assert sizes[0] is None


def test_over_plain_http_no_message_has_a_fixed_size(cli: Cli):
    cli.store("receiver/paid-by-payjoin-of-v1-http", "receiver/paid-by-payjoin-of-v1-directory")
    http, directory = (cli("show", str(n), "--json").json["events"] for n in (1, 2))
    assert {e["exchanged"]["wire"] for e in http if e["exchanged"]} == {None}
    assert {e["exchanged"]["wire"] for e in directory if e["exchanged"]} == {8192}
    assert {e["exchanged"]["message"] for e in http + directory if e["exchanged"]} == {None}


def test_what_time_does_next_is_counted_down(person):
    alice = person("alice", 10_000)
    alice("receive", "1000", "--no-wait", "--lifetime", "2h")
    left = r"expires in (1h 59m|2h 00m)"
    assert re.search(left, alice("history").out)
    assert re.search(f"Time left      {left}, at ", alice("show", "1").out)
    assert (
        "Still to come  Nothing yet: no payment has come through the Payjoin URI."
        in alice("show", "1").out
    )


def test_how_a_closed_session_ended_is_listed_although_its_log_is_damaged(cli: Cli):
    cli.store("sender/success")
    before = cli("history", "--json").json
    cli.damage(1)
    assert cli("history", "--json").json == before
    assert cli("show", "1", "--json").json["status"] == "damaged"


def test_an_open_session_whose_row_was_written_by_another_release_is_listed_by_its_log(cli: Cli):
    cli.store("sender/expired", "receiver/paid-by-payjoin")
    cli.change("DELETE FROM session_events WHERE seq > 2")
    cli.change("UPDATE sessions SET closed_at = NULL, outcome = NULL, ending = NULL, next_seq = 3")
    cli.change(
        "UPDATE sessions SET last_tag = (SELECT tag FROM session_events AS e"
        " WHERE e.session_id = sessions.session_id AND seq = 2)"
    )
    by_log = cli("history", "--json").json
    assert "damaged" not in {each["status"] for each in by_log["sessions"]}
    cli.change("""UPDATE sessions SET standing = '{"edition":3,"state":"Beamed"}'""")
    assert cli("history", "--json").json == by_log
    standing = b'{"edition":2,"state":"PollingForProposal","amount":7}'
    cli.change("UPDATE sessions SET standing = ?", standing)
    assert [each["amount_sats"] for each in cli("history", "--json").json["sessions"]] == [7, 7]
    cli.damage(1)
    one, other = reversed(cli("history", "--json").json["sessions"])
    assert one["status"] == "damaged"
    assert other["amount_sats"] == 7
    cli.change("UPDATE sessions SET last_tag = 'Teleported'")
    assert {each["status"] for each in cli("history", "--json").json["sessions"]} == {"damaged"}


def test_what_a_rival_pays_is_listed_and_shown(cli: Cli):
    cli.store("receiver/paid-by-payjoin")
    cli.change("DELETE FROM session_events WHERE seq > 10")
    cli.change("UPDATE sessions SET closed_at = NULL, outcome = NULL, ending = NULL, next_seq = 11")
    cli.change("UPDATE sessions SET last_tag = 'PostedPayjoinProposal'")
    row = "INSERT INTO sightings VALUES (1, 'stranger', ?, 0, 1, 0, 0, 1, 875, NULL, NULL, NULL)"
    cli.change(row, "0a" * 32)
    assert "It pays 3.5 sat/vB." in cli("history").out
    assert "It pays 3.5 sat/vB." in cli("show", "1").out
    for seen in (
        cli("history", "--json").json["sessions"][0]["seen"],
        cli("show", "1", "--json").json["seen"],
    ):
        assert seen["fee_rate"] == "3.5"


@pytest.mark.parametrize("name", NAMES)
def test_a_list_tells_of_every_log_what_show_tells(cli: Cli, name):
    cli.store(name)
    (listed,) = cli("history", "--json").json["sessions"]
    shown = cli("show", "1", "--json").json
    assert listed == {key: shown[key] for key in json_keys.LISTED}


TWENTY_DIGITS = "99999999999999999999"


@pytest.mark.parametrize("number", [TWENTY_DIGITS, str(1 << 63)])
@pytest.mark.parametrize(
    "words",
    [
        ("show",),
        ("resume",),
        ("cancel",),
        ("fallback",),
        ("release", "--yes"),
        ("revoke", "--yes"),
        ("export",),
        ("history", "--before"),
        ("history", "--open", "--before"),
    ],
    ids=" ".join,
)
def test_a_number_of_twenty_digits_is_no_session(person, words, number):
    alice = person("alice")
    alice("receive", "1000", "--no-wait")
    said = alice(*words, number)
    assert said.code == 2
    assert (
        said.err == f"Error: There is no session {number}. `dovetail history` lists the sessions.\n"
    )
