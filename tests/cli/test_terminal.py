import io
import os

import pytest
from tests.cli.in_process import Terminal

from dovetail.cli import terminal
from dovetail.cli.output import Screen, write

TXID = "6070aa49" * 8


class Lettered(io.TextIOWrapper):
    """A stream with letters of some kind, on a terminal or not."""

    def __init__(self, encoding: str, *, tty: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding)
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("short", "short"),
        ("some words that have no room", "some words that have\nno room"),
        ("Now     words below the first", "Now     words below\n        the first"),
        ("    └ a note in two lines", "    └ a note in two\n      lines"),
        ("  12:00:00  far right words", "  12:00:00  far\n      right words"),
        (f"Txid    {TXID}", f"Txid\n{TXID}"),
        ("To      bcrt1q8slkddawz", "To\n    bcrt1q8slkddawz"),
        ("a --no-wait and --with-it", "a --no-wait and\n--with-it"),
    ],
)
def test_lines_are_broken_at_spaces_alone_and_stand_below_their_text(line, expected):
    assert terminal.wrapped(line, 20) == expected


def test_wide_letters_take_two_columns_and_accents_none():
    assert terminal.cells("漢字") == 4
    assert terminal.cells("e\u0301") == 1
    assert terminal.wrapped("漢字 漢字", 6) == "漢字\n漢字"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("   in 2s; Ctrl-C leaves it", "in 2s; Ctrl-C leaves it"),
        ("   expires in 23:59:59; Ctrl-C leaves it", "expires in 23:59:59"),
        ("many words that nobody can shorten", "many words that nobody"),
    ],
)
def test_a_line_that_is_written_over_never_takes_two(line, expected):
    assert terminal.clipped(line, 24) == expected


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", "… → Café └ 1 000 漢"),
        ("latin-1", "... -> Café - 1 000 ?"),
        ("ascii", "... -> Cafe - 1 000 ?"),
    ],
)
def test_letters_that_a_stream_lacks_are_written_by_those_it_has(encoding, expected):
    assert terminal.spelled("… → Café └ 1 000 漢", Lettered(encoding)) == expected
    assert terminal.spelled("1\N{NARROW NO-BREAK SPACE}000", Lettered("ascii")) == "1 000"
    assert terminal.spelled("e\u0301", Lettered("ascii")) == "e"


@pytest.mark.parametrize(
    ("locale", "tty", "expected"),
    [("C", True, "ascii"), ("C", False, "utf-8"), ("", True, "utf-8")],
)
def test_a_terminal_of_the_c_locale_has_ascii(monkeypatch, locale, tty, expected):
    for name in ("LC_CTYPE", "LANG", "PYTHONIOENCODING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LC_ALL", locale)
    assert terminal.encoding(Lettered("utf-8", tty=tty)) == expected


def test_all_that_is_printed_goes_out_in_the_stream_s_letters(monkeypatch):
    stream = Lettered("ascii")
    monkeypatch.setattr("sys.stdout", stream)
    write("6070aa49…6e71")
    Screen().result("Café")
    stream.seek(0)
    assert stream.read() == "6070aa49...6e71\nCafe\n"


@pytest.mark.parametrize(
    ("term", "tty", "expected"),
    [("xterm", True, True), ("dumb", True, False), ("", True, False), ("xterm", False, False)],
)
def test_only_a_capable_terminal_writes_over_a_line(monkeypatch, term, tty, expected):
    monkeypatch.setenv("TERM", term)
    assert terminal.rewrites(Lettered("utf-8", tty=tty)) is expected


def test_a_dumb_terminal_is_told_once_and_not_each_second(monkeypatch):
    played = Terminal()
    monkeypatch.setattr("sys.stderr", played)
    monkeypatch.setenv("TERM", "dumb")
    screen = Screen()
    screen.tick("Looking at the chain ...")
    screen.tick("Looking at the chain ...")
    for left in (3, 2, 1):
        screen.tick(f"expires in {left}s", about="expires")
    screen.tick("ends in 9s", about="ends")
    assert played.getvalue() == "Looking at the chain ...\nexpires in 3s\nends in 9s\n"


@pytest.mark.parametrize(("told", "colour"), [("15;0", "\x1b[33m"), ("0;default;15", "\x1b[1m")])
def test_nothing_is_yellow_on_white(monkeypatch, told, colour):
    played = Terminal()
    monkeypatch.setattr("sys.stderr", played)
    monkeypatch.setenv("COLORFGBG", told)
    monkeypatch.delenv("NO_COLOR", raising=False)
    Screen().say("careful", fg="yellow")
    assert played.getvalue() == f"{colour}careful\x1b[0m\n"


def test_the_size_is_the_terminal_s_own_unless_the_user_says_another(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("LINES", raising=False)
    assert terminal.room(Terminal()) == terminal.FALLBACK
    monkeypatch.setenv("COLUMNS", "33")
    assert terminal.room(Terminal()) == os.terminal_size((33, 24))
    monkeypatch.setenv("COLUMNS", "nonsense")
    assert terminal.room(Terminal()) == terminal.FALLBACK
    assert terminal.width(io.StringIO()) is None
    assert terminal.width(None) is None
