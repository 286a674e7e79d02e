"""Commands as real processes: signals, servers, and a payjoin between two that wait."""

import signal
from pathlib import Path

import pytest
from tests.support.commands import first_line, run, running
from tests.support.waiting import PATIENCE, wait_for


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_session_resumable_and_says_how(person, tmp_path, number):
    alice = person("alice", 10_000)
    with running(alice.environment, "receive", "1000", folder=tmp_path) as process:
        assert first_line(process).startswith("bitcoin:")
        wait_for(lambda: "Waiting" in (tmp_path / "stderr").read_text())
        process.send_signal(number)
        assert process.wait(PATIENCE) == 3
    said = (tmp_path / "stderr").read_text()
    assert "Session 1 stays open; nothing is lost." in said
    assert said.endswith("not running: keep `dovetail resume 1` open until this is done.\n")
    assert alice("show", "1", "--json").json["status"] == "waiting-for-payment"


def test_what_a_second_terminal_decides_is_noticed_while_a_poll_is_under_way(person, tmp_path):
    """The mailroom holds a poll for half a minute."""
    alice = person("alice", 10_000)
    with running(alice.environment, "receive", "1000", folder=tmp_path) as process:
        assert first_line(process).startswith("bitcoin:")
        wait_for(lambda: "Waiting" in (tmp_path / "stderr").read_text())
        assert alice("cancel", "1").code == 0
        assert process.wait(PATIENCE / 4) == 1


def test_a_receiver_and_a_sender_that_wait_see_the_payjoin_through(person, chain, tmp_path):
    alice, bob = person("alice", 100_000), person("bob", 300_000)
    receiving = running(alice.environment, "receive", "50000", folder=tmp_path / "r")
    with receiving as receiver:
        sending = running(
            bob.environment,
            *("send", first_line(receiver), "--yes", "--fee-rate", "2", "--json"),
            folder=tmp_path / "s",
        )
        with sending as sender:
            wait_for(lambda: "is broadcast" in (tmp_path / "s" / "stderr").read_text())
            chain.node.mine(1)
            assert sender.wait(PATIENCE) == 0
            assert receiver.wait(PATIENCE) == 0
    assert bob("show", "1", "--json").json["outcome"] == "success"
    assert alice("show", "1", "--json").json["outcome"] == "success"


def test_a_log_tells_no_secret_no_address_and_no_url(person, mailroom):
    alice, bob = person("alice", 100_000), person("bob", 300_000)
    uri = alice("receive", "50000", "--no-wait").out.strip()
    words = ("send", uri, "--yes", "--no-wait", "--json", "-vv")
    said = run(bob.environment, *words)
    assert said.returncode == 0
    said = run(alice.environment, "resume", "-vv", "--timeout", "3s")
    assert said.returncode == 3
    logged = [line for line in said.stderr.splitlines() if "dovetail." in line]
    assert logged
    for secret in ("bcrt1", "bitcoin:", mailroom.url, "cHNidP", "RK1"):
        assert secret not in said.stderr


def test_a_chain_is_served_funded_and_mined(tmp_path: Path, cli):
    settings = cli.environment
    with running(
        settings, "regtest", "serve", "--listen", "127.0.0.1:0", "--blocks", "101", folder=tmp_path
    ) as process:
        url = first_line(process)
        cli.settings["chain"] = url
        cli("wallet", "new")
        address = cli("wallet", "address").out.strip()
        funded = cli("regtest", "fund", address, "70000")
        assert funded.code == 0
        assert funded.out.strip().count(":") == 1
        assert len(cli("regtest", "mine", "2", "--json").json["blocks"]) == 2
        assert len(cli("regtest", "mine", "--address", address).lines) == 1
        assert cli("wallet", "balance", "--json").json["confirmed_sats"] == 70_000
        refused = cli("regtest", "fund", "nonsense", "1000", "--json")
        assert refused.code == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert (tmp_path / "stderr").read_text().endswith("The chain has stopped.\n")
    said = cli("regtest", "mine")
    assert said.code == 1
    assert "start one" in said.err


@pytest.mark.parametrize(
    ("words", "role"),
    [
        ((), "mailroom (directory, gateway and relay)"),
        (("--no-relay",), "directory with its gateway"),
        (("--no-directory",), "relay"),
    ],
)
def test_a_mailroom_is_served_until_a_signal(tmp_path, cli, words, role):
    command = ("mailroom", "serve", "--listen", "127.0.0.1:0", "--local", *words)
    with running(cli.environment, *command, folder=tmp_path) as process:
        assert first_line(process).startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    said = (tmp_path / "stderr").read_text()
    assert f"A {role} is running there." in said


def test_a_mailroom_must_be_something(cli):
    said = cli("mailroom", "serve", "--no-directory", "--no-relay")
    assert said.code == 2
    assert len(said.err.splitlines()) == 1
    assert not cli.folder.exists()


@pytest.mark.parametrize("command", ["regtest", "mailroom"])
def test_a_taken_port_is_one_sentence(cli, chain, command):
    said = run(cli.environment, command, "serve", "--listen", f"127.0.0.1:{chain.port}")
    assert said.returncode == 2
    assert said.stderr.startswith("Error: Port ")
    assert len(said.stderr.splitlines()) == 1
