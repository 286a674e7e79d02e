"""BIP 78 by the command line: our receiver serves, our sender pays, both as people would."""

import signal
from pathlib import Path

import pytest
from tests.cli.test_payments import post
from tests.support.certificates import make_certificate
from tests.support.commands import first_line, run, running
from tests.support.waiting import PATIENCE, wait_for

from dovetail.bitcoin import UnixTime
from dovetail.cli.live.preview import disclosures
from dovetail.crypto import KeyConfig
from dovetail.crypto.secp256k1 import SecretKey
from dovetail.protocol.uri import PayjoinUri, V1Endpoint, V2Endpoint

SERVE = ("receive", "50000", "--v1", "--listen", "127.0.0.1:0")


def test_a_v1_payjoin_needs_neither_directory_nor_relay(person, chain, tmp_path):
    alice, bob = person("alice", 200_000), person("bob", 300_000)
    for each in (alice, bob):
        for name in ("directory", "relays"):
            each.settings[name] = "http://127.0.0.1:1"
    with running(alice.environment, *SERVE, folder=tmp_path / "r") as process:
        uri = first_line(process)
        assert isinstance(PayjoinUri.parse(uri).endpoint, V1Endpoint)
        sent = post(bob, uri)
        assert sent["version"] == 1
        assert sent["status"] in ("ready-to-sign", "ready-to-broadcast", "confirming")
        if sent["txid"] is None:
            bob("resume", "--timeout", "3s")
        wait_for(lambda: bool(chain.node.mempool_txids()))
        chain.node.mine(1)
        assert process.wait(PATIENCE) == 0
    assert "Serving BIP 78 senders at http://127.0.0.1:" in (tmp_path / "r" / "stderr").read_text()
    done = bob("resume")
    assert done.code == 0
    assert done.out.startswith("Paid by payjoin. ")
    assert alice("history", "--json").json["sessions"][0]["outcome"] == "success"


def test_a_session_waits_for_its_sender_in_a_later_run(person, tmp_path):
    alice, bob = person("alice", 200_000), person("bob", 300_000)
    with running(alice.environment, *SERVE, folder=tmp_path / "r") as process:
        uri = first_line(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 3
    left = (tmp_path / "r" / "stderr").read_text()
    assert "keep `dovetail resume 1 --listen HOST:PORT` open until this is done." in left
    without = alice("resume", "--timeout", "0.5s")
    assert "dovetail resume 1 --listen" in without.err
    endpoint = PayjoinUri.parse(uri).endpoint
    assert isinstance(endpoint, V1Endpoint)
    place = endpoint.url.split("/")[2]
    with running(alice.environment, "resume", "--listen", place, folder=tmp_path / "s"):
        wait_for(lambda: "Serving" in (tmp_path / "s" / "stderr").read_text())
        assert post(bob, uri)["status"] in ("ready-to-sign", "ready-to-broadcast", "confirming")


def test_tls_is_served_and_an_unknown_certificate_is_not_trusted(person, tmp_path: Path):
    alice, bob = person("alice", 200_000), person("bob", 300_000)
    made = make_certificate(tmp_path)
    tls = ("--tls-cert", str(made.cert), "--tls-key", str(made.key))
    with running(alice.environment, *SERVE, *tls, folder=tmp_path / "r") as process:
        uri = first_line(process)
        assert "PJ=https://" in uri or "pj=https://" in uri
        said = bob("send", uri, "--yes", "--timeout", "2s")
        assert said.code == 3
        assert "The receiver's server failed. There is no connection to" in said.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--public-url", "https://shop.example"), "say where with --listen"),
        (("--tls-cert", "x"), "say where with --listen"),
        (("--listen", "127.0.0.1:0", "--tls-cert", "x"), "both a certificate and its key"),
        (("--listen", "127.0.0.1:0", "--public-url", "http://shop.example"), "must be an https"),
        (("--listen", "127.0.0.1:0", "--public-url", "shop"), "must be an https"),
        (("--listen", "127.0.0.1:0", "--public-url", "https://a.example/?x=1"), "no query"),
        (("--listen", "127.0.0.1:0", "--no-wait"), "has to wait"),
        (("--listen", "0.0.0.0:0"), "say how they reach it with --public-url"),
        (("--listen", "127.0.0.1:0", "--tls-cert", "x", "--tls-key", "y"), "cannot be read"),
    ],
)
def test_options_that_do_not_go_together_are_told(person, words, told):
    said = person("alice", 10_000)("receive", "1000", "--v1", *words)
    assert said.code == 2
    assert told in said.err
    assert "Traceback" not in said.err


def test_an_onion_address_without_tor_is_one_sentence_that_names_the_setting(person, tmp_path):
    alice, bob = person("alice"), person("bob", 300_000)
    address = alice("wallet", "address").out.strip()
    uri = f"bitcoin:{address}?amount=0.0005&pj=http://{'v' * 56}.onion/pj"
    said = bob("send", uri, "--yes")
    assert said.code == 2
    assert "Set `tor`" in said.err
    bob.settings["tor"] = "socks5://127.0.0.1:1"
    said = bob("send", uri, "--yes")
    assert said.code == 1
    assert "start Tor, or correct `tor`" in said.err
    assert bob("history", "--json").json["sessions"] == []
    bob.settings["tor"] = "127.0.0.1:9050"
    assert "`tor` must be" in run(bob.environment, "history").stderr


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://shop.example/pj", "sees the payment and your IP address"),
        (f"http://{'v' * 56}.onion/pj", "but not your IP address, which Tor hides"),
        (f"https://{'a' * 63}.{'b' * 63}/pj", "sees the payment and your IP address"),
    ],
)
def test_a_v1_payment_says_what_the_receivers_server_sees(url, told):
    by, who = disclosures(V1Endpoint(url), direct=False)
    assert "BIP 78 (version 1)" in by
    assert "straight to the receiver's server" in by
    assert told in who
    assert len(by) < 140


def test_a_v2_payment_says_what_relay_and_directory_see():
    endpoint = v2_endpoint("https://directory.example")
    by, who = disclosures(endpoint, direct=False)
    assert by.endswith("BIP 77 (version 2), through the directory directory.example")
    assert "the relay sees your IP address; the directory sees neither it nor the payment" in who
    _, who = disclosures(endpoint, direct=True)
    assert "the directory sees your IP address" in who
    _, who = disclosures(v2_endpoint("http://directory.onion"), direct=True)
    assert "Tor hides your IP address" in who


def v2_endpoint(directory: str) -> V2Endpoint:
    key = SecretKey(bytes([7]) * 32).public_key
    return V2Endpoint(directory, key, KeyConfig(1, key), UnixTime(1_900_000_000))
