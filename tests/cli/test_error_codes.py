"""What a program is told where a command fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from tests.cli.in_process import Cli

from dovetail.cli import error_codes, exits
from dovetail.cli.exits import Exit
from dovetail.errors import (
    ChainError,
    DuplicateSession,
    InvalidUri,
    ProposalRejected,
    StaleSession,
    UsageError,
)


class NewerError(StaleSession):
    """An error that has no code yet."""


def failing(error: BaseException) -> click.Command:
    @click.command()
    @click.option("--json", is_flag=True)
    @click.option("--events", is_flag=True)
    @click.argument("words", nargs=-1)
    def command(**_: object) -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (UsageError("So it is."), "refused", 2),
        (InvalidUri("So it is."), "invalid-uri", 2),
        (DuplicateSession("So it is."), "duplicate-session", 2),
        (ChainError("So it is."), "chain", 1),
        (ProposalRejected("any", "So it is."), "proposal-rejected", 1),
        (NewerError("So it is."), "stale-session", 1),
        (click.UsageError("So it is."), "command-line", 2),
        (click.Abort(), "stopped", 1),
        (ModuleNotFoundError("No module named 'x'", name="x"), "missing-package", 1),
        (PermissionError(13, "Permission denied", "/secret"), "system", 1),
        (RuntimeError("xprv"), "fault", 1),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("option", ["--json", "--events"])
def test_a_failure_is_an_object_on_stdout_and_a_sentence_on_stderr(
    capsys, error, code, exit_code, option
):
    assert exits.run(failing(error), [option]) == exit_code
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert set(told) == {"error"}
    assert set(told["error"]) == set(error_codes.KEYS)
    assert told["error"]["code"] == code
    assert told["error"]["exit_code"] == exit_code
    assert told["error"]["message"] in said.err
    assert "secret" not in said.out + said.err


@pytest.mark.parametrize("words", [[], ["--", "--json"]])
def test_who_asks_for_no_object_gets_none(capsys, words):
    assert exits.run(failing(UsageError("So it is.")), words) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("show", "9", "--json"), "session-not-found"),
        (("show", "nine", "--json"), "command-line"),
        (("history", "--json", "--csv"), "refused"),
        (("history", "--json", "--nonsense"), "command-line"),
        (("send", "nonsense", "--yes", "--json"), "invalid-uri"),
        (("receive", "1000", "--json", "--events"), "refused"),
        (("wallet", "balance", "--json"), "configuration"),
    ],
    ids=" ".join,
)
def test_a_command_that_fails_says_so_as_json(cli: Cli, words, code):
    said = cli(*words)
    assert said.json["error"]["code"] == code
    assert said.code == said.json["error"]["exit_code"] == Exit.USAGE


def _closed_pipe(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """The command, whose reader has left before it prints."""
    reading, writing = os.pipe()
    os.close(reading)
    home = {
        **os.environ,
        "DOVETAIL_DATA_DIR": str(folder),
        "DOVETAIL_NETWORK": "regtest",
        "DOVETAIL_CHAIN": "http://127.0.0.1:1",
    }
    command = [sys.executable, "-m", "dovetail.cli", *words]
    try:
        return subprocess.run(
            command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, env=home
        )
    finally:
        os.close(writing)


@pytest.mark.parametrize(
    "words",
    [["history"], ["history", "--json"], ["history", "--csv"], ["show", "1"], ["--help"]],
    ids=" ".join,
)
def test_who_reads_the_beginning_has_seen_enough(cli: Cli, words):
    cli.store("sender/success")
    said = _closed_pipe(words, cli.folder)
    assert (said.returncode, said.stderr) == (0, "")


def test_a_command_that_leaves_by_itself_is_let_go():
    with pytest.raises(SystemExit) as left:
        exits.run(failing(SystemExit(7)), [])
    assert left.value.code == 7


def test_who_changes_something_for_no_reader_is_told_where_it_is(cli: Cli):
    said = _closed_pipe(["wallet", "new", "--no-passphrase"], cli.folder)
    assert said.returncode == 1
    assert said.stderr.endswith(f"{exits.UNREAD}\n")
    assert "Traceback" not in said.stderr
