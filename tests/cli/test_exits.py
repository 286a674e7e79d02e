import errno
import os
import subprocess
import sys

import click
import pytest

from dovetail.cli import exits, main
from dovetail.cli.exits import MEANINGS, Exit
from dovetail.errors import (
    ChainError,
    ConfigurationError,
    DuplicateSession,
    InvalidUri,
    SessionNotFound,
    StoreUnavailable,
    UsageError,
)


def raising(error: BaseException) -> click.Command:
    @click.command()
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("So it is."), 2),
        (ConfigurationError("So it is."), 2),
        (InvalidUri("So it is."), 2),
        (SessionNotFound("So it is."), 2),
        (DuplicateSession("So it is."), 2),
        (ChainError("So it is."), 1),
        (StoreUnavailable("So it is."), 1),
        (click.ClickException("So it is"), 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_its_sentence_and_its_code(capsys, error, code):
    assert exits.run(raising(error), []) == code
    assert capsys.readouterr().err == "Error: So it is.\n"


@pytest.mark.parametrize("error", [click.Abort(), KeyboardInterrupt()])
def test_who_stops_is_told_that_nothing_was_done(capsys, error):
    assert exits.run(raising(error), []) == 1
    assert capsys.readouterr().err.strip() == exits.STOPPED


def test_a_full_disk_is_one_sentence(capsys):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/secret/place")
    assert exits.run(raising(full), []) == 1
    said = capsys.readouterr().err
    assert "No space left on device" in said
    assert "secret" not in said


def test_a_missing_extra_is_one_sentence(capsys):
    missing = ModuleNotFoundError("No module named 'bdkpython'", name="bdkpython")
    assert exits.run(raising(missing), []) == 1
    said = capsys.readouterr().err
    assert "`bdkpython`" in said
    assert "pip install" in said


def test_a_bare_install_is_told_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "dovetail.cli.app", None)
    with pytest.raises(SystemExit, match=r"pip install 'dovetail-payjoin\[cli\]'"):
        main()


def test_a_fault_of_our_own_says_where_and_not_what(capsys):
    assert exits.run(raising(RuntimeError("xprv9s21ZrQH")), []) == 1
    said = capsys.readouterr().err
    assert "RuntimeError at test_exits.py:" in said
    assert "xprv" not in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("words", [("--help",), ("show", "--help"), ("completion", "bash")])
def test_a_reader_that_left_is_no_reason_to_complain(words):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "dovetail.cli", *words]
    said = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert said.returncode == 0
    assert said.stderr == ""


def test_a_command_s_answer_is_the_exit_code():
    assert exits.run(click.Command("three", callback=lambda: Exit.IN_PROGRESS), []) == 3
    assert exits.run(click.Command("none", callback=lambda: None), []) == 0


def test_every_code_has_a_meaning():
    assert set(MEANINGS) == set(Exit)
