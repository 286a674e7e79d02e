"""Shell completion, by the script and by what the script asks."""

import subprocess

import pytest
from tests.cli.commands import Cli
from tests.cli.processes import run

from dovetail.cli.completion import SHELLS


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_a_script(cli: Cli, shell: str):
    said = cli("completion", shell)
    assert said.code == 0
    assert f"_DOVETAIL_COMPLETE={shell}_complete" in said.out


def test_bash_takes_the_script(cli: Cli):
    said = cli("completion", "bash")
    subprocess.run(["bash", "-n"], input=said.out, text=True, check=True)


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
