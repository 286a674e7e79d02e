"""Each trouble names its true cause, and what to do about it."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from tests.support.servers import free_port

from dovetail.mailroom import MailroomServer, MailroomSettings


@pytest.fixture
def closed_port() -> int:
    """A port where nothing listens."""
    return free_port()


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[MailroomServer]:
    """A mailroom as it is run in public, whose relay does not forward to itself."""
    with MailroomServer(MailroomSettings(tmp_path / "apart")) as server:
        yield server


def test_a_chain_server_that_is_away(person, closed_port):
    bob = person("bob")
    bob.settings["chain"] = f"http://127.0.0.1:{closed_port}"
    told = bob("wallet", "balance")
    assert told.code == 1
    assert "no connection to the chain server, as nothing listens at its port" in told.err


@pytest.mark.parametrize(
    ("directory", "said"),
    [
        ("http://127.0.0.1:{closed}", "to 127.0.0.1:{closed}, as nothing listens at its port"),
        ("{chain}", "has no OHTTP keys (it answered with status 404)"),
        ("http://localhost:{closed}", "to localhost:{closed}, as nothing listens at its port"),
    ],
    ids=["closed", "another server", "by name"],
)
def test_keys_that_cannot_be_had(person, chain, closed_port, directory, said):
    bob = person("bob")
    bob.settings["directory"] = directory.format(closed=closed_port, chain=chain.url)
    told = bob("receive", "1000")
    assert told.code == 1
    assert "No URI was made." in told.err
    assert said.format(closed=closed_port) in told.err


def test_keys_through_a_relay_that_makes_no_tunnel(person, mailroom):
    bob = person("bob")
    bob.settings["directory"] = mailroom.url.replace("http:", "https:")
    told = bob("receive", "1000")
    assert told.code == 1
    assert "makes no tunnel to" in told.err


def test_a_relay_that_is_away_is_named_with_the_next_try(person, closed_port):
    bob = person("bob", 100_000)
    bob.settings["relays"] = f"http://127.0.0.1:{closed_port}"
    told = bob("receive", "1000", "--timeout", "2s")
    assert told.code == 3
    assert "The OHTTP relay failed." in told.err
    assert f"127.0.0.1:{closed_port}, as nothing listens at its port" in told.err
    assert "Next try in " in told.err


def test_a_mailroom_that_shall_forward_to_itself(person, apart):
    bob = person("bob", 100_000)
    bob.settings |= {"directory": apart.url, "relays": apart.url}
    told = bob("receive", "1000", "--timeout", "2s")
    assert "is both the directory and the relay" in told.err


def test_a_link_for_v1_senders_at_a_mailroom_that_takes_none(person):
    bob = person("bob", 100_000)
    told = bob("receive", "1000", "--v1")
    assert told.code == 2
    assert "takes no senders that speak only BIP 78, as its /health says" in told.err
    assert "--listen" in told.err
    assert told.out == bob("history").out == ""


class SpeaksVersion2(BaseHTTPRequestHandler):
    """Answers a v1 sender as a server does that takes none (BIP 78, well-known errors)."""

    def do_POST(self) -> None:
        body = b'{"errorCode":"version-unsupported","message":"","supported":[2]}'
        self.send_response(400)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


def test_a_v1_link_whose_server_takes_no_v1(person):
    alice, bob = person("alice", 100_000), person("bob")
    address = bob("wallet", "address").out.strip()
    with HTTPServer(("127.0.0.1", 0), SpeaksVersion2) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        link = f"bitcoin:{address}?amount=0.0002&pj=http://127.0.0.1:{server.server_port}/pay"
        told = alice("send", link, "--yes", "--timeout", "2s")
        server.shutdown()
    assert told.code == 3
    shown = alice("show", "1")
    assert "its server takes only version 2" in shown.out
    assert "Ask the receiver for a Payjoin URI of version 2" in shown.out
    assert "its server takes only version 2" in alice("history").out
    assert alice("show", "1", "--json").json["reason"] == "v1-refused"


@pytest.mark.parametrize("server", [("mailroom", "serve"), ("regtest", "serve")])
def test_a_port_in_use(cli, server):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = cli(*server, "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert told.code == 2
    assert "as another program listens there: stop it" in told.err


def run(bob, redirected: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = f'exec "$@" {redirected}'
    return subprocess.run(
        ["sh", "-c", command, "sh", sys.executable, "-m", "dovetail.cli", *words],
        env=bob.environment | {"HOME": str(bob.folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("words", [("history",), ("receive", "1000", "--no-wait")])
def test_an_output_that_is_closed_is_told_before_anything_is_done(person, words):
    bob = person("bob")
    told = run(bob, ">&-", *words)
    assert told.returncode == 2
    assert "Standard output is closed" in told.stderr
    assert bob("history").out == ""


def test_a_uri_that_could_not_be_shown_is_no_open_session(person):
    bob = person("bob")
    told = run(bob, ">/dev/full", "receive", "1000", "--no-wait")
    assert told.returncode == 2
    assert "session 1 was cancelled" in told.stderr
    [session] = bob("history", "--json").json["sessions"]
    assert session["outcome"] == "cancelled"
