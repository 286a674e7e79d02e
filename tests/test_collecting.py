import gc
import threading
import weakref

from dovetail.collecting import rare_collections


class Knot:
    """An object in a cycle."""

    def __init__(self) -> None:
        self.self = self


def aged() -> "weakref.ref[Knot]":
    """A cycle that has outlived the shorter looks, and that nobody holds any more."""
    knot = Knot()
    gc.collect(0)
    gc.collect(1)
    return weakref.ref(knot)


def strain(many: int) -> list[list[int]]:
    """Allocate as a busy program does; Python looks through everything within."""
    return [[each] for each in range(many)]


def test_without_it_python_looks_through_everything_whenever_it_likes():
    knot = aged()
    kept = strain(1_000_000)
    assert (knot(), len(kept)) == (None, 1_000_000)


def test_python_does_not_look_through_everything_by_itself():
    with rare_collections():
        knot = aged()
        kept = strain(1_000_000)
        assert (knot() is None, len(kept)) == (False, 1_000_000)


def test_it_looks_now_and_then():
    gone = threading.Event()
    with rare_collections(every=0.01):
        knot = Knot()
        weakref.finalize(knot, gone.set)
        del knot
        assert gone.wait(10)


def test_all_is_as_before_after_it():
    before, threads = gc.get_threshold(), threading.active_count()
    with rare_collections():
        assert gc.get_threshold()[:2] == before[:2]
    assert (gc.get_threshold(), threading.active_count()) == (before, threads)
