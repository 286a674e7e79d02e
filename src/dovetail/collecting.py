"""Fewer full runs of Python's garbage collector, for programs with many objects.

A program in which thousands of requests wait has millions of objects. A full collection starts
whenever a quarter more of them have survived the younger generations, and Python stops meanwhile:
with ten thousand waiting sessions for a second, several times a minute.
"""

import gc
import threading
from collections.abc import Generator
from contextlib import contextmanager

RARELY = 900.0
"""Seconds between two full collections."""

_NEVER = 2_000_000_000


@contextmanager
def rare_collections(every: float = RARELY) -> Generator[None]:
    """Run a full collection only once in `every` seconds, while the block runs.

    The setting is global to the process, so call it in a program, not in a library. Objects
    outside of cycles are freed at once, as always, and young objects are collected as often as
    before. Waiting sessions leave no cycles behind.
    """
    thresholds = gc.get_threshold()
    over = threading.Event()
    looking = threading.Thread(target=_look, args=(over, every), name="collections", daemon=True)
    gc.set_threshold(*thresholds[:2], _NEVER)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()
        gc.set_threshold(*thresholds)


def _look(over: threading.Event, every: float) -> None:
    while not over.wait(every):
        gc.collect()
