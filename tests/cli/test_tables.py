import pytest
from tests.cli.in_process import Terminal

from dovetail.cli.tables import table, tabulated

HEADINGS = ("ID", "Amount", "Left", "Next")
ROWS = [("1", "50,000 sats", "", "resume 1"), ("20", "1 sat", "", "")]
NUMBERS = frozenset({0, 1})


@pytest.fixture
def on_terminal(monkeypatch):
    def of(columns: int) -> None:
        monkeypatch.setattr("sys.stdout", Terminal())
        monkeypatch.setenv("COLUMNS", str(columns))

    return of


def test_a_table_is_aligned():
    rows = [("1", "long word"), ("20", "x")]
    assert table(("ID", "What"), rows, right=frozenset({0})) == "ID  What\n 1  long word\n20  x"


def test_a_pipe_gets_every_column_in_a_line_each(capsys):
    assert len(table(HEADINGS, ROWS, right=NUMBERS).split("\n")) == 3


def test_a_column_without_room_is_told_below_its_row(on_terminal):
    on_terminal(20)
    assert tabulated(HEADINGS, ROWS, right=NUMBERS) == [
        "ID       Amount",
        " 1  50,000 sats\n    Next: resume 1",
        "20        1 sat",
    ]


def test_an_empty_column_makes_room_for_one_that_is_not(on_terminal):
    on_terminal(26)
    assert tabulated(HEADINGS, ROWS, right=NUMBERS)[0] == "ID       Amount  Next"


def test_what_stands_below_shares_a_line_where_it_can(on_terminal):
    on_terminal(30)
    wide = [("a" * 26, "two", "three", "four words that are wrapped here")]
    assert tabulated(HEADINGS, wide, right=frozenset())[1].split("\n")[1:] == [
        "    Amount: two; Left: three",
        "    Next: four words that are",
        "    wrapped here",
    ]
