"""SIGINT and SIGTERM: a command that is told to stop leaves its sessions where they are."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from dovetail.cli.exits import Exit

P = ParamSpec("P")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Handles signals: sets `asked`, and cancels the work unless it looks at `asked` itself.

    A second signal ends the process at once, though a server keeps us waiting: what is durable
    stays so.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Handle both signals from here on."""
        self.asked = asyncio.Event()
        self.guarded = False
        self.task: asyncio.Task[int] | None = None
        self._loop = loop
        self._install(self._on_signal)

    @contextmanager
    def paused(self) -> Generator[None]:
        """Let a signal end the process while a person is asked something."""
        self.remove()
        try:
            yield
        finally:
            self._install(self._on_signal)

    def remove(self) -> None:
        """Handle the signals no more."""
        for number in SIGNALS:
            self._loop.remove_signal_handler(number)

    def _install(self, handler: Callable[[], None]) -> None:
        for number in SIGNALS:
            self._loop.add_signal_handler(number, handler)

    def _on_signal(self) -> None:
        self._install(self._leave)
        self.asked.set()
        if not self.guarded and self.task is not None:
            self.task.cancel()

    def _leave(self) -> None:
        os._exit(Exit.IN_PROGRESS if self.guarded else Exit.FAILED)


@contextmanager
def at_once() -> Generator[None]:
    """Let Ctrl-C end the process while it waits inside a library that would not notice."""
    former = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def run(work: Callable[[Stop], Coroutine[Any, Any, int]]) -> int:
    """Run `work` to its exit code; raises `KeyboardInterrupt` if it was stopped before it began."""
    return asyncio.run(_run(work))


def interruptible(
    work: Callable[Concatenate[Stop, P], Coroutine[Any, Any, int]],
) -> Callable[P, int]:
    """Make a command's work, whose first argument is the `Stop`, a function that runs it."""

    @wraps(work)
    def run_it(*args: P.args, **kwargs: P.kwargs) -> int:
        return run(lambda stop: work(stop, *args, **kwargs))

    return run_it


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
        if not stop.asked.is_set():
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
