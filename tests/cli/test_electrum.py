"""Every command on an Electrum server, and what is said when that is set up wrongly."""

import socket
from collections.abc import Iterator

import pytest
from tests.support.certificates import make_certificate
from tests.support.commands import first_line, running
from tests.support.waiting import PATIENCE, wait_for

from dovetail.regtest.electrum_server import ElectrumServer


@pytest.fixture
def secured(chain, tmp_path) -> Iterator[dict[str, str]]:
    """What to set for an Electrum server over TLS that signs its own certificate."""
    certificate = make_certificate(tmp_path)
    with ElectrumServer(chain.node, tls=certificate.server()) as server:
        yield {"chain": server.url, "chain_certificate": str(certificate.cert)}


def test_a_payjoin_by_parties_on_different_kinds_of_servers(person, chain, secured):
    alice, bob = person("alice", 200_000), person("bob", 300_000)
    bob.settings |= secured
    uri = alice("receive", "50000", "--no-wait").out.strip()
    assert bob("send", uri, "--yes", "--no-wait", "--fee-rate", "2").code == 0
    assert bob("wallet", "balance", "--json").json["reserved_sats"] == 300_000
    assert alice("resume", "1", "--timeout", "4s").code == 3
    assert bob("resume", "--timeout", "4s").code == 3
    chain.node.mine(1)
    for party in (alice, bob):
        said = party("resume")
        assert said.code == 0
        assert said.out.startswith("Paid by payjoin. ")
        assert party("show", "1", "--json").json["outcome"] == "success"
        assert party("history").code == 0
    # And back, with the roles changed.
    uri = bob("receive", "20000", "--no-wait").out.strip()
    assert alice("send", uri, "--yes", "--no-wait", "--fee-rate", "2").code == 0
    assert bob("resume", "2", "--timeout", "4s").code == 3
    assert alice("resume", "2", "--timeout", "4s").code == 3
    chain.node.mine(1)
    assert bob("resume").out.startswith("Paid by payjoin. ")


def test_what_was_cancelled_is_paid_or_taken_back(person, chain, mailroom, secured):
    alice, bob = person("alice", 10_000), person("bob", 100_000, 100_000)
    bob.settings |= secured
    for _ in range(2):
        uri = alice("receive", "20000", "--no-wait").out.strip()
        assert bob("send", uri, "--yes", "--no-wait", "--fee-rate", "2").code == 0
    assert bob("cancel", "1", "--fallback", "later").code == 4
    assert bob("fallback", "1").code == 0
    assert len(chain.node.mempool_txids()) == 1
    assert bob("cancel", "2", "--fallback", "never").code == 0
    assert bob("revoke", "2", "--yes").code == 0
    assert len(chain.node.mempool_txids()) == 2
    chain.node.mine(1)
    said = bob("resume")
    assert "#1 Paid by the ordinary payment" in said.out
    outcomes = [each["outcome"] for each in bob("history", "--json").json["sessions"]]
    assert sorted(outcomes) == ["fallback", "revoked"]
    assert len(bob("wallet", "coins", "--json").json["coins"]) == 2


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"chain": "ssl://chain.example"}, "`DOVETAIL_CHAIN` must be of the form ssl://host:port"),
        ({"chain": "electrum://chain.example:1"}, "`DOVETAIL_CHAIN` must be http:// or https://"),
        ({"chain": "tcp://192.0.2.1:50001"}, "`DOVETAIL_CHAIN` must be ssl://host:port, as tcp://"),
        ({"chain": "tcp://chain.onion:50001"}, "start Tor and set `tor`"),
        (
            {"chain": "tcp://chain.onion:50001", "tor": "socks5://127.0.0.1:1"},
            "Tor does not answer where `tor` says: start Tor, or correct `tor`.",
        ),
        ({"chain": "https://chain.onion"}, "must be an Electrum server's where it is an onion"),
        (
            {"chain": "ssl://127.0.0.1:1"},
            "no connection to the chain server, as nothing listens at its port: check `chain`",
        ),
        ({"chain_certificate": "/nowhere.pem"}, "`chain_certificate` is for a `chain` of the form"),
        (
            {"chain": "ssl://127.0.0.1:1", "chain_certificate": "/nowhere.pem"},
            "`chain_certificate` names cannot be read (No such file or directory): check its path",
        ),
    ],
)
def test_what_is_set_wrongly_is_named(person, settings, sentence):
    alice = person("alice")
    alice.settings |= settings
    said = alice("wallet", "balance")
    assert said.code in (1, 2)
    assert sentence in said.err
    assert said.err.count("Error: ") == 1
    assert "Traceback" not in said.err


def test_what_a_server_shows_is_checked_against_the_settings(person, secured, tmp_path):
    alice = person("alice")
    alice.settings |= secured
    assert alice("wallet", "balance").code == 0
    del alice.settings["chain_certificate"]
    assert "set `chain_certificate` to that file" in alice("wallet", "balance").err
    other = tmp_path / "other"
    other.mkdir()
    certificate = make_certificate(other)
    alice.settings["chain_certificate"] = str(certificate.cert)
    assert "certificate is not the one that" in alice("wallet", "balance").err
    alice.settings["network"] = "signet"
    alice.settings["chain_certificate"] = secured["chain_certificate"]
    assert alice("wallet", "new").code == 0
    assert "not on signet; set `chain` to one that is" in alice("wallet", "balance").err


def test_a_chain_is_served_to_electrum_clients_as_well(cli, tmp_path):
    with running(
        cli.environment,
        *("regtest", "serve", "--listen", "127.0.0.1:0", "--blocks", "101", "--electrum", "0"),
        folder=tmp_path,
    ) as process:
        url = first_line(process)
        electrum = first_line(process)
        assert electrum.startswith("tcp://127.0.0.1:")
        cli.settings["chain"] = electrum
        assert cli("wallet", "new").code == 0
        address = cli("wallet", "address").out.strip()
        said = cli("regtest", "fund", address, "70000")
        assert said.code == 2
        assert "name its http:// URL with `--chain`" in said.err
        assert cli("regtest", "fund", address, "70000", "--chain", url).code == 0
        assert cli("wallet", "balance", "--json").json["confirmed_sats"] == 70_000
        process.terminate()
        assert process.wait(PATIENCE) == 0
    wait_for(lambda: (tmp_path / "stderr").read_text().endswith("The chain has stopped.\n"))
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", int(electrum.rpartition(":")[2])), 5)
