"""Mailrooms of both makes on loopback, each good as a directory and as a relay."""

import subprocess
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import httpx2 as httpx
from tests.interop.programs import Missing, Program
from tests.support.servers import free_port

from dovetail.mailroom import MailroomServer, MailroomSettings

WAIT = 2
"""Seconds that a poll of an empty mailbox waits, so that a pairing in which nobody answers is
short."""
_PATIENCE = 10.0


class Make(StrEnum):
    OURS = "Dovetail"
    THEIRS = "rust-payjoin"
    NPM = "payjoin-client"
    CLI = "payjoin-cli"


@dataclass(frozen=True, slots=True)
class Mailrooms:
    """One directory and one relay of each make: a relay refuses the gateway of its own process."""

    directories: dict[Make, str]
    relays: dict[Make, str]


@contextmanager
def open_mailrooms(folder: Path, program: Program | Missing) -> Generator[Mailrooms]:
    """Ours, and theirs where there is a `program`."""
    with ExitStack() as opened:
        directories: dict[Make, str] = {}
        relays: dict[Make, str] = {}
        for urls, name in ((directories, "directory"), (relays, "relay")):
            home = folder / f"our-{name}"
            home.mkdir()
            settings = MailroomSettings(home, local=True, v1=True, wait=WAIT)
            urls[Make.OURS] = opened.enter_context(MailroomServer(settings)).url
            if isinstance(program, Program):
                home = folder / f"their-{name}"
                urls[Make.THEIRS] = opened.enter_context(_theirs(program, home))
        yield Mailrooms(directories, relays)


@contextmanager
def _theirs(program: Program, home: Path) -> Generator[str]:
    """`payjoin-mailroom`, unchanged, with the settings that its README names."""
    home.mkdir()
    port = free_port()
    (home / "config.toml").write_text(
        f'listener = "127.0.0.1:{port}"\nstorage_dir = "{home / "data"}"\ntimeout = {WAIT}\n[v1]\n'
    )
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [program.path, "--config", home / "config.toml"], stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        await_health(url, process)
        yield url
    finally:
        process.terminate()
        process.wait()


def await_health(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/health").is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise RuntimeError("payjoin-mailroom did not come up: see its log")
