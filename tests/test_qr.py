"""The QR code of a payment URI: small, and the same URI for who reads it."""

import re

import pytest
import segno
import zxingcpp

from dovetail.qr import MARGIN, code

SCALE = 4
_SIDE = re.compile(r'viewBox="0 0 (\d+) \1"><path')
_PATH = re.compile(r'<path stroke="#000" d="([^"]+)"')
_STEP = re.compile(r"([Mmh])(-?\d+)(?: (-?[\d.]+))?")
# The Payjoin URI of BIP 77's example, with its directory in upper case as the BIP asks.
URI = (
    "bitcoin:tb1q6q6de88mj8qkg0q5lupmpfexwnqjsr4d2gvx2p?amount=0.00666666&pjos=0&pj="
    "HTTPS://PAYJO.IN/TXJCGKTKXLUUZ%23EX1WKV8CEC-OH1QYPM59NK2LXXS4890SUAXXYT25Z2VAPHP0X7YEYCJXGWAG6UG9ZU6NQ"
    "-RK1Q0DJS3VVDXWQQTLQ8022QGXSX7ML9PHZ6EDSF6AKEWQG758JPS2EV"
)
LEGACY = "bitcoin:1BoatSLRHtKNngkdXEeobR76b53LETtpyT?pj=https://a.example/x&label=Coffee"


def read(found: segno.QRCode) -> str:
    """What a reader makes of the code."""
    rows = [
        bytes(0 if each else 255 for each in row)
        for row in found.matrix_iter(scale=SCALE, border=MARGIN)
    ]
    image = memoryview(b"".join(rows)).cast("B", shape=[len(rows), len(rows[0])])
    return str(zxingcpp.read_barcodes(image)[0].text)


def read_svg(text: str) -> str:
    """What a reader makes of the one code that is drawn in a text of HTML or SVG."""
    (side,) = map(int, _SIDE.findall(text))
    (drawing,) = _PATH.findall(text)
    rows = [bytearray(b"\xff" * side * SCALE) for _ in range(side * SCALE)]
    x, y = 0, -1.0
    for kind, first, second in _STEP.findall(drawing):
        if kind == "h":
            for row in rows[int(y) * SCALE : (int(y) + 1) * SCALE]:
                row[x * SCALE : (x + int(first)) * SCALE] = b"\0" * int(first) * SCALE
            x += int(first)
        elif kind == "M":
            x, y = int(first), float(second)
        else:
            x, y = x + int(first), y + float(second)
    image = memoryview(b"".join(rows)).cast("B", shape=[len(rows), len(rows)])
    return str(zxingcpp.read_barcodes(image)[0].text)


def test_the_code_takes_less_room_than_the_uri_as_it_is_written():
    plain = segno.make(URI, error="l", micro=False)
    assert code(URI).symbol_size() < plain.symbol_size()


def test_scheme_and_segwit_address_are_in_upper_case_and_the_rest_as_it_was():
    body, mark, rest = URI.partition("?")
    assert read(code(URI)) == body.upper() + mark + rest


@pytest.mark.parametrize("uri", [LEGACY, LEGACY.partition("?")[0]])
def test_what_must_keep_its_case_does(uri):
    assert read(code(uri)) == uri


def test_a_drawn_code_is_read_back():
    drawn = code(LEGACY).svg_inline(border=MARGIN, omitsize=True, svgclass=None, lineclass=None)
    assert read_svg(drawn) == LEGACY
