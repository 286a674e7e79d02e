"""The processes of one run: a chain, a mailroom, and the commands of two parties.

Each is forked from this single-threaded process, which has imported everything already: a real
process with memory of its own, killed by a real SIGKILL, at a tenth of the price of a new one.
"""

import hashlib
import mmap
import os
import shutil
import signal
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from asyncio import selector_events
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

from tests.kill.dialects import Dialect, speaking

from dovetail import durable_files
from dovetail.cli import context, exits, open_parts
from dovetail.cli.app import app
from dovetail.mailroom import Mailroom, MailroomServer, MailroomSettings, keys, mailboxes
from dovetail.protocol.requests import OHTTP_MESSAGE_SIZE
from dovetail.regtest.server import RegtestServer
from dovetail.runtime import agent, transport
from dovetail.runtime.transport import HttpTransport
from dovetail.stores.sql import SqlStore
from dovetail.stores.sql.writer import Writer
from dovetail.testing.counting import (
    CountingChain,
    CountingStore,
    CountingTransport,
    CountingWallet,
)
from dovetail.testing.kill import Killer

Tweak = Callable[[], AbstractContextManager[Any]]
"""What a party's process has changed about it: a peer that is not like us."""

_PATIENCE = 30.0
_TLS = ssl.create_default_context()
"""Reading the system's certificates takes longer than all else that a command does here."""


class Coins(StrEnum):
    """What the two wallets hold."""

    USUAL = "usual"
    TAPROOT = "taproot"
    NESTED = "nested segwit"
    LEGACY = "legacy"
    POOR = "poor"
    """The receiver has no coin."""
    SPARE = "spare"
    """The sender has a second coin, which a wallet without a session can spend."""
    EXACT = "exact"
    """The sender's coin leaves no change, out of which a receiver could be helped with the fee."""


class SharedClock:
    """The parties' clock: the system's, set forward. Forked processes share it."""

    def __init__(self) -> None:
        self._ahead = mmap.mmap(-1, 8)
        self._real = time.time

    def __call__(self) -> float:
        return self._real() + self.ahead

    @property
    def ahead(self) -> float:
        """Seconds by which it is set forward."""
        return float(struct.unpack("d", self._ahead[:8])[0])

    @ahead.setter
    def ahead(self, seconds: float) -> None:
        self._ahead[:8] = struct.pack("d", seconds)


class Process:
    """A forked process that runs `work` and exits with what that returns."""

    def __init__(self, work: Callable[[], int], log: Path) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(_run(work, log))
        self._status: int | None = None

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid == 0:
                return None
            self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def end(self) -> None:
        """Kill it if it still runs."""
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            while self.code is None:
                time.sleep(0.001)


class RealProcess:
    """A command by the installed program: no fork, no wrapped port."""

    def __init__(self, words: Sequence[str], home: Path, settings: Mapping[str, str]) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("DOVETAIL_")}
        with (home / "real.log").open("ab") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dovetail.cli", *words],
                env=inherited | dict(settings),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )

    @property
    def code(self) -> int | None:
        return self._process.poll()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def _run(work: Callable[[], int], log: Path) -> int:
    """In the child: nothing may return into the harness."""
    code = 70
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(handle, 2)
        out = os.open(log.with_suffix(".out"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(out, 1)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        code = work()
    except BaseException:  # noqa: BLE001 - whatever it was, the harness is not to run twice
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return code


@dataclass(frozen=True, slots=True)
class Ports:
    """Where chain and mailroom of this worker listen, run after run."""

    chain: int
    mailroom: int
    receiver: int
    """For the receiver's own server, where it has one."""
    electrum: int
    """For the chain's Electrum server, where the parties ask that."""
    node: int | None = None
    """For a Bitcoin Core node whose wallets are used; None: BDK's are."""

    @property
    def chain_url(self) -> str:
        return f"http://127.0.0.1:{self.chain}"

    @property
    def mailroom_url(self) -> str:
        return f"http://127.0.0.1:{self.mailroom}"

    def settings(self, home: Path, dialect: Dialect = Dialect.ESPLORA) -> dict[str, str]:
        """A party's configuration."""
        electrum = f"tcp://127.0.0.1:{self.electrum}"
        core = {
            "DOVETAIL_WALLET": "core",
            "DOVETAIL_CORE_URL": f"http://127.0.0.1:{self.node}",
            "DOVETAIL_CORE_WALLET": home.name,
            "DOVETAIL_CORE_COOKIE": str(home.parent / "core" / "regtest" / ".cookie"),
        }
        return ({} if self.node is None else core) | {
            "DOVETAIL_CONFIG": os.devnull,
            "DOVETAIL_DATA_DIR": str(home),
            "DOVETAIL_NETWORK": "regtest",
            "DOVETAIL_CHAIN": electrum if dialect.is_electrum else self.chain_url,
            "DOVETAIL_DIRECTORY": self.mailroom_url,
            "DOVETAIL_RELAYS": self.mailroom_url,
            "DOVETAIL_WATCH_INTERVAL": "1",
        }


def run_chain(folder: Path, ports: Ports, dialect: Dialect = Dialect.ESPLORA) -> Process:
    """Bitcoin Core's consensus code behind HTTP, and Electrum's protocol; up when this returns."""
    ready = folder / "chain.up"

    def work() -> int:
        home = folder / "chain"
        # It is killed and tidies nothing up: what its kernel unpacks is replaced by the next one's.
        unpacked = folder.with_name(f"{folder.name}.kernel")
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir()
        tempfile.tempdir = str(unpacked)
        home.mkdir(exist_ok=True)
        electrum = ports.electrum if dialect.is_electrum else None
        with speaking(dialect), RegtestServer(home, port=ports.chain, electrum=electrum):
            ready.touch()
            signal.pause()
        return 0

    return _started(lambda: Process(work, folder / "chain.log"), ready)


def run_mailroom(
    folder: Path,
    ports: Ports,
    killer: Killer | None = None,
    more: Mapping[str, float] | None = None,
) -> Process:
    """A mailroom, which a `killer` may kill at a durable write; up (or dead) when this returns.

    `more` are settings other than the usual ones.
    """
    ready = folder / "mailroom.up"

    def work() -> int:
        usual: dict[str, Any] = {"local": True, "wait": 0.3}
        settings = MailroomSettings(folder / "mailroom", **usual | dict(more or {}))
        with ExitStack() as changes:
            if killer is not None:
                changes.enter_context(_counted_writes(killer))
            room = Mailroom(settings)
            with MailroomServer(port=ports.mailroom, mailroom=room):
                ready.touch()
                signal.pause()
        return 0

    return _started(lambda: Process(work, folder / "mailroom.log"), ready)


def _started(start: Callable[[], Process], ready: Path) -> Process:
    ready.unlink(missing_ok=True)
    process = start()
    deadline = time.monotonic() + _PATIENCE
    while not ready.exists() and process.code is None:
        if time.monotonic() > deadline:
            raise TimeoutError("A server of the harness did not start.")
        time.sleep(0.002)
    return process


@contextmanager
def _counted_writes(killer: Killer) -> Any:
    """Every durable write of a mailroom is an effect: before it, and once it is durable."""
    replace_file = durable_files.replace_durably

    def write_keys(path: Path, data: bytes) -> None:
        killer.point("keys leave")
        replace_file(path, data)
        killer.point("keys written")

    class CountedWriter(Writer):
        async def run_async(self, work: Any, *, isolated: bool = True, once: bool = False) -> Any:
            killer.point("message leaves" if not isolated else "purge leaves")
            answer = await super().run_async(work, isolated=isolated, once=once)
            killer.point("message written" if not isolated else "purge written")
            return answer

    with (
        patch.object(keys, "replace_durably", write_keys),
        patch.object(mailboxes, "Writer", CountedWriter),
    ):
        yield


@dataclass(frozen=True, slots=True)
class Command:
    """One `dovetail …` of one party."""

    words: tuple[str, ...]
    home: Path
    settings: Mapping[str, str]
    clock: SharedClock
    bodies: Path
    tweaks: tuple[Tweak, ...] = ()

    def start(self, killer: Killer) -> Process:
        """Run it in a process of its own, with its ports wrapped."""
        return Process(lambda: self._work(killer), self.home / "command.log")

    def _work(self, killer: Killer) -> int:
        for name in [each for each in os.environ if each.startswith("DOVETAIL_")]:
            del os.environ[name]
        os.environ.update(self.settings)
        with ExitStack() as changes:
            changes.enter_context(_wrapped(killer, self.clock, self.bodies))
            for tweak in self.tweaks:
                changes.enter_context(tweak())
            return int(exits.run(app, list(self.words)))


@contextmanager
def _wrapped(killer: Killer, clock: SharedClock, bodies: Path) -> Any:
    """The command's own ports, counted; nothing else about it is changed but its haste."""
    open_wallet, open_chain, policy = (
        open_parts.open_wallet,
        open_parts.open_chain,
        context.Home.policy,
    )

    @contextmanager
    def counted_chain(place: context.Home) -> Any:
        with open_chain(place) as chain:
            yield CountingChain(chain, killer)

    class CountedTransport(CountingTransport):
        def __init__(self, **settings: Any) -> None:
            self._web = HttpTransport(**settings)
            self.require_way = self._web.require_way
            self.most_at_once = self._web.most_at_once
            super().__init__(self._web, killer, leaving=lambda r: _record(bodies, ASKED, r.body))

        async def aclose(self) -> None:
            await self._web.aclose()

    class CountedStore:
        @classmethod
        def open(cls, path: Path, **settings: Any) -> CountingStore:
            return CountingStore(SqlStore.open(path, **settings), killer)

    def hasty(place: context.Home) -> Any:
        quick = {"watch_interval": 0.05, "poll_pause": 0.05, "first_retry": 0.05}
        chosen = policy.fget(place)  # type: ignore[attr-defined]  # a property
        return replace(chosen, longest_retry=0.2, tries=3, **quick)

    with (
        _watched_sockets(bodies),
        patch.object(
            open_parts,
            "open_wallet",
            lambda place, **kw: CountingWallet(open_wallet(place, **kw), killer),
        ),
        patch.object(open_parts, "open_chain", counted_chain),
        patch.object(transport, "HttpTransport", CountedTransport),
        patch.object(agent, "SqlStore", CountedStore),
        patch.object(context.Home, "policy", property(hasty)),
        patch.object(time, "time", clock),
        patch.object(ssl, "create_default_context", lambda *_a, **_k: _TLS),
    ):
        yield


ASKED, LEFT = "asked", "left"
"""A ciphertext on its way to the transport, and one that a socket was given."""


@contextmanager
def _watched_sockets(bodies: Path) -> Any:
    """P1 is judged at the socket: whatever it is given is looked at, whoever sends it again."""
    give = selector_events._SelectorSocketTransport.write  # type: ignore[attr-defined]

    def write(transport: Any, data: Any) -> None:
        sent = bytes(data)
        body = sent if len(sent) == OHTTP_MESSAGE_SIZE else sent.partition(b"\r\n\r\n")[2]
        _record(bodies, LEFT, body)
        give(transport, data)

    with patch.object(selector_events._SelectorSocketTransport, "write", write):  # type: ignore[attr-defined]
        yield


def _record(bodies: Path, where: str, body: bytes) -> None:
    """Write a ciphertext down, as its digest and that of its encapsulated key."""
    if len(body) == OHTTP_MESSAGE_SIZE:
        key = hashlib.sha256(body[7:72]).hexdigest()
        whole = hashlib.sha256(body).hexdigest()
        with bodies.open("a") as file:
            file.write(f"{where} {whole} {key}\n")


class Group:
    """The processes of one run, all ended with it."""

    def __init__(self) -> None:
        self._all: list[Process] = []

    def add(self, process: Process) -> Process:
        self._all.append(process)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._all:
            process.end()
