"""A role's machine as one declared table, which `apply` looks up and the docs draw."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType, NoneType
from typing import Any, TypeAlias, TypeVar

from dovetail.errors import InvalidEvent

StateT = TypeVar("StateT")
EventT = TypeVar("EventT")
NextT = TypeVar("NextT")

Edge: TypeAlias = tuple[type | None, type, type]
"""A state, an event that it takes, and a state that follows; None is the beginning."""

Moves: TypeAlias = Mapping[tuple[type, type], Callable[[Any, Any], Any]]
"""The method for each state and event; it takes both, and returns the next state."""


@dataclass(frozen=True, slots=True)
class Row:
    """One event in the states that take it, the method that applies it, and where it may lead."""

    states: tuple[type, ...]
    event: type
    method: Callable[[Any, Any], Any]
    successors: tuple[type, ...]


def first(event: type[EventT], function: Callable[[EventT], NextT], successor: type[NextT]) -> Row:
    """The row of an event that begins a log: `function` takes the event alone."""
    return Row((NoneType,), event, lambda _nothing, begun: function(begun), (successor,))


def row(
    states: type[StateT] | tuple[type[StateT], ...],
    event: type[EventT],
    method: Callable[[StateT, EventT], NextT],
    *successors: type[NextT],
) -> Row:
    """The row of `event` in one state or in several that share `method`.

    `successors` are the states that it may lead to: several where the state's facts decide.
    """
    return Row(states if isinstance(states, tuple) else (states,), event, method, successors)


def moves_of(table: Iterable[Row]) -> Moves:
    """The table as `apply` looks it up."""
    return MappingProxyType(
        {(state, row.event): row.method for row in table for state in row.states}
    )


def edges_of(table: Iterable[Row]) -> tuple[Edge, ...]:
    """The table as tests walk it and the docs draw it: one edge for each successor."""
    return tuple(_edges(table))


def _edges(table: Iterable[Row]) -> Iterator[Edge]:
    for each in table:
        for state in each.states:
            for successor in each.successors:
                yield None if state is NoneType else state, each.event, successor


def cannot_follow(session: object | None, event: object) -> InvalidEvent:
    """The error of an event that the table does not have in this state."""
    state = "the beginning" if session is None else type(session).__name__
    return InvalidEvent(
        f"{type(event).__name__} cannot follow {state}; reload the session from its log."
    )
