"""`dovetail run` as a real process, beside the commands of others."""

import json
import os
import signal
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.cli.in_process import LOGS
from tests.cli.test_payments import post
from tests.support.commands import run, running
from tests.support.waiting import PATIENCE, wait_for

from dovetail.cli.overdue import MARGIN
from dovetail.locking import hold, is_held
from dovetail.sessions import sender
from dovetail.stores.sql import SqliteStore


def log(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "stderr").read_text().splitlines()]


def told(folder: Path, **wanted: object) -> bool:
    return any(wanted.items() <= each.items() for each in log(folder))


def is_ready(folder: Path) -> bool:
    return "Ready" in (folder / "stderr").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_its_sessions_stay_open(person, tmp_path, number):
    alice = person("alice", 10_000)
    assert alice("receive", "1000", "--no-wait").code == 0
    with running(alice.environment, "run", folder=tmp_path) as process:
        wait_for(lambda: is_ready(tmp_path))
        assert is_held(alice.database.parent)
        wait_for(lambda: "Session 1: Waiting" in (tmp_path / "stderr").read_text())
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0
    assert not is_held(alice.database.parent)
    assert alice("show", "1", "--json").json["status"] == "waiting-for-payment"


def test_a_second_one_is_refused_in_a_sentence(person, tmp_path):
    alice = person("alice", 10_000)
    with running(alice.environment, "run", folder=tmp_path):
        wait_for(lambda: is_ready(tmp_path))
        second = run(alice.environment, "run")
    assert second.returncode == 2
    assert "Another `dovetail run` works in this data folder: stop that one first" in second.stderr
    assert second.stderr.count("\n") == 1


def test_it_makes_the_payment_that_others_begin_and_its_log_holds_no_secret(
    person, chain, mailroom, tmp_path
):
    alice, bob = person("alice", 100_000), person("bob", 300_000)
    with (
        running(alice.environment, "run", "--log", "json", "-vv", folder=tmp_path / "r"),
        running(bob.environment, "run", "--log", "json", folder=tmp_path / "s"),
    ):
        wait_for(lambda: is_ready(tmp_path / "r") and is_ready(tmp_path / "s"))
        asked = alice("receive", "50000", "--no-wait")
        begun = time.monotonic()
        wait_for(lambda: told(tmp_path / "r", session=1, event="begun"))
        assert time.monotonic() - begun < 1.5
        assert "`dovetail run` is working on it." in asked.err
        uri = asked.out.strip()
        sent = bob("send", uri, "--yes", "--no-wait", "--fee-rate", "2")
        assert sent.code == 0
        assert "`dovetail run` is working on it." in sent.err
        wait_for(lambda: told(tmp_path / "s", event="seen", session=1, confirmations=0))
        chain.node.mine(1)
        wait_for(lambda: told(tmp_path / "r", event="paid", outcome="success"))
        wait_for(lambda: told(tmp_path / "s", event="paid", outcome="success"))
    (paid,) = [each for each in log(tmp_path / "s") if each.get("event") == "paid"]
    assert (paid["amount_sats"], len(str(paid["txid"]))) == (50_000, 64)
    for each in ("r", "s"):
        said = (tmp_path / each / "stderr").read_text()
        for secret in ("bcrt1", "bitcoin:", mailroom.url, "cHNidP", "RK1"):
            assert secret not in said
    for each in (alice, bob):
        assert each("show", "1", "--json").json["outcome"] == "success"


def test_readiness_life_and_stopping_are_told_to_the_service_manager(person, tmp_path):
    alice = person("alice", 10_000)
    # Abstract, as a service manager in a container has it.
    name = f"dovetail-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(PATIENCE)
        more = {"NOTIFY_SOCKET": f"@{name}", "WATCHDOG_USEC": "100000"}
        with running(alice.environment | more, "run", folder=tmp_path) as process:
            first = {manager.recv(100) for _ in range(3)}
            assert first == {b"READY=1", b"WATCHDOG=1"}
            process.send_signal(signal.SIGTERM)
            while manager.recv(100) != b"STOPPING=1":
                pass
            assert process.wait(PATIENCE) == 0


def test_it_serves_senders_of_bip_78(person, chain, tmp_path):
    alice, bob = person("alice", 200_000), person("bob", 300_000)
    with running(alice.environment, "run", "--listen", "127.0.0.1:0", folder=tmp_path) as process:
        wait_for(lambda: is_ready(tmp_path))
        (served,) = [
            line.partition(" at ")[2].split()[0]
            for line in (tmp_path / "stderr").read_text().splitlines()
            if "Serving BIP 78" in line
        ]
        words = ("receive", "50000", "--v1", "--no-wait", "--public-url", served)
        uri = alice(*words).out.strip()
        assert post(bob, uri)["version"] == 1
        bob("resume", "--timeout", "3s")
        wait_for(lambda: bool(chain.node.mempool_txids()))
        chain.node.mine(1)
        wait_for(lambda: "Paid" in (tmp_path / "stderr").read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_an_overdue_payment_is_told_by_every_command_unless_it_is_worked_on(cli, monkeypatch):
    cli.database.parent.mkdir(parents=True)
    entries = (LOGS / "sender" / "success.jsonl").read_bytes().splitlines()
    with SqliteStore.open(cli.database) as store:
        paying = store.new_sender()
        for seq, sent in enumerate(map(sender.decode_event, entries[:2])):
            paying.append(sent, seq=seq, closes=False)
        expired = int(store.row(paying.session_id).expires_at)
    assert "Overdue" not in cli("history").err
    later = SimpleNamespace(time=lambda: expired + MARGIN + 1)
    monkeypatch.setattr("dovetail.cli.overdue.time", later)
    for words in (("history",), ("show", "1")):
        said = cli(*words)
        assert said.code == 0
        assert said.err.startswith("Overdue: session 1 has expired, its payment is not made")
        assert "Run `dovetail resume 1` now." in said.err
        assert said.err.count("Overdue") == 1
    with hold(cli.database.parent, taken=""):
        assert "Overdue" not in cli("history").err


def test_events_are_json_lines_from_the_uri_to_the_end(person, tmp_path):
    alice = person("alice", 10_000)
    said = alice("receive", "1000", "--events", "--timeout", "2s")
    assert said.code == 3
    begun, *rest = [json.loads(line) for line in said.lines]
    assert (begun["event"], begun["session"], begun["uri"][:8]) == ("begun", 1, "bitcoin:")
    assert [each["event"] for each in rest] == ["state", "left"]
    assert {each["uri"] for each in rest} == {None}
    assert alice("receive", "1000", "--events", "--json").code == 2


def test_a_decision_that_is_saved_while_the_chain_is_away_is_no_error(cli):
    cli.database.parent.mkdir(parents=True)
    assert cli("wallet", "new").code == 0
    cli.settings["relays"] = "http://127.0.0.1:1"
    entries = (LOGS / "sender" / "success.jsonl").read_bytes().splitlines()
    with SqliteStore.open(cli.database) as store:
        paying = store.new_sender()
        for seq, sent in enumerate(map(sender.decode_event, entries[:2])):
            paying.append(sent, seq=seq, closes=False)
    said = cli("cancel", "1", "--fallback", "now")
    assert said.code == 3
    assert "Your decision is saved. The rest could not be done yet: " in said.err
    assert "Error" not in said.err
