"""`dovetail mailroom check`, `status`, `keys`, `backup`, `block` and `unblock`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.in_process import Cli

from dovetail.mailroom import MailroomServer, MailroomSettings


@pytest.fixture
def settings(cli: Cli) -> MailroomSettings:
    """Those of a mailroom in this person's data folder."""
    return MailroomSettings(cli.folder / "mailroom", local=True, wait=0.05)


@pytest.fixture
def server(settings: MailroomSettings) -> Iterator[MailroomServer]:
    with MailroomServer(settings, answers=True) as server:
        yield server


def test_status_shows_health_numbers_and_settings(cli: Cli, server: MailroomServer) -> None:
    said = cli("mailroom", "status")
    assert said.code == 0
    lines = [line.split() for line in said.lines]
    assert ["status", "ok"] in lines
    assert ["url", server.url] in lines
    assert ["connections", "0"] in lines
    assert ["blocked", "networks", "none"] in lines
    assert ["max_waits", "8,192"] in lines
    assert ["wait", "0.05"] in lines
    assert ["local", "true"] in lines
    assert ["ca_file", "none"] in lines
    assert ["tunnel_ports", "443"] in lines
    told = cli("mailroom", "status", "--json").json
    assert (told["status"], told["url"], told["blocked"]) == ("ok", server.url, [])


def test_without_a_mailroom_status_says_so(cli: Cli) -> None:
    said = cli("mailroom", "status")
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert "No mailroom runs in" in said.err


def test_keys_are_listed_and_rotated_while_it_runs(cli: Cli, server: MailroomServer) -> None:
    (first,) = cli("mailroom", "keys", "list", "--json").json["keys"]
    said = cli("mailroom", "keys", "rotate")
    assert said.code == 0
    former, newest = cli("mailroom", "keys", "list", "--json").json["keys"]
    assert said.out.strip() == str(newest["id"])
    assert (former["id"], newest["until"]) == (first["id"], None)
    shown = cli("mailroom", "keys", "list")
    assert shown.lines[2].endswith("published now")
    assert server.mailroom._keys is not None
    assert server.mailroom._keys.served[0] == newest["id"]
    secret = next(iter(server.mailroom._keys.accepted.values())).secret.reveal().hex()
    assert secret not in shown.out


def test_keys_are_rotated_while_it_does_not_run(cli: Cli, settings: MailroomSettings) -> None:
    said = cli("mailroom", "keys", "rotate")
    assert (said.code, "There are no OHTTP keys in" in said.err) == (2, True)
    assert not settings.key_file.exists()
    with MailroomServer(settings):
        busy = cli("mailroom", "keys", "rotate")
    assert (busy.code, "Another mailroom uses this data folder" in busy.err) == (2, True)
    told = cli("mailroom", "keys", "rotate", "--json").json
    assert [each["id"] for each in cli("mailroom", "keys", "list", "--json").json["keys"]][1:] == [
        told["id"]
    ]


@pytest.mark.usefixtures("server")
def test_a_backup_is_a_new_folder(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    said = cli("mailroom", "backup", str(folder), "--json")
    assert said.json == {"folder": str(folder), "files": ["mailboxes.db", "ohttp-keys.json"]}
    again = cli("mailroom", "backup", str(folder))
    assert (again.code, "Name a new one" in again.err) == (2, True)
    assert cli("mailroom", "backup", str(tmp_path / "second")).lines == [str(tmp_path / "second")]


def test_a_network_is_blocked_at_once_and_unblocked(cli: Cli, server: MailroomServer) -> None:
    said = cli("mailroom", "block", "192.0.2.0/24")
    assert (said.code, said.out.strip()) == (0, "192.0.2.0/24")
    assert "It is refused from now on." in said.err
    assert "192.0.2.7" in server.mailroom.clients.blocked
    assert ["blocked", "networks", "192.0.2.0/24"] in [
        line.split() for line in cli("mailroom", "status").lines
    ]
    told = cli("mailroom", "unblock", "192.0.2.0/24", "--json").json
    assert told == {"network": "192.0.2.0/24", "holds": True}
    assert "192.0.2.7" not in server.mailroom.clients.blocked


def test_a_network_is_blocked_from_the_next_start_on(cli: Cli, settings: MailroomSettings) -> None:
    settings.data_dir.mkdir(parents=True)
    said = cli("mailroom", "block", "2001:db8::/56")
    assert "from the next start on, as no mailroom runs here" in said.err
    with MailroomServer(settings) as server:
        assert "2001:db8::1" in server.mailroom.clients.blocked
    wrong = cli("mailroom", "block", "2001:db8::1/56")
    assert (wrong.code, "give its first address" in wrong.err) == (2, True)


def test_a_check_of_a_mailroom_that_runs(cli: Cli, server: MailroomServer) -> None:
    cli.settings["relays"] = server.url
    said = cli("mailroom", "check", "--json", "--url", server.url)
    found = {each["about"]: each["well"] for each in said.json["findings"]}
    assert found == dict.fromkeys(
        (
            *("settings", "folder", "machine", "running", "clock", "keys"),
            *("time", "certificate", "opt-in", "round trip"),
        ),
        True,
    )
    assert (said.code, said.json["well"]) == (0, True)
    shown = cli("mailroom", "check")
    assert "Not tested from outside" in shown.err
    assert len(shown.lines) == 6


def test_a_check_names_what_is_wrong(cli: Cli) -> None:
    said = cli("mailroom", "check", "--url", "http://nowhere.example")
    assert (said.code, "`public_url` must be an https origin" in said.err) == (2, True)
    alone = cli("mailroom", "check")
    assert alone.code == 1
    assert "WRONG  running" in alone.out
    assert "To mend: 1 of 6" in alone.err
