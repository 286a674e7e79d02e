"""The chain and the mailroom of one run: the ports they are at, and the coins they begin with."""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.kill.dialects import Dialect, speaking
from tests.kill.processes import Process
from tests.support.waiting import wait_for

from dovetail import durable_files
from dovetail.mailroom import Mailroom, MailroomServer, MailroomSettings, keys, mailboxes
from dovetail.regtest.server import RegtestServer
from dovetail.stores.sql.writer import Writer
from dovetail.testing.kill import Killer

_PATIENCE = 30.0


class Coins(StrEnum):
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
            (folder / "chain.up").touch()
            signal.pause()
        return 0

    return _started(work, folder, "chain")


def run_mailroom(
    folder: Path,
    ports: Ports,
    killer: Killer | None = None,
    more: Mapping[str, float] | None = None,
) -> Process:
    """A mailroom, which a `killer` may kill at a durable write; up (or dead) when this returns.

    `more` are settings other than the usual ones.
    """

    def work() -> int:
        usual: dict[str, Any] = {"local": True, "wait": 0.3}
        settings = MailroomSettings(folder / "mailroom", **usual | dict(more or {}))
        with ExitStack() as changes:
            if killer is not None:
                changes.enter_context(_counted_writes(killer))
            room = Mailroom(settings)
            with MailroomServer(port=ports.mailroom, mailroom=room):
                (folder / "mailroom.up").touch()
                signal.pause()
        return 0

    return _started(work, folder, "mailroom")


def _started(work: Callable[[], int], folder: Path, name: str) -> Process:
    """A process that makes a file once it is up."""
    ready = folder / f"{name}.up"
    ready.unlink(missing_ok=True)

    process = Process(work, folder / f"{name}.log")
    wait_for(lambda: ready.exists() or process.code is not None, _PATIENCE)
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
