import subprocess
import sys

import click
import pytest
from tests.cli.in_process import Cli
from tools.docs.commands import walk

from dovetail.cli.app import ENTRIES, app

HEAVY = (
    "alembic",
    "asyncio",
    "bdkpython",
    "cryptography",
    "dovetail.bitcoin",
    "dovetail.runtime",
    "dovetail.sessions",
    "httpx2",
    "msgspec",
    "rich",
    "segno",
    "sqlalchemy",
    "uvicorn",
)
PROBE = """
import sys
from dovetail.cli import exits
from dovetail.cli.app import app
assert exits.run(app, sys.argv[2:]) == 0
print(sorted(set(sys.argv[1].split(",")) & set(sys.modules)), file=sys.stderr)
"""

COMMANDS = [path[1:] for path, _ in walk(app, ("dovetail",))]


@pytest.mark.parametrize("words", [(), *COMMANDS], ids=lambda words: " ".join(words) or "dovetail")
def test_no_help_loads_anything_heavy(words):
    probe = [sys.executable, "-c", PROBE, ",".join(HEAVY), *words, "--help"]
    said = subprocess.run(probe, capture_output=True, text=True, check=True)
    assert said.stderr.strip() == "[]"
    assert "Usage: dovetail" in said.stdout


def test_the_list_of_commands_says_what_each_command_says():
    context = click.Context(app)
    for name, entry in ENTRIES.items():
        command = app.get_command(context, name)
        assert command is not None
        assert command.get_short_help_str(limit=100) == entry.summary, name


def test_the_issue_s_commands_are_all_there():
    expected = {
        *("demo", "receive", "send", "pay", "resume", "run", "history", "show", "cancel"),
        *(
            "fallback",
            "release",
            "revoke",
            "export",
            "import",
            "wallet",
            "completion",
            "regtest",
            "mailroom",
        ),
        *(
            f"mailroom {name}"
            for name in ("serve", "check", "status", "backup", "block", "unblock")
        ),
        *(f"mailroom {name}" for name in ("serve", "check", "status", "backup")),
        *(f"mailroom {name}" for name in ("block", "unblock", "keys", "keys list", "keys rotate")),
        *(
            f"wallet {name}"
            for name in (
                "new",
                "import",
                "passphrase",
                "keyring",
                "transactions",
                "backup",
                "restore",
                "words",
                "info",
                "address",
                "balance",
                "coins",
            )
        ),
        "merchant",
        *(f"merchant {name}" for name in ("serve", "worker", "signer", "check", "store", "key")),
        *(f"merchant {name}" for name in ("deposit", "sweep", "approve", "refund", "user")),
        *(f"merchant {name}" for name in ("init", "backup", "restore")),
        *(f"merchant refund {name}" for name in ("list", "approve", "decline")),
        *(f"merchant user {name}" for name in ("add", "list", "disable", "password")),
        *(f"regtest {name}" for name in ("serve", "fund", "mine")),
        "config",
        *(f"config {name}" for name in ("path", "show", "init")),
    }
    assert {" ".join(words) for words in COMMANDS} == expected


def test_every_option_says_what_it_does():
    for path, command in walk(app, ("dovetail",)):
        assert command.help, path
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (path, parameter.name)


def test_the_version_goes_to_stdout(cli: Cli):
    said = cli("--version")
    assert said.code == 0
    assert said.out.startswith("dovetail ")
    assert said.err == ""


def test_without_a_command_the_help_is_shown(cli: Cli):
    said = cli()
    assert said.code == 2
    assert "Pay and be paid:" in said.out + said.err


def test_an_unknown_command_is_one_sentence_and_a_usage_error(cli: Cli):
    said = cli("recieve", "1000")
    assert said.code == 2
    assert said.err.startswith("Error: No such command 'recieve'. Did you mean `receive`")
    assert len(said.err.splitlines()) == 1


def test_the_module_runs_as_the_program_does():
    command = [sys.executable, "-m", "dovetail.cli", "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stdout.startswith("dovetail ")
