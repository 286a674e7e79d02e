"""Persisters that fail on purpose, before or after the write."""

from collections.abc import Collection
from typing import Generic, TypeVar

from dovetail.sessions.persister import SessionPersister

E_contra = TypeVar("E_contra", contravariant=True)


class Crash(BaseException):
    """The process dies here. Not an `Exception`, so that no handler mistakes it for one."""


class CrashingPersister(Generic[E_contra]):
    """Passes appends on, and crashes at chosen seqs: before the write, or after it.

    After the crash the session has to be loaded again, as after a real one.
    """

    def __init__(
        self,
        persister: SessionPersister[E_contra],
        *,
        before: Collection[int] = (),
        after: Collection[int] = (),
    ) -> None:
        """Crash at the seqs in `before` with nothing written, in `after` with all written."""
        self._persister = persister
        self._before = frozenset(before)
        self._after = frozenset(after)

    def append(self, event: E_contra, /, *, seq: int, closes: bool) -> None:
        """See `SessionPersister.append`; raises `Crash` where it was told to."""
        if seq in self._before:
            raise Crash
        self._persister.append(event, seq=seq, closes=closes)
        if seq in self._after:
            raise Crash
