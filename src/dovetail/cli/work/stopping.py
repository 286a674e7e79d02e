"""SIGINT and SIGTERM: a command that is told to stop leaves its sessions where they are."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """What a signal does: set `asked`, and cancel the work unless it looks at `asked` itself.

    A second signal is not held back any more: what is durable stays so.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Handle both signals from here on."""
        self.asked = asyncio.Event()
        self.guarded = False
        self.task: asyncio.Task[int] | None = None
        self._loop = loop
        self._install()

    @contextmanager
    def paused(self) -> Generator[None]:
        """Let a signal end the process while a person is asked something."""
        self.remove()
        try:
            yield
        finally:
            self._install()

    def remove(self) -> None:
        """Handle the signals no more."""
        for number in SIGNALS:
            self._loop.remove_signal_handler(number)

    def _install(self) -> None:
        for number in SIGNALS:
            self._loop.add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        self.remove()
        self.asked.set()
        if not self.guarded and self.task is not None:
            self.task.cancel()


def run(work: Callable[[Stop], Coroutine[Any, Any, int]]) -> int:
    """Run `work` to its exit code; raises `KeyboardInterrupt` if it was stopped before it began."""
    return asyncio.run(_run(work))


async def _run(work: Callable[[Stop], Coroutine[Any, Any, int]]) -> int:
    stop = Stop(asyncio.get_running_loop())
    stop.task = asyncio.create_task(work(stop))
    try:
        return await stop.task
    except asyncio.CancelledError:
        if stop.asked.is_set():
            raise KeyboardInterrupt from None
        raise
    finally:
        stop.remove()


async def first_of(*works: Awaitable[object], patience: float | None) -> None:
    """Wait until one of `works` is done or `patience` seconds are over, and end the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
    for task in tasks:
        if not task.cancelled():
            task.result()
