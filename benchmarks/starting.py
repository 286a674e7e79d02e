"""How long a person waits before a command works, and a program before the core is there."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.harness import AtMost, Comparison, Timer
from benchmarks.keys import AMOUNT
from benchmarks.payjoin_round import GATEWAY
from tests.support.keys import Keys

from dovetail.bitcoin import Address, Network
from dovetail.bitcoin.units import UnixTime
from dovetail.sessions import receiver
from dovetail.wallets.bdk.wallet import BdkWallet

TITLE = "Starting: processes until they have done what the row says"
BASELINE = "a bare interpreter that does nothing"

_ONE_DAY = 86_400
_COMMAND = (sys.executable, "-m", "dovetail.cli")


def comparisons() -> Iterator[Comparison]:
    """Whole processes, from their start on; what is compiled is compiled before."""
    bare = _process("-c", "pass")
    for role in ("receiver", "sender"):
        module = f"dovetail.sessions.{role}"
        yield Comparison(f"import {module}", _process("-c", f"import {module}"), bare, AtMost(3))
        everything = _process("-c", f"from {module} import replay")
        yield Comparison(f"from {module} import replay", everything, bare)
    with ExitStack() as opened:
        home = Path(opened.enter_context(TemporaryDirectory()))
        history = _process("-m", "dovetail.cli", "history", home=home)
        yield Comparison("dovetail history, no session yet", history, bare, AtMost(12))
        chain = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        BdkWallet.create(home / "regtest" / "wallet", Network.REGTEST, server=_url(chain))
        for words, target in ((("send", _uri(), "--yes"), AtMost(27)), (("receive", "1000"), None)):
            asking = _until_asked(chain, home, *words)
            yield Comparison(f"dovetail {words[0]}, up to its first request", asking, bare, target)


def _process(*words: str, home: Path | None = None) -> Timer:
    def timer(repetitions: int) -> float:
        start = perf_counter()
        for _ in range(repetitions):
            subprocess.run(
                [sys.executable, *words], check=True, capture_output=True, env=_environment(home)
            )
        return perf_counter() - start

    return timer


def _until_asked(chain: socket.socket, home: Path, *command: str) -> Timer:
    """Each process ends once it has asked its chain source for the first time."""
    words = [*_COMMAND, *command, "--chain", _url(chain)]

    def timer(repetitions: int) -> float:
        taken = 0.0
        for _ in range(repetitions):
            start = perf_counter()
            with subprocess.Popen(
                words, env=_environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ) as process:
                connection, _ = chain.accept()
                with connection:
                    connection.recv(1)
                    taken += perf_counter() - start
                    process.kill()
        return taken

    return timer


def _uri() -> str:
    created = receiver.create(
        address=Address.from_script(Keys("payee").script(0), Network.REGTEST),
        directory="http://127.0.0.1:8080",
        ohttp_keys=GATEWAY.config,
        expires_at=UnixTime(int(time.time()) + _ONE_DAY),
        amount=AMOUNT,
    )
    return created.save(_Nowhere()).payjoin_uri.serialize()


class _Nowhere:
    def append(self, event: receiver.ReceiverEvent, /, *, seq: int, closes: bool) -> None:
        """Nobody goes on with this session."""


def _url(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}"


def _environment(home: Path | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    settings = {} if home is None else {"DOVETAIL_DATA_DIR": str(home)}
    return kept | settings | {"DOVETAIL_NETWORK": "regtest"}
