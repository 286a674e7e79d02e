"""A transition: decided, not yet durable."""

import warnings
from typing import Generic, TypeVar

from dovetail.errors import AlreadySaved
from dovetail.sessions.persister import AsyncSessionPersister, SessionPersister

E_co = TypeVar("E_co", covariant=True)
S_co = TypeVar("S_co", covariant=True)


class UnsavedTransitionWarning(RuntimeWarning):
    """A transition was dropped without a save: the session has not moved."""


class Transition(Generic[E_co, S_co]):
    """The next state, handed over only once the event that leads to it is durable.

    Save it exactly once, with `save` or `save_async`. If the save raises or is cancelled,
    it is unknown whether the event was written: reload the session from its log.
    """

    __slots__ = ("_attempted", "_closes", "_event", "_next", "_seq")

    def __init__(
        self, event: E_co | None, successor: S_co, *, seq: int, closes: bool = False
    ) -> None:
        """Hold `event` for slot `seq`; None is stasis: nothing to append."""
        self._event = event
        self._next = successor
        self._seq = seq
        self._closes = closes
        self._attempted = False

    def save(self, persister: SessionPersister[E_co]) -> S_co:
        """Append the event and return the next state; raises what the persister raises."""
        self._attempt()
        if self._event is not None:
            advance = getattr(persister, "advance", None)
            if advance is None:
                persister.append(self._event, seq=self._seq, closes=self._closes)
            else:
                advance(self._event, self._next, seq=self._seq, closes=self._closes)
        return self._next

    async def save_async(self, persister: AsyncSessionPersister[E_co]) -> S_co:
        """As `save`, for an asynchronous persister."""
        self._attempt()
        if self._event is not None:
            advance = getattr(persister, "advance_async", None)
            if advance is None:
                await persister.append_async(self._event, seq=self._seq, closes=self._closes)
            else:
                await advance(self._event, self._next, seq=self._seq, closes=self._closes)
        return self._next

    def _attempt(self) -> None:
        if self._attempted:
            raise AlreadySaved("This transition was saved before: go on from the state it gave.")
        self._attempted = True

    def __repr__(self) -> str:
        event = "stasis" if self._event is None else type(self._event).__name__
        return f"<Transition {event} at {self._seq}>"

    def __del__(self) -> None:
        if not getattr(self, "_attempted", True) and self._event is not None:
            warnings.warn(
                f"{self!r} was dropped without being saved: the session has not moved",
                UnsavedTransitionWarning,
                stacklevel=2,
                source=self,
            )
