"""Fewer of the pauses in which Python looks through all its objects for cycles.

A program in which thousands of requests wait has millions of objects. Python looks through all of
them whenever a quarter more have outlived its shorter looks, and stands still meanwhile: with ten
thousand waiting sessions for a second, several times a minute.
"""

import gc
import threading
from collections.abc import Generator
from contextlib import contextmanager

RARELY = 900.0
"""Seconds between two looks through everything."""

_NEVER = 2_000_000_000


@contextmanager
def rare_collections(every: float = RARELY) -> Generator[None]:
    """Look through all objects once in `every` seconds only, for as long as the block runs.

    It holds for the whole process, so it is for the program to say and not for a library. What is
    in no cycle is let go at once, as ever, and what is young is looked through as often as before.
    Waiting sessions leave no cycles behind.
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
