"""Persisters that fail on purpose, before or after the write."""

from collections.abc import Collection
from typing import Generic, TypeVar, cast

from dovetail.sessions.persister import AsyncSessionPersister, SessionPersister

E_contra = TypeVar("E_contra", contravariant=True)


class Crash(BaseException):
    """The process dies here. It is no `Exception`, so that no handler catches it."""


class CrashingPersister(Generic[E_contra]):
    """Passes appends on, and crashes at chosen seqs: before the write, or after it.

    Use it with `save` or `save_async`, like the persister that it is given. After the crash the
    session has to be loaded again, as after a real one.
    """

    def __init__(
        self,
        persister: SessionPersister[E_contra] | AsyncSessionPersister[E_contra],
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
        persister = cast("SessionPersister[E_contra]", self._persister)
        self._crash_at(seq, self._before)
        persister.append(event, seq=seq, closes=closes)
        self._crash_at(seq, self._after)

    async def append_async(self, event: E_contra, /, *, seq: int, closes: bool) -> None:
        """See `AsyncSessionPersister.append_async`; raises `Crash` where it was told to."""
        persister = cast("AsyncSessionPersister[E_contra]", self._persister)
        self._crash_at(seq, self._before)
        await persister.append_async(event, seq=seq, closes=closes)
        self._crash_at(seq, self._after)

    @staticmethod
    def _crash_at(seq: int, chosen: frozenset[int]) -> None:
        if seq in chosen:
            raise Crash
