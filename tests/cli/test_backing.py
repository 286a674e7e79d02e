"""A backup brings back the wallet, its sessions, and the addresses that were given."""

import json
import stat

import pytest
from tests.cli.in_process import Cli

from dovetail.bitcoin import Address, Sats
from dovetail.cli import json_keys
from dovetail.protocol.uri import PayjoinUri


def moved(cli: Cli, name: str) -> Cli:
    """The same person on another machine: with the settings, and nothing else."""
    return Cli(cli.capsys, cli.monkeypatch, cli.folder.parent / name, dict(cli.settings))


def test_a_wallet_comes_back_with_its_open_sessions(person, chain, file, tmp_path):
    alice, bob = person("alice", 80_000), person("bob", 300_000)
    alice("wallet", "passphrase", "--new-passphrase-file", file)
    uri = alice("receive", "50000", "--no-wait").out.strip()
    words = alice("wallet", "words", "--yes", "--passphrase-file", file).out
    backup = str(tmp_path / "backup")
    said = alice("wallet", "backup", backup, "--passphrase-file", file, "--json")
    assert said.json == {"file": backup, "sessions": 1, "open": 1}
    assert set(said.json) == set(json_keys.WALLET_BACKUP)
    assert "never go on with them in two places" in said.err
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o600

    anew = moved(alice, "anew")
    said = anew("wallet", "restore", backup, "--passphrase-file", file, "--json")
    assert said.code == 0, said.err
    assert set(said.json) == set(json_keys.WALLET_RESTORE)
    assert said.json["sessions"] == [
        {"number": 1, "session": 1, "result": "added", "problem": None}
    ]
    assert anew("wallet", "info", "--json").json["encrypted"]
    assert anew("wallet", "words", "--yes", "--passphrase-file", file).out == words
    assert bob("send", uri, "--yes", "--no-wait", "--fee-rate", "2").code == 0
    anew("resume", "--passphrase-file", file, "--timeout", "5s")
    assert anew("show", "1", "--json").json["status"] == "proposal-sent"


def test_no_address_that_was_given_is_given_again(person, chain, file, tmp_path):
    alice = person("alice")
    given = {alice("wallet", "address").out.strip() for _ in range(3)}
    uri = alice("receive", "50000", "--no-wait").out.strip()
    waiting = str(PayjoinUri.parse(uri).address)
    alice("wallet", "backup", str(tmp_path / "backup"), "--passphrase-file", file)
    anew = moved(alice, "anew")
    anew("wallet", "restore", str(tmp_path / "backup"), "--passphrase-file", file)
    fresh = anew("wallet", "address").out.strip()
    assert fresh not in {*given, waiting}
    # What is paid to an address that was given is found, though none before it was ever paid.
    chain.node.fund(Address.parse(waiting).script_pubkey, Sats(50_000))
    assert anew("wallet", "balance", "--json").json["confirmed_sats"] == 50_000


def test_a_wallet_without_a_passphrase_has_an_encrypted_backup(cli: Cli, file, tmp_path):
    words = cli("wallet", "new").out.strip()
    backup = tmp_path / "backup"
    said = cli("wallet", "backup", str(backup))
    assert said.code == 2
    assert not backup.exists()
    assert cli("wallet", "backup", str(backup), "--passphrase-file", file).code == 0
    assert words.encode() not in backup.read_bytes()
    anew = moved(cli, "anew")
    assert anew("wallet", "restore", str(backup), "--passphrase-file", file).code == 0
    assert anew("wallet", "words", "--yes", "--passphrase-file", file).out.strip() == words


def test_the_network_is_the_backups(cli: Cli, file, tmp_path):
    cli("wallet", "new")
    backup = str(tmp_path / "backup")
    cli("wallet", "backup", backup, "--passphrase-file", file)
    anew = moved(cli, "anew")
    del anew.settings["network"], anew.settings["chain"]
    said = anew("wallet", "restore", backup, "--network", "signet", "--passphrase-file", file)
    assert said.code == 2
    assert "a wallet on regtest, not on signet" in said.err
    said = anew("wallet", "restore", backup, "--passphrase-file", file, "--json")
    assert said.json["network"] == "regtest"
    assert said.json["sessions"] == []


def test_a_wallet_that_is_there_is_left_alone(cli: Cli, file, tmp_path):
    cli("wallet", "new")
    backup = str(tmp_path / "backup")
    cli("wallet", "backup", backup, "--passphrase-file", file)
    said = cli("wallet", "restore", backup, "--passphrase-file", file)
    assert said.code == 2
    assert "stays as it is" in said.err
    said = cli("wallet", "backup", backup, "--passphrase-file", file)
    assert said.code == 2
    assert "Name a new file" in said.err


def test_a_wrong_passphrase_restores_nothing(cli: Cli, file, tmp_path):
    cli("wallet", "new")
    backup = str(tmp_path / "backup")
    cli("wallet", "backup", backup, "--passphrase-file", file)
    (tmp_path / "passphrase").write_text("another passphrase")
    anew = moved(cli, "anew")
    said = anew("wallet", "restore", backup, "--passphrase-file", file)
    assert said.code == 1
    assert "passphrase is wrong" in said.err
    assert anew("wallet", "restore", backup).code == 1
    assert not anew.folder.exists()


def test_a_session_that_is_damaged_keeps_no_other_away(cli: Cli, file, tmp_path):
    cli("wallet", "new")
    cli.store("receiver/expired-unpaid", "sender/success")
    cli.damage(1)
    backup = str(tmp_path / "backup")
    assert cli("wallet", "backup", backup, "--passphrase-file", file).code == 0
    anew = moved(cli, "anew")
    said = anew("wallet", "restore", backup, "--passphrase-file", file, "--json")
    assert said.code == 1
    assert [each["result"] for each in said.json["sessions"]] == ["refused", "added"]
    assert anew("wallet", "info").code == 0


@pytest.mark.parametrize("data", [None, b"", b"{}", json.dumps({"version": 1}).encode()])
def test_what_is_no_backup_is_named(cli: Cli, tmp_path, data):
    path = tmp_path / "backup"
    if data is not None:
        path.write_bytes(data)
    said = cli("wallet", "restore", str(path))
    assert said.code == 2
    assert ("cannot be read" if data is None else "not a wallet backup") in said.err


def test_a_nodes_wallet_is_backed_up_by_the_node(cli: Cli, file, tmp_path):
    cli("wallet", "new")
    backup = str(tmp_path / "backup")
    cli("wallet", "backup", backup, "--passphrase-file", file)
    cli.settings["wallet"] = "core"
    assert "bitcoin-cli backupwallet" in cli("wallet", "backup", "new").err
    said = cli("wallet", "restore", backup)
    assert said.code == 2
    assert "the node keeps the wallet" in said.err
