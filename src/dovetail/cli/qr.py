"""A Payjoin URI as a QR code: on a terminal of any theme, or in a file."""

import os
import sys
from pathlib import Path

import segno

from dovetail.cli import terminal
from dovetail.errors import UsageError
from dovetail.qr import MARGIN

FORMATS = (".png", ".svg")
_PIXELS = 8
"""Of a module in a file."""
# Of the colour cube, which no theme changes: black on white.
_LIGHT, _DARK, _RESET = 231, 16, "\x1b[0m"
_BLOCK = "▀"


def size(found: segno.QRCode) -> os.terminal_size:
    """The columns and lines that it takes on a terminal."""
    width, height = map(int, found.symbol_size(border=MARGIN))
    return os.terminal_size((width, -(-height // 2)))


def fits(found: segno.QRCode) -> bool:
    """Whether the terminal is large enough, and can draw it."""
    return lacking(found) is None


def lacking(found: segno.QRCode) -> str | None:
    """Why no code is drawn, in a sentence; None where it fits."""
    if not (terminal.rewrites(sys.stderr) and terminal.writes(_BLOCK, sys.stderr)):
        return "This terminal cannot draw a QR code: write it to a file with --qr FILE."
    room, needed = terminal.room(sys.stderr), size(found)
    if needed.columns <= room.columns and needed.lines < room.lines:
        return None
    return (
        f"The QR code needs {needed.columns} columns and {needed.lines + 1} lines here: enlarge the"
        " terminal, or write it to a file with --qr FILE."
    )


def drawn(found: segno.QRCode) -> str:
    """Lines of half blocks, dark on light whatever the terminal's own colours are."""
    rows = [tuple(row) for row in found.matrix_iter(border=MARGIN)]
    if len(rows) % 2:
        rows.append((0,) * len(rows[0]))
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return "\n".join(_line(upper, lower) for upper, lower in pairs)


def _line(upper: tuple[int, ...], lower: tuple[int, ...]) -> str:
    cells = (
        f"\x1b[38;5;{_DARK if top else _LIGHT};48;5;{_DARK if bottom else _LIGHT}m{_BLOCK}"
        for top, bottom in zip(upper, lower, strict=True)
    )
    return "".join(cells) + _RESET


def require_format(path: Path) -> None:
    """Raise `UsageError` unless a code can be written to a file of this name."""
    if path.suffix.lower() not in FORMATS:
        raise UsageError("--qr writes a PNG or an SVG: name a file that ends in .png or .svg.")
    if not path.absolute().parent.is_dir():
        raise UsageError("The folder of the file for --qr is not there: make it, or name another.")


def write(found: segno.QRCode, path: Path) -> None:
    """Write the code to a file, as its name says; raises `OSError`."""
    found.save(str(path), kind=path.suffix[1:].lower(), border=MARGIN, scale=_PIXELS)
