"""`export`, `import` and `show --raw`, on logs as they were recorded."""

import json
import os
import stat
from pathlib import Path

import pytest
from tests.cli.in_process import Cli, events

from dovetail.stores.sql import SqliteStore
from dovetail.stores.transfer import every_session

SESSIONS = ("sender/success", "receiver/paid-directly")


@pytest.fixture
def other(cli: Cli, tmp_path: Path) -> Cli:
    """The same person at another machine."""
    return Cli(cli.capsys, cli.monkeypatch, tmp_path / "other", cli.settings)


@pytest.fixture
def file(cli: Cli, tmp_path: Path) -> Path:
    cli.store(*SESSIONS)
    path = tmp_path / "sessions.jsonl"
    assert cli("export", "--all", "--with-secrets", "-o", str(path)).code == 0
    return path


def test_sessions_move_to_another_machine(cli: Cli, other: Cli, file: Path):
    said = other("import", str(file))
    assert said.code == 0
    assert "Session 1 of the file was added as session 1." in said.lines
    for number in ("1", "2"):
        moved, stayed = (each("show", number, "--json").json for each in (other, cli))
        assert moved["outcome"] == stayed["outcome"]
        assert [event["at"] for event in moved["events"]] == [
            event["at"] for event in stayed["events"]
        ]


def test_importing_twice_does_nothing(other: Cli, file: Path):
    other("import", str(file))
    before = sorted(events(other.folder))
    said = other("import", str(file), "--json")
    assert said.code == 0
    assert [each["result"] for each in said.json["sessions"]] == ["unchanged", "unchanged"]
    assert sorted(events(other.folder)) == before


def test_an_export_is_private_and_never_overwrites(cli: Cli, file: Path):
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    said = cli("export", "1", "-o", str(file))
    assert said.code == 2
    assert "already exists" in said.err
    said = cli("export", "1", "-o", str(file.parent / "missing" / "file"))
    assert said.code == 2
    assert "cannot be written" in said.err


def test_an_export_that_fails_leaves_no_file(cli: Cli, file: Path, monkeypatch):
    def fail(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    half = file.parent / "half"
    assert cli("export", "1", "-o", str(half)).code == 1
    assert not half.exists()


def test_one_session_goes_to_stdout_without_its_keys(cli: Cli, other: Cli, file: Path):
    said = cli("export", "2")
    assert said.code == 0
    header, line = map(json.loads, said.lines)
    assert header == {"dovetail_sessions": 1, "count": 1, "secrets": False}
    assert line["session"] == 2
    assert "withheld" in line["entries"][0]["text"]
    file.write_text(said.out)
    said = other("import", str(file))
    assert said.code == 2
    assert "--with-secrets" in said.err


def test_an_open_session_comes_with_a_warning(cli: Cli, tmp_path: Path):
    cli.store("sender/success")
    with SqliteStore.open(cli.database) as store:
        store.write(
            lambda connection: connection.exec_driver_sql(
                "UPDATE sessions SET closed_at = NULL, outcome = NULL, ending = NULL"
            ).close()
        )
    assert "one place only" in cli("export", "1", "--with-secrets").err
    assert "one place only" not in cli("export", "1").err


@pytest.mark.parametrize("words", [("export",), ("export", "1", "--all")])
def test_an_export_says_what_it_wants(cli: Cli, words):
    said = cli(*words)
    assert said.code == 2
    assert "by their numbers or with `--all`" in said.err


def test_there_may_be_nothing_to_export(cli: Cli, file: Path):
    assert cli("export", "9").code == 2
    cli.database.unlink()
    said = cli("export", "--all")
    assert said.code == 2
    assert "There is no session yet" in said.err


def test_a_file_that_is_no_export_is_one_sentence(cli: Cli, tmp_path: Path):
    path = tmp_path / "letter"
    path.write_text("Dear receiver")
    said = cli("import", str(path))
    assert said.code == 2
    assert "not an export" in said.err


def test_a_damaged_session_is_shown_exported_and_refused(cli: Cli, other: Cli, tmp_path: Path):
    cli.store(*SESSIONS)
    cli.damage(1)
    assert "damaged" in cli("show", "1", "--json").out
    raw = cli("show", "1", "--raw")
    assert raw.code == 0
    assert raw.lines[0].endswith("Created  {}")
    assert "Session 1: Entry 0" in raw.err
    path = tmp_path / "sessions.jsonl"
    assert cli("export", "--all", "--with-secrets", "-o", str(path)).code == 0
    said = other("import", str(path))
    assert said.code == 1
    assert "Session 1 of the file was refused. Session 1: Entry 0" in said.out
    assert "Session 2 of the file was added as session 1." in said.out
    values = other("import", str(path), "--json").json["sessions"]
    assert [each["result"] for each in values] == ["refused", "unchanged"]
    assert values[0]["session"] is None


def test_show_raw_prints_the_log_without_its_keys(cli: Cli):
    cli.store("sender/success")
    said = cli("show", "1", "--raw")
    with SqliteStore.open(cli.database) as store:
        (session,) = every_session(store)
        entries = store.stored(session).events
    key = json.loads(entries[0].data)["reply_key"]
    assert len(said.lines) == len(entries)
    assert key not in said.out
    assert said.lines[1].endswith(f"StartedPosting  {entries[1].data.decode()}")
    values = cli("show", "1", "--raw", "--json").json
    assert [event["entry"] for event in values["events"]][1] == entries[1].data.decode()


def test_what_may_hold_a_key_is_withheld(cli: Cli):
    cli.store("sender/success")
    with SqliteStore.open(cli.database) as store:
        store.write(
            lambda connection: connection.exec_driver_sql(
                "UPDATE session_events SET data = x'7b' WHERE seq = 0"
            ).close()
        )
    assert "dovetail export 1 --with-secrets" in cli("show", "1", "--raw").lines[0]
