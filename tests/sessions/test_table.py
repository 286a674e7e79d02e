"""Both machines are their tables: each state takes an event in one way, by a method of its own."""

from types import NoneType

import pytest

from dovetail.errors import InvalidEvent
from dovetail.sessions import receiver, sender
from dovetail.sessions.receiver import machine as receiver_machine
from dovetail.sessions.sender import machine as sender_machine
from dovetail.sessions.table import Row, edges_of, first, moves_of, row

TABLES = {"receiver": receiver_machine.TABLE, "sender": sender_machine.TABLE}


class Open:
    def slam(self, _event: "Slammed") -> "Shut":
        return Shut()


class Shut:
    pass


class Made:
    pass


class Slammed:
    pass


def make(_event: Made) -> Open:
    return Open()


TABLE = (first(Made, make, Open), row((Open,), Slammed, Open.slam, Shut))


def test_a_table_is_looked_up_by_state_and_event() -> None:
    moves = moves_of(TABLE)
    assert moves.keys() == {(NoneType, Made), (Open, Slammed)}
    made = moves[NoneType, Made](None, Made())
    assert isinstance(moves[Open, Slammed](made, Slammed()), Shut)


def test_a_table_is_drawn_by_its_edges() -> None:
    assert edges_of(TABLE) == ((None, Made, Open), (Open, Slammed, Shut))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_no_state_takes_an_event_in_two_ways(table: tuple[Row, ...]) -> None:
    assert len(moves_of(table)) == sum(len(each.states) for each in table)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_row_names_the_method_of_each_of_its_states(table: tuple[Row, ...]) -> None:
    for each in table:
        for state in each.states:
            own = getattr(state, each.method.__name__, None)
            assert own in (None, each.method), (state, each.event)


def test_what_is_not_in_the_table_cannot_happen() -> None:
    message = r"^Cancelled cannot follow the beginning; reload the session from its log\.$"
    with pytest.raises(InvalidEvent, match=message):
        sender.apply(None, sender.events.Cancelled())
    with pytest.raises(InvalidEvent, match=message):
        receiver.apply(None, receiver.events.Cancelled())
