"""The demo's processes: a chain, a mailroom and two people, each with a folder of their own."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dovetail.errors import InfrastructureError, UsageError
from dovetail.regtest import remote_fund

PATIENCE = 60.0
"""The longest wait of the demo in seconds; even a slow machine needs a fraction of it."""

Json = dict[str, Any]
Process = subprocess.Popen[str]


def free_port() -> int:
    """Return a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def server(name: str, url: str, path: str, *words: str, log: Path) -> Generator[None]:
    """Run `dovetail WORDS…` until the block ends; enter once `path` answers."""
    with log.open("wb") as said:
        process = subprocess.Popen(  # noqa: S603 - our own program
            command(*words), stdout=said, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
        try:
            _wait_until_up(name, process, url + path)
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE)


def command(*words: str) -> list[str]:
    """The command line that runs this very Dovetail."""
    return [sys.executable, "-m", "dovetail.cli", *words]


def ask(url: str) -> Any:
    """The JSON that a server of the demo answers."""
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310 - our own server
        return json.load(answer)


def _wait_until_up(name: str, process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=PATIENCE).close()  # noqa: S310 - our own server
        except (OSError, urllib.error.URLError):
            time.sleep(0.02)
        else:
            return
    raise InfrastructureError(f"The {name} did not start: run the demo with --keep to see why.")


@dataclass(frozen=True, slots=True)
class Person:
    """One side of the payment: a wallet, a database and a configuration of its own."""

    name: str
    folder: Path
    settings: dict[str, str]
    flags: tuple[str, ...] = ()
    _begun: list[Process] = field(default_factory=list[Process])

    def run(self, *words: str, may: tuple[int, ...] = (0,)) -> Json:
        """Run a command to its end; its JSON result. Raises for an exit code not in `may`."""
        return self._result(self._begin(*words), words, may)

    def begin(self, *words: str) -> Process:
        """Start a command that goes on by itself; end it with `finish` or `stop`."""
        process = self._begin(*words)
        self._begun.append(process)
        return process

    def finish(self, process: Process, *words: str) -> Json:
        """Wait for a begun command to end by itself."""
        return self._result(process, words, (0,))

    def stop(self) -> None:
        """End the processes that still run."""
        for process in self._begun:
            if process.poll() is None:
                process.terminate()
                process.wait(PATIENCE)

    @property
    def journal(self) -> Path:
        """The file to which `begin_mortal` writes its effects."""
        return self.folder / "effects.log"

    def begin_mortal(self, at: int, *uri: str) -> Process:
        """Go on with every session, or pay `uri`, and be killed at the effect number `at`."""
        words = (
            sys.executable,
            "-m",
            "dovetail.cli.demo.crashing_party",
            str(at),
            str(self.journal),
        )
        process = self._spawn([*words, *uri])
        self._begun.append(process)
        return process

    def _begin(self, *words: str) -> Process:
        return self._spawn(command(*words, "--json", *self.flags))

    def _spawn(self, words: list[str]) -> Process:
        with (self.folder / "stderr.log").open("ab") as said:
            return subprocess.Popen(  # noqa: S603 - our own program
                words,
                env=_environment(self.folder, self.settings),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )

    def _result(self, process: Process, words: tuple[str, ...], may: tuple[int, ...]) -> Json:
        said, _ = process.communicate(timeout=PATIENCE)
        if process.returncode not in may:
            raise InfrastructureError(
                f"The {self.name}'s `dovetail {words[0]}` failed: run the demo with --keep and"
                f" look into {self.folder.name}/stderr.log."
            )
        result: Json = json.loads(said)
        return result


def _environment(folder: Path, settings: dict[str, str]) -> dict[str, str]:
    """Nothing of the user's own configuration reaches the demo."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("DOVETAIL_")}
    ours = {"DOVETAIL_DATA_DIR": str(folder), "DOVETAIL_CONFIG": os.devnull, **settings}
    return inherited | ours


class Stage:
    """The servers and people of one performance, in one folder; made by `open_stage`."""

    def __init__(self, stack: ExitStack, folder: Path, flags: tuple[str, ...]) -> None:
        self._stack = stack
        self._folder = folder
        self._flags = flags
        self.chain = f"http://127.0.0.1:{free_port()}"
        self.mailroom = f"http://127.0.0.1:{free_port()}"
        self.owners: dict[str, str] = {}
        """The owner of each coin, by `txid:vout`."""

    def serve_chain(self) -> None:
        """Start the chain."""
        self._serve("regtest", self.chain, "/blocks/tip/height")

    def serve_mailroom(self) -> None:
        """Start the mailroom."""
        self._serve("mailroom", self.mailroom, "/health", "--local")

    def person(self, name: str, *values: int) -> Person:
        """Return a person with a new wallet and a confirmed coin of each value."""
        home = self._folder / name
        home.mkdir()
        settings = {
            "DOVETAIL_NETWORK": "regtest",
            "DOVETAIL_CHAIN": self.chain,
            "DOVETAIL_DIRECTORY": self.mailroom,
            "DOVETAIL_RELAYS": self.mailroom,
            "DOVETAIL_WATCH_INTERVAL": "1",
        }
        person = Person(name, home, settings, self._flags)
        self._stack.callback(person.stop)
        person.run("wallet", "new")
        for value in values:
            address = person.run("wallet", "address")["address"]
            remote_fund(self.chain, address, value)
        self.note_coins(person)
        return person

    def note_coins(self, person: Person) -> None:
        """Note the owner of each coin, to name the parties of a transaction at the end."""
        coins = person.run("wallet", "coins")["coins"]
        self.owners |= {coin["outpoint"]: person.name for coin in coins}

    def _serve(self, name: str, url: str, health: str, *options: str) -> None:
        place = ("--listen", url.removeprefix("http://"), "--data", str(self._folder / name))
        words = (name, "serve", *place, *options, *self._flags)
        log = self._folder / f"{name}.log"
        self._stack.enter_context(server(name, url, health, *words, log=log))


@contextlib.contextmanager
def open_stage(keep: str | None, verbose: int = 0) -> Generator[Stage]:
    """A stage in a new folder: the one to `keep`, or a temporary one."""
    with ExitStack() as stack:
        yield Stage(stack, _folder(stack, keep), ("-v",) * verbose)


def _folder(stack: ExitStack, keep: str | None) -> Path:
    if keep is None:
        folder = Path(tempfile.mkdtemp(prefix="dovetail-demo-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder
    folder = Path(keep).absolute()
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise UsageError("The folder for --keep already exists. Name a new one.") from None
    return folder
