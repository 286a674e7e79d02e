"""One attack on one server, and how an honest client fares beside it."""

import asyncio
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
from tests.flood.makes import Asks, Make, honest_client
from tests.support.servers import free_port

BOUND = 5.0
"""Seconds within which an honest request is answered."""
MEMORY = 300
"""MiB of resident memory that a server may have."""
ENDING = 4.0
"""Seconds within which it ends when it is told to, beside the attack."""
BREACHED = 3
"""What an attack exits with that reached what it must not."""
_START = 20.0
_PAUSE = 0.1


@dataclass(slots=True)
class Fared:
    """How many honest requests were answered, the slowest in seconds, the peak in MiB."""

    attack: str
    bound: float = BOUND
    ending: float = ENDING
    asked: int = 0
    answered: int = 0
    slowest: float = 0.0
    memory: float = 0.0
    ended: float | None = None
    """Seconds that its end took; None if it was not told to end."""
    gone: bool = False
    breached: bool = False

    @property
    def locked_out(self) -> bool:
        """Whether the attack had an effect that it must not have."""
        late = self.answered < self.asked or self.slowest > self.bound
        stuck = self.ended is not None and self.ended > self.ending
        too_much = self.memory > MEMORY
        return late or not self.asked or self.gone or too_much or stuck or self.breached

    def __str__(self) -> str:
        asked = f"{self.answered}/{self.asked}"
        told = f"{self.attack:42} {asked:>9} {self.slowest:7.2f} s {self.memory:7.0f} MiB"
        ended = "" if self.ended is None else f" {self.ended:6.2f} s"
        return told + ended + "  gone" * self.gone + "  breached" * self.breached


def ending_of(attack: str) -> float:
    """What is asked of another gateway is cut off only after most of the time for the end."""
    return 9.0 if "silent gateway" in attack else ENDING


async def measure(
    make: Make,
    attack: str,
    home: Path,
    seconds: float,
    *,
    bound: float = BOUND,
    ending: float = ENDING,
) -> Fared:
    """Start a server, attack it for so long, ask it honestly all the while, and end it.

    A server that answers nothing from the beginning has locked out everybody.
    """
    home.mkdir(parents=True)  # noqa: ASYNC240
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *make.command(home, port), stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
    )
    fared = Fared(attack, bound=bound, ending=ending)
    try:
        if await _listens(make, home, port, process):
            async with honest_client(home, 2 * bound) as http:
                asks = make.honest(http, home, port)
                await _beside(process, asks, fared, (home, port, seconds), ends=make.ours)
        else:
            fared.asked, fared.gone = 1, process.returncode is not None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return fared


async def _listens(make: Make, home: Path, port: int, process: Process) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(_START):
            while process.returncode is None:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    if make.ready(home):
                        return True
                await asyncio.sleep(0.02)
    return False


async def _beside(
    process: Process, asks: list[Asks], fared: Fared, where: tuple[Path, int, float], *, ends: bool
) -> None:
    home, port, seconds = where
    command = [sys.executable, "-m", "tests.flood.attacks", fared.attack, "127.0.0.1", str(port)]
    attacker = await asyncio.create_subprocess_exec(*command, str(home), stdin=PIPE, stdout=PIPE)
    assert attacker.stdin is not None
    assert attacker.stdout is not None
    try:
        await attacker.stdout.readline()  # it begins
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await _ask(asks, fared)
            fared.memory = max(fared.memory, _resident(process.pid))
            await asyncio.sleep(_PAUSE)
        fared.gone = process.returncode is not None
        if ends and not fared.gone:
            fared.ended = await _end(process, fared.ending)
        attacker.stdin.close()
        code = await attacker.wait()
        fared.breached = code == BREACHED
        if code not in (0, BREACHED):
            raise RuntimeError(f"The attack failed: {fared.attack}")
    finally:
        with suppress(ProcessLookupError):
            attacker.kill()
        await attacker.wait()


async def _end(process: Process, patience: float) -> float:
    """Tell it to end, and say how long that took, or a little more than there was patience."""
    began = time.monotonic()
    process.terminate()
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), patience + 1)
    return time.monotonic() - began


async def _ask(asks: list[Asks], fared: Fared) -> None:
    for ask in asks:
        began = time.monotonic()
        fared.asked += 1
        with suppress(httpx.HTTPError, TimeoutError, OSError):
            async with asyncio.timeout(2 * fared.bound):
                fared.answered += await ask()
        fared.slowest = max(fared.slowest, time.monotonic() - began)


def _resident(pid: int) -> float:
    """MiB at the peak, of a process that may have ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1_024
    return 0.0
