"""One attack on one server, and how an honest client fares beside it."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from subprocess import DEVNULL
from typing import Any

import httpx2 as httpx
from tests.interop.mailrooms import WAIT, await_health, free_port
from tests.mailroom.client import GATEWAY, MESSAGE, Client, new_mailbox

from dovetail.crypto.ohttp import KeyConfig
from dovetail.protocol import ShortId, poll_mailbox, post_to_mailbox

BOUND = 5.0
"""Seconds within which an honest request is answered."""
MEMORY = 300
"""MiB of resident memory that a server may have."""
_HONEST = "127.77.7.7"
_PAUSE = 0.1
_DOVETAIL = Path(sys.executable).with_name("dovetail")


@dataclass(slots=True)
class Fared:
    """How many honest requests were answered, the slowest in seconds, the peak in MiB."""

    attack: str
    asked: int = 0
    answered: int = 0
    slowest: float = 0.0
    memory: float = 0.0
    gone: bool = False

    @property
    def locked_out(self) -> bool:
        """Whether the attack had an effect that it must not have."""
        late = self.answered < self.asked or self.slowest > BOUND
        return late or not self.asked or self.gone or self.memory > MEMORY

    def __str__(self) -> str:
        asked = f"{self.answered}/{self.asked}"
        told = f"{self.attack:34} {asked:>9} {self.slowest:7.2f} s {self.memory:7.0f} MiB"
        return told + ("  gone" if self.gone else "")


@dataclass(frozen=True, slots=True)
class Make:
    """A mailroom of one make: the program, or None for ours."""

    name: str
    program: str | None = None

    def command(self, home: Path, port: int) -> list[str]:
        """What starts it."""
        address = f"127.0.0.1:{port}"
        if self.program is None:
            options = ["--listen", address, "--data", str(home), "--local", "--v1"]
            return [str(_DOVETAIL), "mailroom", "serve", *options]
        config = home / "config.toml"
        data = home / "data"
        config.write_text(
            f'listener = "{address}"\nstorage_dir = "{data}"\ntimeout = {WAIT}\n[v1]\n'
        )
        return [self.program, "--config", str(config)]


async def measure(make: Make, attack: str, home: Path, seconds: float) -> Fared:
    """Start a server, attack it for so long, and ask it honestly all the while."""
    home.mkdir(parents=True)  # noqa: ASYNC240
    port = free_port()
    command = make.command(home, port)
    process = subprocess.Popen(command, stdout=DEVNULL, stderr=DEVNULL)  # noqa: ASYNC220
    try:
        await asyncio.to_thread(await_health, f"http://127.0.0.1:{port}", process)
        async with _honest(f"http://127.0.0.1:{port}") as client:
            return await _beside(process, client, attack, port, seconds)
    finally:
        process.kill()
        process.wait()


async def _beside(
    process: "subprocess.Popen[bytes]", client: Client, attack: str, port: int, seconds: float
) -> Fared:
    fared = Fared(attack)
    command = [sys.executable, "-m", "tests.flood.attacks", attack, "127.0.0.1", str(port)]
    attacker = await asyncio.create_subprocess_exec(*command, str(seconds))
    try:
        while attacker.returncode is None:
            await _ask(client, fared)
            fared.memory = max(fared.memory, _resident(process.pid))
            await asyncio.sleep(_PAUSE)
        await _ask(client, fared)
        fared.gone = process.poll() is not None
        if attacker.returncode:
            raise RuntimeError(f"The attack failed: {attack}")
    finally:
        with suppress(ProcessLookupError):
            attacker.kill()
        await attacker.wait()
    return fared


async def _ask(client: Client, fared: Fared) -> None:
    """Post a message, and take it from the mailbox."""
    mailbox = new_mailbox()
    for get in (False, True):
        began = time.monotonic()
        fared.asked += 1
        with suppress(httpx.HTTPError, TimeoutError):
            async with asyncio.timeout(2 * BOUND):
                fared.answered += await _answered(client, mailbox, get=get)
        fared.slowest = max(fared.slowest, time.monotonic() - began)


async def _answered(client: Client, mailbox: ShortId, *, get: bool) -> bool:
    """Whether the mailroom did it; the makes differ in the fields of their answers."""
    ways: Any = {"relay": None, "directory": client.directory, "ohttp_keys": client.keys}
    request, context = (
        poll_mailbox(short_id=mailbox, **ways)
        if get
        else post_to_mailbox(short_id=mailbox, body=MESSAGE, **ways)
    )
    headers = {"content-type": request.content_type}
    answer = await client.http.post(request.url, content=request.body, headers=headers)
    return answer.status_code == 200 and context.open(answer.content).status == 200


@asynccontextmanager
async def _honest(url: str) -> AsyncGenerator[Client]:
    """A client with a network of its own, which keeps no connection."""
    transport = httpx.AsyncHTTPTransport(
        local_address=_HONEST, limits=httpx.Limits(max_keepalive_connections=0)
    )
    async with httpx.AsyncClient(transport=transport, timeout=2 * BOUND) as http:
        keys = KeyConfig.parse((await http.get(url + GATEWAY)).content)
        yield Client(http, keys, directory=url)


def _resident(pid: int) -> float:
    """MiB at the peak, of a process that may have ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1_024
    return 0.0


def named_peer() -> str | None:
    """The `payjoin-mailroom` that PAYJOIN_MAILROOM or PATH names."""
    return os.environ.get("PAYJOIN_MAILROOM") or which("payjoin-mailroom")
