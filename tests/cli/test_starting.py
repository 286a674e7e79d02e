"""What commands load: each thing that is loaded in vain is time that somebody waits."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.in_process import Cli

from dovetail.bitcoin import Network
from dovetail.cli import context, exits
from dovetail.runtime import agent
from dovetail.stores.sql import SqliteStore
from dovetail.wallets.bdk.wallet import BdkWallet

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
NOBODY = "http://127.0.0.1:1"
A_URI = (
    "bitcoin:bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
    "?amount=0.0005&pj=https://example.org/payjoin"
)
PROBE = """
import sys
from dovetail.cli import exits
from dovetail.cli.app import app
code = exits.run(app, sys.argv[2:])
print(sorted(set(sys.argv[1].split(",")) & set(sys.modules)))
sys.exit(code)
"""


LATER = ("dovetail.runtime", "dovetail.sessions.receiver.machine", "sqlalchemy")
ASKING = """
import sys
from dovetail.cli import exits
from dovetail.cli.app import app
from dovetail.wallets.bdk.wallet import BdkWallet

def begin_sync(_wallet):
    print(sorted(set(sys.argv[1].split(",")) & set(sys.modules)))
    raise SystemExit(7)

BdkWallet.begin_sync = begin_sync
sys.exit(exits.run(app, sys.argv[2:]))
"""


def probe(
    folder: Path,
    names: tuple[str, ...],
    *words: str,
    program: str = PROBE,
    network: str = "regtest",
) -> subprocess.CompletedProcess[str]:
    options = ("--network", network)
    line = [sys.executable, "-c", program, ",".join(names), *words, *options]
    settings = os.environ | {"DOVETAIL_DATA_DIR": str(folder)}
    return subprocess.run(line, capture_output=True, text=True, check=False, env=settings)


@pytest.mark.parametrize("database", ["none", "empty"])
def test_history_of_no_session_loads_nothing_that_reads_one(tmp_path: Path, database: str) -> None:
    if database == "empty":
        (tmp_path / "regtest").mkdir()
        SqliteStore.open(tmp_path / "regtest" / context.DATABASE).close()
    said = probe(tmp_path, HEAVY, "history")
    assert said.returncode == 0
    assert said.stdout == "[]\n"
    assert "There is no session yet" in said.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("send", A_URI, "--yes"),
        ("send", A_URI, "--yes", "--plain"),
        ("pay", A_URI, "--yes"),
        ("receive", "1000"),
        ("wallet", "balance"),
        ("wallet", "coins"),
    ],
    ids=lambda words: " ".join(word for word in words if word != A_URI),
)
def test_the_chain_server_is_asked_before_the_rest_is_loaded(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    BdkWallet.create(tmp_path / "regtest" / "wallet", Network.REGTEST, server=NOBODY)
    said = probe(tmp_path, LATER, *words, program=ASKING)
    assert (said.returncode, said.stdout) == (7, "[]\n"), said.stderr


@pytest.mark.parametrize(
    ("setting", "value"), [("DIRECTORY", "https://d.example"), ("DIRECT", "1")]
)
def test_the_chain_server_is_not_asked_where_a_setting_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    BdkWallet.create(tmp_path / "signet" / "wallet", Network.SIGNET, server=NOBODY)
    monkeypatch.setenv("DOVETAIL_CHAIN", NOBODY)
    monkeypatch.setenv(f"DOVETAIL_{setting}", value)
    said = probe(tmp_path, LATER, "receive", "1000", program=ASKING, network="signet")
    assert (said.returncode, said.stdout) == (exits.Exit.USAGE, "")
    assert "is set" in said.stderr


def test_a_command_that_fails_does_not_wait_for_the_chain_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stalling:  # which takes calls and says nothing
        url = f"http://127.0.0.1:{stalling.getsockname()[1]}"
        monkeypatch.setenv("DOVETAIL_CHAIN", url)
        monkeypatch.setenv("MINREQ_TIMEOUT", "600")
        BdkWallet.create(tmp_path / "regtest" / "wallet", Network.REGTEST, server=url)
        (tmp_path / "regtest" / context.DATABASE).write_bytes(b"no database")
        said = probe(tmp_path, (), "send", A_URI, "--yes", "--json")
    assert said.returncode == exits.Exit.FAILED
    assert "is not a Dovetail database" in said.stderr


def test_no_command_loads_what_none_needs() -> None:
    program = (
        "import sys, dovetail.cli.handlers.send, dovetail.cli.handlers.receive,"
        " dovetail.cli.handlers.resume, dovetail.cli.handlers.show, dovetail.cli.handlers.wallet;"
        f" print(sorted(set({NEVER!r}) & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert told.stdout == b"[]\n"


def test_an_empty_history_as_json_is_an_object_without_sessions(cli: Cli) -> None:
    assert cli("history", "--json").json == {"sessions": [], "more": False}


def test_the_database_is_looked_for_where_an_agent_makes_it() -> None:
    assert context.DATABASE == agent.DATABASE
