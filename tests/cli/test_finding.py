"""`history` of some sessions alone, and as CSV."""

import csv
import io
import time
from datetime import UTC, datetime

import pytest
from tests.cli.in_process import Cli

from dovetail.cli import json_keys

LOGS = ("sender/success", "receiver/paid-by-payjoin", "sender/plain", "receiver/paid-directly")


def listed(cli: Cli, *words: str) -> list[int]:
    return [each["session"] for each in cli("history", *words, "--json").json["sessions"]]


@pytest.fixture
def filled(cli: Cli) -> Cli:
    """Four sessions that have ended, of which one is opened again and two are named."""
    cli.store(*LOGS)
    cli.change(
        "UPDATE sessions SET closed_at = NULL, outcome = NULL, ending = NULL WHERE session_id = 3"
    )
    cli.change("UPDATE sessions SET label = NULL")
    cli.change("UPDATE sessions SET label = 'Coffee & cake' WHERE session_id = 1")
    cli.change("UPDATE sessions SET label = '=1+1' WHERE session_id = 2")
    return cli


def test_filters_narrow_the_list_together(filled: Cli):
    assert listed(filled) == [4, 3, 2, 1]
    assert listed(filled, "--sent") == [3, 1]
    assert listed(filled, "--received") == [4, 2]
    assert listed(filled, "--open") == [3]
    assert listed(filled, "--closed") == [4, 2, 1]
    assert listed(filled, "--closed", "--sent") == [1]
    assert listed(filled, "--open", "--received") == []
    assert "There is no such session." in filled("history", "--open", "--received").err


@pytest.mark.parametrize("words", [("--open", "--closed"), ("--sent", "--received")])
def test_filters_that_rule_each_other_out_are_refused(filled: Cli, words):
    said = filled("history", *words)
    assert said.code == 2
    assert "No session is both" in said.err


def test_a_text_is_looked_for_in_what_names_a_session(filled: Cli):
    assert listed(filled, "--search", "COFFEE") == [1]
    assert "└ Label: Coffee & cake" in filled("history", "--search", "coffee").out
    assert listed(filled, "--search", "tea") == []
    shown = filled("show", "2", "--json").json
    assert 2 in listed(filled, "--search", shown["address"][:12])
    assert 2 in listed(filled, "--search", shown["txid"][:8])
    short = f"{shown['txid'][:8]}…{shown['txid'][-4:]}"
    assert listed(filled, "--search", short) == listed(filled, "--search", shown["txid"])


def test_a_list_begins_at_a_date(filled: Cli):
    old = int(time.time()) - 3 * 86_400
    filled.change("UPDATE sessions SET created_at = ? WHERE session_id < 3", old)
    day = datetime.fromtimestamp(old + 86_400).astimezone().date()
    assert listed(filled, "--since", str(day)) == [4, 3]
    assert listed(filled, "--since", "2d") == [4, 3]
    assert listed(filled, "--since", "4d") == [4, 3, 2, 1]
    exact = datetime.fromtimestamp(old, UTC).isoformat()
    assert listed(filled, "--since", exact) == [4, 3, 2, 1]
    for text in ("yesterday", "2026-13-01", "7"):
        said = filled("history", "--since", text)
        assert said.code == 2
        assert "give a date such as 2026-11-24" in said.err


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_spreadsheet_gets_a_line_for_each_session(filled: Cli):
    text = filled("history", "--csv").out
    assert text.splitlines()[0] == ",".join(json_keys.CSV)
    assert text.count("\r\n") == text.count("\n") == 5
    found = rows(text)
    values = filled("history", "--json").json["sessions"]
    assert [int(row["session"]) for row in found] == [4, 3, 2, 1]
    for row, value in zip(found, values, strict=True):
        assert row["role"] == value["role"]
        assert row["outcome"] == (value["outcome"] or "")
        assert row["txid"] == (value["txid"] or "")
        assert row["amount_sats"] == str(value["amount_sats"])
        begun = datetime.fromtimestamp(value["created_at"], UTC)
        assert row["created_at"] == begun.isoformat().replace("+00:00", "Z")
        assert bool(row["closed_at"]) is (value["closed_at"] is not None)
    assert [row["label"] for row in found] == ["", "", "'=1+1", "Coffee & cake"]


def test_a_spreadsheet_gets_all_that_is_wanted_and_a_header_in_any_case(cli: Cli, monkeypatch):
    header = ",".join(json_keys.CSV) + "\r\n"
    assert cli("history", "--csv").out == header
    cli.store(*LOGS)
    monkeypatch.setattr("dovetail.cli.handlers.history._PAGE", 2)
    monkeypatch.setattr("dovetail.cli.handlers.history._SCREENFUL", 1)
    assert [row["session"] for row in rows(cli("history", "--csv").out)] == ["4", "3", "2", "1"]
    assert [row["session"] for row in rows(cli("history", "--csv", "--sent").out)] == ["3", "1"]
    assert [row["session"] for row in rows(cli("history", "--csv", "--limit", "3").out)] == [
        "4",
        "3",
        "2",
    ]
    assert [row["session"] for row in rows(cli("history", "--csv", "--before", "3").out)] == [
        "2",
        "1",
    ]
    assert cli("history", "--csv", "--search", "nothing").out == header


def test_what_was_seen_of_an_open_session_is_in_its_line(filled: Cli):
    row = "INSERT INTO sightings VALUES (4, 'direct', ?, 2, 6, 0, 0, 1, NULL, NULL, NULL, NULL)"
    filled.change(row, "0a" * 32)
    assert rows(filled("history", "--csv").out)[0]["confirmations"] == "2"
    filled.change("UPDATE sightings SET gone = 1")
    assert rows(filled("history", "--csv").out)[0]["confirmations"] == ""


def test_a_damaged_log_has_a_line_too(filled: Cli):
    filled.damage(3)
    found = rows(filled("history", "--csv").out)[1]
    assert (found["session"], found["status"], found["txid"]) == ("3", "damaged", "")
