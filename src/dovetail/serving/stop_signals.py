"""SIGINT and SIGTERM for a server that waits in the main thread."""

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def stop_signals(
    *, hang_up: Callable[[], None] | None = None, again: Callable[[], None] | None = None
) -> Generator[threading.Event]:
    """Yield an event that SIGINT and SIGTERM set; restore the former handlers afterwards.

    `hang_up` is called at SIGHUP, where a system has that, and `again` when a program that was told
    to stop is told so again. Call it in the main thread.
    """
    stop = threading.Event()

    def set_stop(_number: int, _frame: object) -> None:
        if stop.is_set() and again is not None:
            again()
        stop.set()

    former = {number: signal.signal(number, set_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    number = getattr(signal, "SIGHUP", None)  # not on every platform
    if number is not None and hang_up is not None:
        former[number] = signal.signal(number, lambda _number, _frame: hang_up())
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
