"""The abilities of a stream: its width, its letters, and whether a line can be rewritten."""

import os
import re
import unicodedata
from typing import TextIO

DUMB = frozenset({"", "dumb", "unknown"})
FALLBACK = os.terminal_size((80, 24))
_LABEL = re.compile(r" *(?:[└-] |(?:\S+(?: \S+)*? {2,})?)")
"""The beginning of a wrapped line; further lines are indented by it: an indent, a label, a mark."""
_INNER = 4
_C_LOCALE = frozenset({"C", "POSIX"})
_LIGHT_BACKGROUNDS = frozenset({"7", "15"})

PLAIN = {
    "…": "...",
    "→": "->",
    "└": "-",
    "─": "-",
    "│": "|",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "“": '"',
    "”": '"',
    "\N{EN DASH}": "-",
    "—": "-",
    "·": "-",
    "\N{MULTIPLICATION SIGN}": "x",
    "≤": "<=",
    "≥": ">=",
    "✓": "ok",
    "₿": "BTC",
}
"""How letters are written where only ASCII is; others lose their accents, or are question marks."""


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads there."""
    return stream is not None and stream.isatty()


def rewrites(stream: TextIO | None) -> bool:
    """Whether a line there can be written over: not on a dumb terminal, and in no pipe."""
    # Windows' consoles can, and set no TERM.
    usual = "windows" if os.name == "nt" else ""
    return is_terminal(stream) and os.environ.get("TERM", usual) not in DUMB


def room(stream: TextIO) -> os.terminal_size:
    """Columns and lines of a terminal; `COLUMNS` and `LINES` win over what it says itself."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):  # no terminal, or one that a test plays
        size = FALLBACK
    columns, lines = (
        _number(os.environ.get(name)) or own or usual
        for name, own, usual in zip(("COLUMNS", "LINES"), size, FALLBACK, strict=True)
    )
    return os.terminal_size((columns, lines))


def width(stream: TextIO | None) -> int | None:
    """The columns that lines have to fit; None in a pipe, where they stay whole."""
    return room(stream).columns if stream is not None and is_terminal(stream) else None


def has_light_background() -> bool:
    """Whether the terminal says so; many say nothing."""
    return os.environ.get("COLORFGBG", "").rpartition(";")[2] in _LIGHT_BACKGROUNDS


def encoding(stream: TextIO | None) -> str:
    """The letters that a stream has; a terminal of the C locale has ASCII."""
    if is_terminal(stream) and "PYTHONIOENCODING" not in os.environ and _locale() in _C_LOCALE:
        return "ascii"
    return getattr(stream, "encoding", None) or "utf-8"


def writes(text: str, stream: TextIO | None) -> bool:
    """Whether a stream has these letters."""
    try:
        text.encode(encoding(stream))
    except UnicodeEncodeError:
        return False
    return True


def spelled(text: str, stream: TextIO | None) -> str:
    """The text in letters that the stream has."""
    if writes(text, stream):
        return text
    return "".join(each if writes(each, stream) else _plain(each) for each in text)


def fitted(text: str, stream: TextIO | None) -> str:
    """The text as the stream can show it, on a terminal wrapped at words."""
    text, columns = spelled(text, stream), width(stream)
    if columns is None:
        return text
    return "\n".join(wrapped(line, columns) for line in text.split("\n"))


def wrapped(line: str, columns: int) -> str:
    """One line as several of at most `columns`, broken at spaces alone.

    The further ones stand below the text of the first, past its label. A word that has no room
    there gets a line of its own from the left edge, so that a URI or a txid stays in one piece.
    """
    if cells(line) <= columns:
        return line
    found = _LABEL.match(line)
    label = "" if found is None else found[0]
    indent = len(label)
    if indent > columns * 0.45:
        indent = min(len(label) - len(label.lstrip()) + _INNER, columns // 2)
    lines: list[str] = []
    now = label
    for gap, word in re.findall(r"( *)([^ ]+)", line[len(label) :]):
        if cells(now + gap + word) <= columns:
            now += gap + word
            continue
        if now.strip():
            lines.append(now.rstrip())
        spare = columns - cells(word)
        now = " " * next((each for each in (indent, _INNER) if each <= spare), 0) + word
    return "\n".join((*lines, now))


def clipped(line: str, columns: int) -> str:
    """Shorten a line to fit: without its indent, then without its last words."""
    if cells(line) <= columns:
        return line
    line = line.strip()
    head = line.partition(";")[0]
    for shorter in (line, head):
        if cells(shorter) <= columns:
            return shorter
    return wrapped(head, columns).partition("\n")[0][:columns]


def cells(text: str) -> int:
    """The columns that a text takes: a wide letter takes two, an accent of its own none."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _plain(letter: str) -> str:
    if letter in PLAIN:
        return PLAIN[letter]
    if letter.isspace():
        return " "
    if unicodedata.combining(letter):
        return ""
    bare = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return bare or "?"


def _locale() -> str:
    return next(filter(None, map(os.environ.get, ("LC_ALL", "LC_CTYPE", "LANG"))), "")


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0
