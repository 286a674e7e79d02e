"""Replay: the state that a log leads to, by one rule for both roles (ADR 0009)."""

from collections.abc import Callable, Iterable
from typing import ClassVar, Protocol, TypeVar

from dovetail.errors import DovetailError, ReplayError


class Replayable(Protocol):
    """The methods that replay needs of a state."""

    closed: ClassVar[bool]

    def validate(self) -> None:
        """Parse again what the log holds; raises where it is not valid."""
        ...


SessionT = TypeVar("SessionT", bound=Replayable)
EventT = TypeVar("EventT")

Apply = Callable[[SessionT | None, EventT], SessionT]


def replay(events: Iterable[EventT], apply: Apply[SessionT, EventT]) -> SessionT:
    """The state that a log leads to; it trusts nothing in the log of a live session.

    `apply` compares payloads with their checksums, or parses them. A state that is not closed is
    parsed again in full (`validate`). Raises `ReplayError` naming the event by its number from 0,
    and the cause. It writes nothing, and an expired session replays like any other (M2).
    """
    log = tuple(events)
    session: SessionT | None = None
    for seq, event in enumerate(log):
        try:
            session = apply(session, event)
        except DovetailError as error:
            raise _unreadable(seq, event, error) from error
    if session is None:
        raise ReplayError("The log is empty; restore it from a backup.")
    if not session.closed and _problem(session) is not None:
        raise _blame(log, apply)
    return session


def _problem(session: Replayable) -> DovetailError | None:
    try:
        session.validate()
    except DovetailError as error:
        return error
    return None


def _blame(log: tuple[EventT, ...], apply: Apply[SessionT, EventT]) -> ReplayError:
    """Name the first event that leads to a state that is not valid."""
    session: SessionT | None = None
    problem: DovetailError | None = None
    seq = -1
    while problem is None:
        seq += 1
        session = apply(session, log[seq])
        problem = _problem(session)
    error = _unreadable(seq, log[seq], problem)
    error.__cause__ = problem
    return error


def _unreadable(seq: int, event: object, error: DovetailError) -> ReplayError:
    return ReplayError(
        f"Event {seq} of the log, {type(event).__name__}, cannot be applied. {error}", seq=seq
    )
