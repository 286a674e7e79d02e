"""What `show` tells of a session besides its story."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import segno
import zxingcpp
from msgspec import structs
from tests.cli.in_process import Cli, Terminal

from dovetail.bitcoin import Sats
from dovetail.cli import json_keys
from dovetail.cli.handlers.show_details import details_of, lines
from dovetail.explain.session import explain
from dovetail.sessions.amounts import Paid
from dovetail.stores.integrity import load_session
from dovetail.stores.ports import SessionId
from dovetail.stores.sql import SqliteStore


def facts(out: str) -> dict[str, str]:
    """What stands behind each heading, above the story."""
    return {line[:15].strip(): line[15:] for line in out.split("\n\n")[1].splitlines()}


@pytest.fixture
def asking(person) -> Cli:
    """Somebody who asks for a payment."""
    alice: Cli = person("alice", 20_000)
    said = alice("receive", "1500", "--no-wait", "--label", "Tea", "--message", "Two\ncups")
    assert said.code == 0
    return alice


def test_a_receiver_finds_its_uri_as_long_as_somebody_can_pay_by_it(asking: Cli):
    shown = asking("show", "1", "--json").json
    told = facts(asking("show", "1").out)
    assert shown["uri"].startswith(f"bitcoin:{shown['address']}?amount=0.000015&label=Tea&")
    assert told["Payjoin URI"] == shown["uri"]
    assert (told["Label"], told["Message"]) == ("Tea", "Two cups")
    assert (shown["label"], shown["message"]) == ("Tea", "Two\ncups")
    assert told["Address"] == shown["address"]
    assert told["Asked for"] == "1,500 sats"
    assert shown["asked_sats"] == 1500
    assert shown["created_at"] < shown["expires_at"]
    assert re.fullmatch(r"[0-9-]{10} [0-9:]{8}", told["Expires"])
    asking.change("UPDATE sessions SET expires_at = 1")
    assert asking("show", "1", "--json").json["uri"] == shown["uri"], "the log decides"
    assert asking("cancel", "1", "--fallback", "later").code == 0
    shown = asking("show", "1", "--json").json
    assert shown["uri"] is None
    assert shown["closed_at"] >= shown["created_at"]
    assert "Payjoin URI" not in facts(asking("show", "1").out)


def test_a_uri_that_has_expired_is_shown_no_more(cli: Cli):
    cli.store("receiver/expired-unpaid")
    cli.change("DELETE FROM session_events WHERE seq > 0")
    cli.change(
        "UPDATE sessions SET closed_at = NULL, outcome = NULL, ending = NULL, next_seq = 1,"
        " last_tag = 'Created'"
    )
    shown = cli("show", "1", "--json").json
    assert shown["status"] == "expired"
    assert shown["uri"] is None


def test_its_qr_code_is_drawn_where_it_fits(asking: Cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("LINES", "60")
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    for words in (("show", "1", "--qr"), ("show", "--qr", "1"), ("show", "1", "--qr", "--json")):
        terminal.truncate(0)
        assert asking(*words).code == 0
        assert "Have the sender scan this." in terminal.getvalue()
        assert "▀▀▀" in re.sub("\x1b\\[[0-9;]*m", "", terminal.getvalue())
    monkeypatch.setenv("COLUMNS", "40")
    asking("show", "1", "--qr")
    assert "enlarge the terminal" in terminal.getvalue()


def test_its_qr_code_is_written_to_a_file(asking: Cli, tmp_path: Path, monkeypatch):
    uri = asking("show", "1", "--json").json["uri"]
    monkeypatch.chdir(tmp_path)
    said = asking("show", "1", "--qr", "code.png")
    assert "The QR code is in code.png." in said.err
    pixels = Path("code.png").read_bytes()
    assert pixels.startswith(b"\x89PNG")
    assert asking("show", "--qr", "code.svg", "1").code == 0
    assert b"<svg" in Path("code.svg").read_bytes()
    assert zxingcpp.read_barcodes(_grey(uri))[0].text.partition("?")[2] == uri.partition("?")[2]
    said = asking("show", "1", "--qr", "code.jpg")
    assert said.code == 2
    assert "ends in .png or .svg" in said.err


def _grey(uri: str) -> memoryview:
    rows = [
        bytes(0 if dark else 255 for dark in row for _ in range(4))
        for row in segno.make(uri, error="l", micro=False).matrix_iter(border=4)
        for _ in range(4)
    ]
    return memoryview(b"".join(rows)).cast("B", shape=[len(rows), len(rows[0])])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("receiver/paid-directly", "Nobody can pay by the Payjoin URI of session 1 any more"),
        ("sender/success", "Session 1 pays: only a session that receives has a QR code."),
    ],
)
def test_there_is_no_code_of_what_cannot_be_paid(cli: Cli, name, words):
    cli.store(name)
    for option in (["--qr"], ["--qr", f"{cli.folder}/code.svg"]):
        said = cli("show", "1", *option)
        assert said.code == 2
        assert words in said.err
        assert said.out == ""
    assert not (cli.folder / "code.svg").exists()


def test_a_payer_sees_what_was_paid_in_all_and_what_the_payjoin_cost(cli: Cli):
    cli.store("sender/success", "sender/plain")
    told, shown = facts(cli("show", "1").out), cli("show", "1", "--json").json
    assert shown["payjoin_cost_sats"] == 0
    assert shown["payjoin_added_sats"] == [30_000]
    assert told["Payjoin"] == "cost you nothing; the receiver added 1 coin (30,000 sats)"
    own = shown["spent_sats"] - shown["amount_sats"]
    assert own == shown["paid_fee_sats"], "the receiver paid nothing of it"
    amount = f"{shown['amount_sats']:,} sats"
    whole = f"{shown['spent_sats']:,} sats in all"
    assert told["Paid"] == f"{whole}: {amount}, and a fee of {own:,} sats"
    assert told["Fee"].endswith(f"at {shown['paid_fee_rate']} sat/vB (1 sat/vB was planned)")
    assert shown["asked_fee_rate"] == "1.00"
    plain = cli("show", "2", "--json").json
    assert plain["asked_fee_rate"] is None
    assert plain["payjoin_cost_sats"] is None
    told = facts(cli("show", "2").out)
    assert "Expires" not in told
    assert told["Paid"].endswith(f"and a fee of {plain['paid_fee_sats']:,} sats")


def test_a_payer_sees_which_part_of_the_fee_was_theirs(cli: Cli):
    cli.store("sender/success")
    with SqliteStore.open(cli.database) as store:
        row, state = store.row(SessionId(1)), load_session(store, SessionId(1))
    found = explain(state, row.created_at)
    assert isinstance(found.amounts, Paid)
    shared = replace(found.amounts, fee=Sats(found.amounts.fee + 100))
    found = structs.replace(found, amounts=shared)
    told = dict(lines(row, found, details_of(state, found)))
    assert told["Paid"].endswith(f"and {shared.fee - 100:,} sats of the fee")
    assert told["Fee"].startswith(f"{shared.fee:,} sats, at ")


def test_who_raised_the_fee_sees_the_one_that_was_paid(cli: Cli):
    cli.store("sender/fee-raised")
    raised = cli("show", "1", "--json").json
    assert raised["spent_sats"] == raised["amount_sats"] + raised["paid_fee_sats"]


def test_a_receiver_sees_which_coins_went_in(cli: Cli):
    cli.store("receiver/paid-by-payjoin", "receiver/paid-by-payjoin-of-v1-http")
    one, other = (facts(cli("show", each).out)["Payjoin"] for each in ("1", "2"))
    coin = "1 coin of yours (70,000 sats) went in"
    assert one == f"cost you 1 sat more than the ordinary payment; {coin}"
    assert other == f"cost you 327 sats more than the ordinary payment; {coin}"


def test_before_it_is_known_what_is_paid_the_chosen_rate_is_told(cli: Cli):
    cli.store("sender/cancelled")
    cli.change("DELETE FROM session_events WHERE seq > 0")
    cli.change(
        "UPDATE sessions SET closed_at = NULL, outcome = NULL, ending = NULL, next_seq = 1,"
        " last_tag = 'Created'"
    )
    told = facts(cli("show", "1").out)
    assert told["Fee rate"] == "1 sat/vB"
    assert "To pay" not in told


def test_confirmations_are_those_that_were_seen_last(cli: Cli):
    cli.store("sender/success", "sender/plain")
    txid = cli("show", "1", "--json").json["txid"]
    row = "INSERT INTO sightings VALUES (?, ?, ?, ?, 6, 0, 0, 1, NULL, NULL, NULL, NULL)"
    cli.change(row, 1, "payjoin", txid, 2)
    cli.change(row, 2, "stranger", "0a" * 32, 3)
    shown = cli("show", "1", "--json").json
    assert (shown["confirmations"], shown["confirmations_wanted"]) == (2, 6)
    assert facts(cli("show", "1").out)["Confirmations"].startswith("2 of 6, as seen at ")
    assert cli("show", "2", "--json").json["confirmations"] is None, "another transaction's"
    cli.change("UPDATE sightings SET gone = 1")
    assert cli("show", "1", "--json").json["confirmations"] is None


def test_of_a_damaged_log_the_row_is_told(cli: Cli):
    cli.store("sender/success")
    cli.change("UPDATE sessions SET label = 'Rent'")
    cli.damage(1)
    shown = cli("show", "1", "--json").json
    assert set(shown) == set(json_keys.SHOW)
    assert shown["label"] == "Rent"
    assert shown["address"] is shown["uri"] is shown["spent_sats"] is None
    assert facts(cli("show", "1").out)["Label"] == "Rent"
    said = cli("show", "1", "--qr")
    assert said.code == 2
