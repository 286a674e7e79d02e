"""What commands load: each thing that is loaded in vain is time that somebody waits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.commands import Cli

from dovetail.cli.work import homes
from dovetail.runtime import agent
from dovetail.stores.sql import SqlStore

HEAVY = (
    "alembic",
    "anyio",
    "asyncio",
    "bdkpython",
    "btclib_secp256k1",
    "cryptography",
    "dovetail.crypto",
    "dovetail.protocol",
    "dovetail.runtime",
    "dovetail.sessions",
    "httpcore2",
    "rich",
    "segno",
    "sqlalchemy",
    "ssl",
)
NEVER = ("alembic", "h2", "httpx", "httpx2", "pygments", "rich", "sqlalchemy.orm", "trio")
PROBE = """
import sys
from dovetail.cli import exits
from dovetail.cli.app import app
code = exits.run(app, sys.argv[2:])
print(sorted(set(sys.argv[1].split(",")) & set(sys.modules)))
sys.exit(code)
"""


def probe(folder: Path, names: tuple[str, ...], *words: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", PROBE, ",".join(names), *words, "--network", "regtest"]
    settings = os.environ | {"DOVETAIL_DATA_DIR": str(folder)}
    return subprocess.run(program, capture_output=True, text=True, check=False, env=settings)


@pytest.mark.parametrize("database", ["none", "empty"])
def test_history_of_no_session_loads_nothing_that_reads_one(tmp_path: Path, database: str) -> None:
    if database == "empty":
        (tmp_path / "regtest").mkdir()
        SqlStore.open(tmp_path / "regtest" / homes.DATABASE).close()
    said = probe(tmp_path, HEAVY, "history")
    assert said.returncode == 0
    assert said.stdout == "[]\n"
    assert "There is no session yet" in said.stderr


def test_no_command_loads_what_none_needs() -> None:
    program = (
        "import sys, dovetail.cli.work.sending, dovetail.cli.work.receiving,"
        " dovetail.cli.work.resuming, dovetail.cli.work.showing, dovetail.cli.work.wallets;"
        f" print(sorted(set({NEVER!r}) & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert told.stdout == b"[]\n"


def test_an_empty_history_as_json_is_an_object_without_sessions(cli: Cli) -> None:
    assert cli("history", "--json").json == {"sessions": [], "more": False}


def test_the_database_is_looked_for_where_an_agent_makes_it() -> None:
    assert homes.DATABASE == agent.DATABASE
