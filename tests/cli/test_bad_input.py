"""What goes wrong gets one sentence, the documented code, and changes neither money nor log."""

import resource
import shutil
from pathlib import Path

import pytest
from tests.cli.in_process import Cli, Said, events
from tests.support.commands import run, without_privilege

MAINNET = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"


def refused(person: Cli, code: int, sentence: str, *words: str) -> Said:
    """Run a command that has to fail like this, and change nothing."""
    before = list(events(person.folder))
    said = person(*words)
    assert said.code == code, said.err
    assert said.out == ""
    assert said.err.startswith("Error: ")
    assert said.err.endswith((".\n", "?\n", "--help`.\n"))
    assert sentence in said.err
    assert len(said.err.splitlines()) == 1
    assert "Traceback" not in said.err
    assert list(events(person.folder)) == before
    return said


@pytest.fixture
def uri(person) -> str:
    said = person("alice", 10_000)("receive", "50000", "--no-wait")
    found: str = said.out.strip()
    return found


@pytest.fixture
def bob(person) -> Cli:
    made: Cli = person("bob", 100_000)
    return made


def test_a_uri_without_pj(bob, uri):
    plain = uri.split("&pj=")[0]
    refused(
        bob,
        2,
        "does not offer payjoin. `dovetail pay URI` pays its address",
        "send",
        plain,
        "--yes",
    )


@pytest.mark.parametrize("text", ["", "hello", "bitcoin:", "https://example.org", "bitcoin:x?pj=y"])
def test_text_that_is_no_uri(bob, text):
    refused(bob, 2, "", "send", text, "--yes")


def test_an_expired_uri(person, bob):
    said = person("carol", 10_000)("receive", "50000", "--no-wait", "--lifetime", "60s", "--json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time", lambda: float(said.json["expires_at"]))
        refused(bob, 2, "ask the receiver for a new one", "send", said.json["uri"], "--yes")


def test_a_uri_of_another_network(bob, uri):
    address = uri.removeprefix("bitcoin:").partition("?")[0]
    other = uri.replace(address, MAINNET)
    refused(bob, 2, "The address is not for regtest", "send", other, "--yes")


def test_an_amount_of_nothing(bob, uri):
    refused(bob, 2, "nobody can pay 0 sats", "receive", "0")
    nothing = uri.replace("amount=0.0005", "amount=0")
    refused(bob, 2, "asks for 0 sats", "send", nothing, "--yes")


def test_a_uri_without_an_amount(bob, uri):
    open_uri = uri.replace("amount=0.0005&", "")
    refused(bob, 2, "give the `--amount` to pay", "send", open_uri, "--yes")


def test_an_amount_that_is_not_the_uri_s(bob, uri):
    refused(bob, 2, "remove `--amount`", "send", uri, "--amount", "1", "--yes")


def test_too_few_coins(bob, uri):
    much = uri.replace("amount=0.0005", "amount=5")
    refused(bob, 1, "too few to pay", "send", much, "--yes", "--fee-rate", "2")


def test_nobody_to_confirm(bob, uri):
    refused(bob, 2, "--yes", "send", uri)


def test_a_uri_that_was_used_before(bob, uri):
    words = ("send", uri, "--yes", "--fee-rate", "2", "--no-wait")
    assert bob(*words).code == 0
    before = list(events(bob.folder))
    said = bob(*words)
    assert said.code in (1, 2)
    assert "Error: " in said.err
    assert list(events(bob.folder)) == before


def test_a_mailroom_that_is_down(bob):
    refused(bob, 1, "No URI was made", "receive", "1000", "--directory", "http://127.0.0.1:1")


def test_a_server_that_is_no_mailroom(bob, chain):
    refused(bob, 1, "No URI was made", "receive", "1000", "--directory", chain.url)


@pytest.mark.parametrize("url", ["garbage", "ftp://relay.example", "http://", "https://a b"])
def test_a_garbage_relay(bob, uri, url):
    refused(bob, 2, "`relays` must be an http or https URL", "receive", "1000", "--relay", url)
    refused(bob, 2, "`relays`", "send", uri, "--yes", "--relay", url)


@pytest.mark.parametrize("url", ["garbage", "https://directory.example/path", "http://far.example"])
def test_a_garbage_directory(bob, url):
    refused(bob, 2, "`directory` must be", "receive", "1000", "--directory", url)


def test_a_relay_that_is_none_is_said_and_tried_again(bob, chain):
    said = bob("receive", "1000", "--relay", chain.url, "--timeout", "1s")
    assert said.code == 3
    assert "The OHTTP relay, or the directory behind it, answered with status" in said.err


def test_a_chain_source_that_is_down(bob, uri):
    words = ("send", uri, "--yes", "--chain", "http://127.0.0.1:1")
    refused(bob, 1, "chain", *words)


def test_a_data_directory_that_cannot_be_made(cli, tmp_path):
    (tmp_path / "file").touch()
    cli.folder = tmp_path / "file" / "data"
    refused(cli, 1, "The data directory cannot be made", "wallet", "new")


@pytest.fixture
def read_only(bob: Cli):
    """Bob's data directory, which nobody may write to any more."""
    assert bob("receive", "1000", "--no-wait").code == 0
    paths = [bob.folder, *bob.folder.rglob("*")]
    modes = [(path, path.stat().st_mode) for path in paths]
    for path in paths:
        path.chmod(0o500 if path.is_dir() else 0o400)
    yield bob
    for path, mode in modes:
        path.chmod(mode)


@pytest.mark.parametrize(
    "words", [("receive", "1000"), ("resume",), ("wallet", "address"), ("cancel", "1")]
)
def test_a_read_only_data_directory(read_only, words):
    said = run(read_only.environment, *words, before=without_privilege)
    assert said.returncode in (1, 2)
    assert said.stdout == ""
    assert said.stderr.startswith("Error: ")
    assert len(said.stderr.splitlines()) == 1


def _full_disk() -> None:
    """No file may grow beyond 4 kB: what a disk without space does to a database."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


@pytest.mark.parametrize("words", [("receive", "1000", "--no-wait"), ("cancel", "1")])
def test_a_full_disk(bob, words):
    assert bob("receive", "1000", "--no-wait").code == 0
    before = list(events(bob.folder))
    said = run(bob.environment, *words, before=_full_disk, measured=False)
    assert said.returncode == 1
    assert said.stdout == ""
    assert "Error: " in said.stderr
    assert "Traceback" not in said.stderr
    assert list(events(bob.folder)) == before


def test_a_database_that_is_none(bob, tmp_path: Path):
    assert bob("receive", "1000", "--no-wait").code == 0
    shutil.copy(__file__, bob.database)
    for extra in bob.database.parent.glob("sessions.db-*"):
        extra.unlink()
    said = bob("history")
    assert said.code == 1
    assert "is not a Dovetail database" in said.err
    assert len(said.err.splitlines()) == 1


def test_only_relays_of_the_directorys_operator(bob):
    urls = ("--directory", "https://a.shop.example", "--relay", "https://b.shop.example")
    refused(bob, 2, "Every relay that is set belongs to", "receive", "1000", *urls)
