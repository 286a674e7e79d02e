"""What a hostile client does to a port: `python -m tests.flood.attacks NAME HOST PORT HOME`.

Each runs in a process of its own, from loopback networks that are nobody's proxy, until its input
ends. HOME holds what is known of the server.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.flood.crowds import CROWDS
from tests.flood.makes import Make, Relay, Shop
from tests.flood.measuring import BREACHED
from tests.flood.rebinding import PRIVATE, RELAY
from tests.flood.sending import CHUNK, GATEWAY, HOST, OHTTP, Attack, Breach, Target, flood, keep_on
from tests.flood.shops import SHOP, TLS

from dovetail.crypto.ohttp import KeyConfig, encapsulate

GET = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST " + GATEWAY + b" HTTP/1.1\r\n" + HOST + OHTTP
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SOCKET = (
    b"GET /%b HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def storm(body: Callable[[], bytes]) -> Attack:
    """Whole requests to the gateway."""

    def request() -> bytes:
        content = body()
        return POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(content) + content

    return lambda target: keep_on(lambda: target.ask(request()), 8)


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


MAILROOM: dict[str, Attack] = {
    "pipelined GETs": flood(b"", GET * 2_000),
    "pipelined GETs, 300 connections": flood(b"", GET * 2_000, count=300, pause=0.05),
    "a head without end": flood(b"GET / HTTP/1.1\r\n", (b"X: " + _padded(1_000) + b"\r\n") * 64),
    "one header value of 8 MiB": flood(b"GET / HTTP/1.1\r\nX: " + _padded(8 << 20)),
    "10,000 fields": flood(b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 10_000 + b"\r\n", count=8),
    "a target of 8 MiB": flood(b"GET /" + _padded(8 << 20)),
    "slow heads": flood(b"GET / HTTP/1.1\r\n", b"x", count=300, pause=0.5),
    "empty lines": flood(b"", b"\r\n" * 30_000, count=8),
    "slow heads, 12 networks": flood(
        b"GET / HTTP/1.1\r\n", b"x", count=600, pause=0.5, networks=12
    ),
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
    "connections that say nothing, 12 networks": flood(b"", count=5_000, networks=12),
    "half heads of tunnels": flood(b"CONNECT gateway.test:443 HTTP/1.1\r\n", count=600),
    "half heads of tunnels, 12 networks": flood(
        b"CONNECT gateway.test:443 HTTP/1.1\r\n", count=600, networks=12
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


OURS: dict[str, tuple[Make, Attack]] = {
    **{name: (Relay(local=True), each) for name, each in RELAY.items()},
    **{name: (Relay(local=False), each) for name, each in PRIVATE.items()},
    **{name: (Shop(), each) for name, each in SHOP.items()},
    **{name: (Shop(tls=True), each) for name, each in TLS.items()},
}
"""What takes one of our servers that is set up for it."""
ATTACKS: dict[str, tuple[Make, Attack]] = {
    **{name: (Make(), each) for name, each in MAILROOM.items()},
    **OURS,
}
_LONGEST = 120.0


async def attack(name: str, target: Target) -> None:
    loop = asyncio.get_running_loop()
    told = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
    attacking = asyncio.create_task(_attack(name, target))
    sys.stdout.write("\n")
    sys.stdout.flush()
    await asyncio.wait(
        (attacking, asyncio.ensure_future(told.read())),
        timeout=_LONGEST,
        return_when=asyncio.FIRST_COMPLETED,
    )
    attacking.cancel()
    with suppress(asyncio.CancelledError):
        await attacking


async def _attack(name: str, target: Target) -> None:
    await ATTACKS[name][1](target)


if __name__ == "__main__":
    logging.disable()  # asyncio tells of each connection that was cut
    try:
        asyncio.run(attack(sys.argv[1], Target(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))))
    except Breach as breach:
        sys.stderr.write(f"{breach}\n")
        sys.exit(BREACHED)
