from dovetail.sessions import receiver, sender
from dovetail.sessions.diagram import mermaid


class Open:
    pass


class Shut:
    pass


class Made:
    pass


class Slammed:
    pass


class Locked:
    pass


def test_a_table_becomes_a_diagram_with_its_start_and_its_ends() -> None:
    table = ((None, Made, Open), (Open, Slammed, Shut), (Open, Locked, Shut))
    assert mermaid(table).splitlines() == [
        "stateDiagram-v2",
        "  [*] --> Open: Made",
        "  Open --> Shut: Slammed, Locked",
        "  Shut --> [*]",
    ]


def test_both_machines_begin_with_created_and_end_closed() -> None:
    for table, first in (
        (sender.TRANSITIONS, "  [*] --> WithReplyKey: Created"),
        (receiver.TRANSITIONS, "  [*] --> Initialized: Created"),
    ):
        lines = mermaid(table).splitlines()
        assert lines[1] == first
        assert [line for line in lines if line.endswith("--> [*]")] == ["  Closed --> [*]"]
