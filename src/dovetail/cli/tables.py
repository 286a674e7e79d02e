"""Tables that fit the terminal: what has no room in a row is told below it."""

import sys
from collections.abc import Sequence

from dovetail.cli import terminal

_GAP = 2
_BELOW = " " * 4


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[int]) -> str:
    """The whole table; columns in `right` are numbers."""
    return "\n".join(tabulated(headings, rows, right=right))


def tabulated(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: frozenset[int],
    piped: int | None = None,
) -> list[str]:
    """The heading, and a text for each row: a line, and what of it stands below.

    Columns are two spaces apart. Where a terminal is too narrow for all of them, empty ones are
    left out, and those that do not fit are told below the row, each after its name. A pipe has
    room for all, or for `piped` columns.
    """
    every = [[terminal.spelled(cell, sys.stdout) for cell in row] for row in (headings, *rows)]
    widths = [max(map(terminal.cells, column)) for column in zip(*every, strict=True)]
    room = terminal.width(sys.stdout) or piped
    kept = _kept(every, widths, room)
    shown = [
        "  ".join(_padded(row[at], widths[at], right=at in right) for at in kept).rstrip()
        for row in every
    ]
    if room is None:
        return shown
    return [
        line if not index else "\n".join((line, *_below(every[0], row, kept, room)))
        for index, (line, row) in enumerate(zip(shown, every, strict=True))
    ]


def _kept(every: list[list[str]], widths: list[int], room: int | None) -> list[int]:
    """The columns of a row: all where they fit, else the first and what fits beside it."""
    columns = list(range(len(widths)))
    if room is None or sum(widths) + _GAP * (len(widths) - 1) <= room:
        return columns
    kept, used = [0], widths[0]
    for at in columns[1:]:
        filled = any(row[at] for row in every[1:])
        if filled and used + _GAP + widths[at] <= room:
            kept.append(at)
            used += _GAP + widths[at]
    return kept


def _below(names: list[str], row: list[str], kept: list[int], room: int) -> list[str]:
    """The cells of a row without a column, as many as fit in a line."""
    parts = [
        f"{name}: {cell}"
        for at, (name, cell) in enumerate(zip(names, row, strict=True))
        if cell and at not in kept
    ]
    lines: list[str] = []
    for part in parts:
        joined = f"{lines[-1]}; {part}" if lines else ""
        if lines and terminal.cells(joined) <= room:
            lines[-1] = joined
        else:
            lines.append(f"{_BELOW}{part}")
    return [terminal.wrapped(line, room) for line in lines]


def _padded(cell: str, width: int, *, right: bool) -> str:
    blank = " " * (width - terminal.cells(cell))
    return f"{blank}{cell}" if right else f"{cell}{blank}"
