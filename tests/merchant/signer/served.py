"""A signer at its socket, in a thread of this process or in a process of its own.

As a program it takes a folder, and the name of a method of the log after which it kills itself.
"""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.merchant.signer.deals import SignersHouse

from dovetail.errors import ConfigurationError
from dovetail.merchant.signer.log import SignerLog
from dovetail.merchant.signer.place import SignerPlace
from dovetail.merchant.signer.server import SignerServer
from dovetail.testing.kill import sigkill

ROOT = Path(__file__).parents[3]


@contextmanager
def serving(house: SignersHouse, place: SignerPlace) -> Iterator[SignerServer]:
    """Serve from a thread with an event loop of its own."""
    loop, stop, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    server = SignerServer(house.service)
    failures: list[ConfigurationError] = []

    async def serve() -> None:
        async with server.listening(place):
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except ConfigurationError as error:
            failures.append(error)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(10)
    try:
        if failures:
            raise failures[0]
        yield server
    finally:
        if not failures:
            loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


@contextmanager
def process(folder: Path, *, dies_after: str = "") -> Iterator["subprocess.Popen[str]"]:
    """Run it as a process until the block ends; it listens when the block begins."""
    command = [sys.executable, "-m", "tests.merchant.signer.served", str(folder), dies_after]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        try:
            yield child
        finally:
            child.kill()


def _die_after(name: str) -> None:
    method = getattr(SignerLog, name)

    def dying(self: SignerLog, *args: Any) -> None:
        method(self, *args)
        sigkill()

    setattr(SignerLog, name, dying)


async def _main(folder: Path, dies_after: str) -> None:
    if dies_after:
        _die_after(dies_after)
    server = SignerServer(SignersHouse(folder).service)
    async with server.listening(SignerPlace(path=folder / "signer.sock")):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), sys.argv[2]))
