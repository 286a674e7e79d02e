"""The QR code of a link, read back from a terminal and from a file by a program."""

import io
import os
import re
from pathlib import Path

import pyte
import pytest
import zxingcpp

from dovetail.cli import qr
from dovetail.errors import UsageError
from dovetail.qr import code

# The Payjoin URI of BIP 77's example, with its directory in upper case as the BIP asks.
URI = (
    "bitcoin:tb1q6q6de88mj8qkg0q5lupmpfexwnqjsr4d2gvx2p?amount=0.00666666&pjos=0&pj="
    "HTTPS://PAYJO.IN/TXJCGKTKXLUUZ%23EX1WKV8CEC-OH1QYPM59NK2LXXS4890SUAXXYT25Z2VAPHP0X7YEYCJXGWAG6UG9ZU6NQ"
    "-RK1Q0DJS3VVDXWQQTLQ8022QGXSX7ML9PHZ6EDSF6AKEWQG758JPS2EV"
)
V1 = "bitcoin:tb1q6q6de88mj8qkg0q5lupmpfexwnqjsr4d2gvx2p?pj=https://Shop.example/Pay"
SCALE = 6
DARK = (0, 0, 0)
LIGHT_THEME, DARK_THEME = (255, 255, 255), (10, 10, 30)


class Played(io.TextIOWrapper):
    """A terminal with letters of some kind."""

    def isatty(self) -> bool:
        return True


def read(pixels: list[list[int]]) -> str | None:
    """What a reader makes of grey pixels."""
    grey = b"".join(bytes(row) for row in pixels)
    image = memoryview(grey).cast("B", shape=[len(pixels), len(pixels[0])])
    found = zxingcpp.read_barcodes(image)
    return found[0].text if found else None


def photographed(picture: str, size: os.terminal_size, theme: tuple[int, int, int]) -> str | None:
    """Draw what a terminal shows, and read it."""
    screen = pyte.Screen(size.columns, size.lines)
    stream = pyte.Stream(screen)
    stream.feed(picture.replace("\n", "\r\n"))
    rows: list[list[int]] = []
    for y in range(size.lines):
        cells = [screen.buffer[y][x] for x in range(size.columns)]
        upper = [_grey(cell.fg if cell.data == "▀" else cell.bg, theme) for cell in cells]
        lower = [_grey(cell.bg, theme) for cell in cells]
        for row in (upper, lower):
            wide = [grey for grey in row for _ in range(SCALE)]
            rows.extend([wide] * SCALE)
    return read(rows)


def _grey(colour: str, theme: tuple[int, int, int]) -> int:
    if colour == "default":
        return sum(theme) // 3
    return sum(bytes.fromhex(colour)) // 3


def same(text: str | None, uri: str) -> bool:
    """Whether it is the URI, but for the case of scheme and address."""
    assert text is not None
    body, _, rest = text.partition("?")
    wanted, _, wanted_rest = uri.partition("?")
    return (body.lower(), rest) == (wanted.lower(), wanted_rest)


@pytest.mark.parametrize("theme", [LIGHT_THEME, DARK_THEME], ids=["light", "dark"])
@pytest.mark.parametrize(("columns", "lines"), [(60, 40), (80, 50), (120, 50)])
@pytest.mark.parametrize("uri", [URI, V1], ids=["v2", "v1"])
def test_a_drawn_code_is_read_in_any_theme(uri, columns, lines, theme):
    found = code(uri)
    size = os.terminal_size((columns, lines))
    assert qr.size(found).columns <= columns
    assert same(photographed(qr.drawn(found), size, theme), uri)


def test_what_must_keep_its_case_does():
    legacy = "bitcoin:1BoatSLRHtKNngkdXEeobR76b53LETtpyT?pj=https://a.example/x&label=Coffee"
    size = os.terminal_size((80, 50))
    text = photographed(qr.drawn(code(legacy)), size, DARK_THEME)
    assert text == legacy


@pytest.mark.parametrize(
    ("columns", "lines", "term", "room"),
    [
        (120, 50, "xterm-256color", True),
        (80, 24, "xterm-256color", False),
        (56, 50, "xterm-256color", False),
        (120, 50, "dumb", False),
    ],
)
def test_no_code_is_cut(monkeypatch, columns, lines, term, room):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", str(lines))
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("sys.stderr", Played(io.BytesIO(), "utf-8"))
    assert qr.fits(code(URI)) is room


def test_no_code_is_drawn_where_its_blocks_cannot_be_written(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("LINES", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", Played(io.BytesIO(), "ascii"))
    assert "cannot draw" in (qr.lacking(code(URI)) or "")


def test_a_code_in_a_file_is_read(tmp_path: Path):
    qr.write(code(URI), tmp_path / "code.png")
    qr.write(code(URI), tmp_path / "code.svg")
    assert (tmp_path / "code.png").read_bytes().startswith(b"\x89PNG")
    drawing = (tmp_path / "code.svg").read_text()
    assert re.search(r'<svg [^>]*width="456"', drawing)


@pytest.mark.parametrize("name", ["code.gif", "code", "nowhere/code.png"])
def test_a_file_that_cannot_be_made_is_named_before_anything_is_done(tmp_path: Path, name: str):
    with pytest.raises(UsageError, match="--qr"):
        qr.require_format(tmp_path / name)
    qr.require_format(tmp_path / "code.SVG")
