"""What a hostile customer does to a BIP 78 server: the token of an invoice is known to it."""

import itertools

from tests.flood.sending import CHUNK, HOST, Attack, Target, flood, keep_on

_TEXT = b"Content-Type: text/plain\r\n"
_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"


def _post(target: Target, *fields: bytes) -> bytes:
    path = str(target.facts["path"]).encode()
    lines = b"".join(each + b"\r\n" for each in fields)
    return b"POST " + path + b"?v=1 HTTP/1.1\r\n" + HOST + _TEXT + lines + b"\r\n"


def _long(target: Target) -> bytes:
    return _post(target, b"Content-Length: 5000000")


def _chunked(target: Target) -> bytes:
    return _post(target, b"Transfer-Encoding: chunked")


def _short(target: Target) -> bytes:
    return _post(target, b"Content-Length: 4") + b"cHNi"


async def _pipelined(target: Target) -> None:
    again = _short(target)
    await keep_on(lambda: target.send(b"", again * 200), 24)


async def _unread(target: Target) -> None:
    again = _short(target)
    await keep_on(lambda: target.send(b"", again, pause=0.002, networks=4), 60)


async def _unknown(target: Target) -> None:
    numbers = itertools.count()

    async def each() -> None:
        head = b"POST /%016d HTTP/1.1\r\n" % next(numbers) + HOST + _TEXT
        await target.ask(head + b"Content-Length: 4\r\nConnection: close\r\n\r\ncHNi", networks=4)

    await keep_on(each, 60)


async def _repeated(target: Target) -> None:
    """The payment of another customer, again and again."""
    body = target.facts["body"].encode()
    request = _post(target, b"Connection: close", b"Content-Length: %d" % len(body)) + body
    await keep_on(lambda: target.ask(request, networks=4), 24)


SHOP: dict[str, Attack] = {
    "BIP 78: pipelined POSTs": _pipelined,
    "BIP 78: a head without end": flood(
        b"POST / HTTP/1.1\r\n", (b"X: " + b"x" * 1_000 + b"\r\n") * 64, count=8
    ),
    "BIP 78: slow heads, 12 networks": flood(
        b"POST / HTTP/1.1\r\n", b"x", count=400, pause=0.5, networks=12
    ),
    "BIP 78: slow bodies": flood(_long, b"x", count=200, pause=0.5),
    "BIP 78: hoarded bodies, 12 networks": flood(
        _long, b"x" * 16_384, count=200, pause=0.5, networks=12
    ),
    "BIP 78: chunks without end": flood(_chunked, b"10000\r\n" + b"x" * CHUNK + b"\r\n", count=8),
    "BIP 78: trailers": flood(
        lambda target: _chunked(target) + b"0\r\n", b"x: y\r\n" * 10_000, count=8
    ),
    "BIP 78: tiny chunks": flood(_chunked, b"1\r\nx\r\n" * 10_000, count=8),
    "BIP 78: clients that never read": _unread,
    "BIP 78: connections that say nothing": flood(b"", count=400, networks=12),
    "BIP 78: links that nobody made": _unknown,
    "BIP 78: the same payment again and again": _repeated,
}
TLS: dict[str, Attack] = {
    "BIP 78: TLS handshakes that stall": flood(_HELLO, count=400, networks=12, plain=True),
    "BIP 78: TLS handshakes of other bytes": flood(
        b"GET / HTTP/1.1\r\n\r\n", count=100, plain=True
    ),
    "BIP 78: slow bodies in TLS": flood(_long, b"x", count=80, pause=0.5, networks=12),
    "BIP 78: clients that never read in TLS": _unread,
}
