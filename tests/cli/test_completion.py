"""Shell completion, by the script and by what the script asks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.in_process import Cli
from tests.support.commands import run

from dovetail.cli.commands.completion import SHELLS


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_a_script(cli: Cli, shell: str):
    said = cli("completion", shell)
    assert said.code == 0
    assert f"_DOVETAIL_COMPLETE={shell}_complete" in said.out


def test_bash_takes_the_script(cli: Cli):
    said = cli("completion", "bash")
    subprocess.run(["bash", "-n"], input=said.out, text=True, check=True)


needs_zsh = pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
needs_fish = pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")


@needs_zsh
def test_zsh_takes_the_script(cli: Cli):
    said = cli("completion", "zsh")
    subprocess.run(["zsh", "-n"], input=said.out, text=True, check=True)


def test_fish_is_told_all_that_an_option_means(cli: Cli):
    assert 'string split --max 1 ","' in cli("completion", "fish").out


@needs_fish
def test_fish_completes_by_the_script(cli: Cli, tmp_path):
    cli.store("receiver/expired-unpaid")
    script = tmp_path / "dovetail.fish"
    script.write_text(cli("completion", "fish").out)
    (tmp_path / "sessions.jsonl").touch()

    def offered(line: str) -> list[str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env=os.environ | cli.environment | {"PATH": path},
        )
        return done.stdout.splitlines()

    assert "--label\tYour name, as the sender's wallet shows it." in offered("dovetail receive --l")
    assert [each.partition("\t")[0] for each in offered("dovetail show ")] == ["1"]
    assert [each.partition("\t")[0] for each in offered("dovetail import s")] == ["sessions.jsonl"]


def completed(cli: Cli, *words: str) -> list[str]:
    asked = {
        "_DOVETAIL_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("dovetail", *words)),
        "COMP_CWORD": str(len(words)),
    }
    said = run(cli.environment | asked)
    assert said.returncode == 0, said.stderr
    return [line.partition(",")[2] for line in said.stdout.splitlines() if line]


def test_commands_and_options_are_completed(cli: Cli):
    assert completed(cli, "re") == ["receive", "resume", "release", "revoke", "regtest"]
    assert completed(cli, "receive", "--qr") == ["--qr"]


def test_numbers_of_sessions_are_completed_the_latest_first(cli: Cli):
    assert completed(cli, "show", "") == []
    cli.store("receiver/expired-unpaid", "sender/cancelled")
    assert completed(cli, "show", "") == ["2", "1"]
    assert completed(cli, "resume", "1") == ["1"]
    cli.settings["network"] = "nonsense"
    assert completed(cli, "show", "") == []
