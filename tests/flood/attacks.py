"""What a hostile client does to a port: `python -m tests.flood.attacks NAME HOST PORT SECONDS`.

Each runs in a process of its own, from loopback networks that are nobody's proxy.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress

from tests.flood.crowds import CROWDS
from tests.flood.sending import CHUNK, GATEWAY, HOST, OHTTP, Attack, Target, keep_on

from dovetail.crypto.ohttp import KeyConfig, encapsulate

GET = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST " + GATEWAY + b" HTTP/1.1\r\n" + HOST + OHTTP
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SOCKET = (
    b"GET /%b HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def flood(begin: bytes, again: bytes = b"", *, count: int = 1, pause: float = 0.0) -> Attack:
    """The same bytes on `count` connections."""
    return lambda target: keep_on(lambda: target.send(begin, again, pause=pause), count)


def storm(body: Callable[[], bytes], *, count: int = 8) -> Attack:
    """Whole requests to the gateway."""

    def request() -> bytes:
        content = body()
        return POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(content) + content

    return lambda target: keep_on(lambda: target.ask(request()), count)


def _wrong_key() -> bytes:
    key = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
    uncompressed = (
        b"\x04"
        + key[1:]
        + bytes.fromhex("483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8")
    )
    suites = b"\x00\x04\x00\x01\x00\x03"
    keys = KeyConfig.parse(b"\x01\x00\x16" + uncompressed + suites)
    return encapsulate(keys, bytes(8_104))[0]


def _padded(size: int) -> bytes:
    return b"x" * size


ATTACKS: dict[str, Attack] = {
    "pipelined GETs": flood(b"", GET * 2_000),
    "pipelined GETs, 300 connections": flood(b"", GET * 2_000, count=300, pause=0.05),
    "a head without end": flood(b"GET / HTTP/1.1\r\n", (b"X: " + _padded(1_000) + b"\r\n") * 64),
    "one header value of 8 MiB": flood(b"GET / HTTP/1.1\r\nX: " + _padded(8 << 20)),
    "10,000 fields": flood(b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 10_000 + b"\r\n", count=8),
    "a target of 8 MiB": flood(b"GET /" + _padded(8 << 20)),
    "slow heads": flood(b"GET / HTTP/1.1\r\n", b"x", count=300, pause=0.5),
    "empty lines": flood(b"", b"\r\n" * 30_000, count=8),
    "slow bodies": flood(POST + b"Content-Length: 8192\r\n\r\n", b"x", count=300, pause=0.5),
    "a body of 1 GiB": flood(POST + b"Content-Length: 1073741824\r\n\r\n", _padded(CHUNK), count=8),
    "a body without end": flood(CHUNKED, b"10000\r\n" + _padded(CHUNK) + b"\r\n", count=8),
    "chunk extensions": flood(CHUNKED + b"1;", _padded(CHUNK), count=8),
    "extensions of many chunks": flood(
        CHUNKED, (b"1;" + _padded(200) + b"\r\nx\r\n") * 300, count=8
    ),
    "trailers": flood(CHUNKED + b"0\r\n", b"x: y\r\n" * 10_000, count=8),
    "tiny chunks": flood(CHUNKED, b"1\r\nx\r\n" * 10_000, count=8),
    "a client that never reads": flood(b"", GET, pause=0.001),
    "200 clients that never read": flood(b"", GET, count=200, pause=0.1),
    "idle connections kept alive": flood(GET, count=800),
    "connections that say nothing": flood(b"", count=2_500),
    "half heads of tunnels": flood(b"CONNECT gateway.test:443 HTTP/1.1\r\n", count=600),
    "tunnels to names that rebind": flood(
        b"CONNECT 127.0.0.1.rebind.test:443 HTTP/1.1\r\n" + HOST + b"\r\n", count=100
    ),
    "tunnels with no TLS in them": flood(
        b"CONNECT 127.0.0.1:443 HTTP/1.1\r\n" + HOST + b"\r\n" + _padded(600), count=100
    ),
    "WebSocket upgrades": flood(SOCKET % b"http://127.0.0.1/", count=200),
    "WebSocket frames without end": flood(
        SOCKET % b"http://127.0.0.1/", b"\x82\xfe\xff\xff0000" + bytes(65_535), count=8
    ),
    "garbage to the gateway": storm(lambda: os.urandom(8_192)),
    "OHTTP under another key": storm(_wrong_key),
    "unknown paths": flood(b"GET /" + _padded(4_000) + b" HTTP/1.1\r\n" + HOST + b"\r\n", count=64),
    "bodies for GET": flood(GET[:-2] + b"Content-Length: 65536\r\n\r\n" + _padded(CHUNK), count=32),
    "TLS hellos in plain HTTP": flood(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", count=300),
    **CROWDS,
}


async def attack(name: str, host: str, port: int, seconds: float) -> None:
    """Attack for so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ATTACKS[name](Target(host, port))


if __name__ == "__main__":
    asyncio.run(attack(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
