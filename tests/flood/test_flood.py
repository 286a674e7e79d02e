"""Some of the floods, so that a lock-out is seen early; and what is counted as one."""

import sys
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import pytest
from tests.flood.attacks import ATTACKS, MAILROOM, OURS
from tests.flood.makes import Asks, Make
from tests.flood.measuring import measure

QUIET = "pipelined GETs"


@pytest.mark.parametrize(
    ("attack", "seconds"),
    [
        ("200 clients that never read", 0.5),
        ("connections that say nothing, 12 networks", 0.5),
        ("tunnels to a name that rebinds, no TLS in some", 3.0),
        ("BIP 78: hoarded bodies, 12 networks", 0.5),
    ],
)
async def test_a_flood_locks_nobody_out(attack: str, seconds: float, tmp_path: Path) -> None:
    # With the other tests beside it a machine is slow: how slow is told by the whole flood.
    make = ATTACKS[attack][0]
    fared = await measure(make, attack, tmp_path / "server", seconds, bound=10, ending=15)
    assert not fared.locked_out, str(fared)


def test_there_are_attacks_on_each_server() -> None:
    assert len(MAILROOM) >= 35
    assert len(OURS) >= 20


@dataclass(frozen=True, slots=True)
class Broken(Make):
    """A server that does one thing wrong."""

    script: str = ""

    def command(self, home: Path, port: int) -> list[str]:
        return [sys.executable, "-c", LISTEN + self.script, str(port), str(home)]

    def ready(self, home: Path) -> bool:
        return home.exists()

    def honest(self, http: httpx.AsyncClient, home: Path, port: int) -> list[Asks]:  # noqa: ARG002
        async def ask() -> bool:
            return (await http.get(f"http://127.0.0.1:{port}/")).status_code == 200

        return [ask]


LISTEN = """
import os, signal, socket, sys, threading, time
held = []
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=500)
def serve(status=b"200 OK"):
    while True:
        client = listener.accept()[0]
        held.append(client)
        try:
            if client.getpeername()[0] == "127.77.7.7":
                client.recv(1 << 16)
                client.sendall(b"HTTP/1.1 " + status + b"\\r\\ncontent-length: 0\\r\\n\\r\\n")
        except OSError:
            pass
"""


@pytest.mark.parametrize(
    ("script", "wrong"),
    [
        ("serve()", False),
        ("time.sleep(60)", True),  # nothing is answered, and nothing was from the beginning
        ("serve(b'503 Unavailable')", True),
        ("memory = b'x' * (400 << 20); serve()", True),
        ("threading.Timer(0.3, os._exit, (1,)).start(); serve()", True),
        ("signal.signal(signal.SIGTERM, signal.SIG_IGN); serve()", True),
    ],
    ids=["well", "silent", "refusing", "large", "dying", "not ending"],
)
async def test_a_lock_out_is_counted(tmp_path: Path, script: str, *, wrong: bool) -> None:
    fared = await measure(Broken(script=script), QUIET, tmp_path / "server", 0.7, bound=2, ending=1)
    assert fared.asked
    assert fared.locked_out is wrong, str(fared)
    assert (fared.answered == fared.asked) is (script.endswith("serve()") and not fared.gone)


async def test_a_server_that_does_not_start_has_locked_out_everybody(tmp_path: Path) -> None:
    fared = await measure(Broken(script="sys.exit(1)"), QUIET, tmp_path / "server", 0.1)
    assert fared.locked_out
    assert (fared.asked, fared.answered, fared.gone) == (1, 0, True)


async def test_a_breach_is_counted(tmp_path: Path) -> None:
    """A relay that may go to private addresses reaches the victim, and that is counted."""
    home = tmp_path / "server"
    fared = await measure(Reckless(), "names that lead to private addresses", home, 0.5, bound=10)
    assert fared.breached
    assert fared.locked_out


@dataclass(frozen=True, slots=True)
class Reckless(Make):
    """A relay for tests on one machine, which may go anywhere."""

    def command(self, home: Path, port: int) -> list[str]:
        return [*ATTACKS["names on a silent name server"][0].command(home, port)]

    def ready(self, home: Path) -> bool:
        return home.exists()
