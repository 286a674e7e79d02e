"""What comes to a mailroom: paths of relays, requests, the first bytes of connections."""

import asyncio
import atexit
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, cast

from tests.fuzz.choices import Choices
from tests.fuzz.scratch import folder
from tests.fuzz.target import Target, parsed, require
from tests.mailroom.fake_gateway import PURPOSES_BY_COUNT, PURPOSES_BY_LENGTH
from tests.protocol.examples import BIP77_URI, ORIGINAL
from tests.serving.test_proxy_protocol import SIGNATURE
from uvicorn import Config
from uvicorn.server import ServerState

from dovetail.crypto import KeyConfig, SeededEntropy, encapsulate
from dovetail.errors import ConfigurationError, InvalidMessage, InvalidUri
from dovetail.mailroom import Mailroom, MailroomSettings
from dovetail.mailroom.gateway_prober import Probe, judge, parse_purposes
from dovetail.mailroom.gateway_uri import Target as Origin
from dovetail.mailroom.public_addresses import is_public
from dovetail.protocol.mailbox import ShortId
from dovetail.protocol.requests import GATEWAY_PATH
from dovetail.serving.blocklist import Blocklist, network_of
from dovetail.serving.connection_limits import ConnectionLimiter
from dovetail.serving.proxy_protocol import HEADER_LIMIT, introduction

NAME = ShortId.parse(BIP77_URI.partition("PAYJO.IN/")[2][:13])


def targets(data: bytes) -> None:
    """Where a relay is asked to go, and what a gateway says it allows."""
    text = data.decode("latin-1")
    for read in (Origin.of_path, Origin.of_authority):
        found = parsed(read, text, error=InvalidUri)
        if found is not None:
            require(Origin.of_path(f"/{found}") == found, "an origin reads as it is written")
            require(0 < found.port <= 0xFFFF, "ports have 16 bits")
            require(not set(found.host) & set("/@?# \\"), "a host is no more than a host")
    if is_public(text):
        require(not text.startswith(("127.", "10.", "192.168.", "::1", "fe80")), "public is public")
    names = parse_purposes(data)
    require(sum(map(len, names)) + len(names) + 2 == len(data) or not names, "a list is whole")
    judge(Probe(200, "application/x-ohttp-allowed-purposes", data))


class Room:
    """A mailroom of this process, open until its end."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        quick: Any = {"wait": 0.001, "read_timeout": 0.05, "forward_timeout": 0.05}
        settings = MailroomSettings(folder() / "mailroom", v1=True, **quick)
        self.mailroom = Mailroom(settings, resolve=_nowhere, entropy=SeededEntropy(b"room"))
        self.loop.run_until_complete(self.mailroom.__aenter__())
        atexit.register(self._close)

    def ask(
        self,
        method: str,
        path: bytes,
        chunks: list[bytes],
        query: bytes = b"",
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> tuple[int, bytes]:
        scope = {
            "type": "http",
            "method": method,
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "headers": headers,
        }
        return self.loop.run_until_complete(self._ask(scope, chunks))

    async def _ask(self, scope: dict[str, Any], chunks: list[bytes]) -> tuple[int, bytes]:
        sent: list[Any] = []
        incoming: list[dict[str, Any]] = [
            {"type": "http.request", "body": each, "more_body": at + 1 < len(chunks)}
            for at, each in enumerate(chunks)
        ]

        async def receive() -> dict[str, Any]:
            if incoming:
                return incoming.pop(0)
            await asyncio.sleep(0.002)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.mailroom(scope, receive, send)
        return sent[0]["status"], sent[1]["body"]

    def _close(self) -> None:
        self.loop.run_until_complete(self.mailroom.__aexit__())
        self.loop.close()


async def _nowhere(_host: str, _port: int) -> list[str]:
    raise OSError("No host is known here.")


@cache
def room() -> Room:
    return Room()


METHODS = ("POST", "GET", "PUT", "OPTIONS", "HEAD", "DELETE", "CONNECT")
PATHS = (
    GATEWAY_PATH.encode(),
    f"/{NAME}".encode(),
    b"/ohttp-keys",
    b"/https://gateway.example/",
    b"/health",
    b"/",
)
HEADERS = (
    (b"content-type", b"message/ohttp-req"),
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", b"8192"),
    (b"content-length", b"99999999999999999999999"),
    (b"x-ohttp-self-loop-tag", b"00"),
)


def request(data: bytes) -> None:
    """A request to a mailroom: in the clear, and sealed for its gateway."""
    choices = Choices(data)
    opened = room()
    method, path = choices.one_of(METHODS), choices.one_of((*PATHS, b""))
    path = path or b"/" + choices.some()
    query = choices.some() if choices.below(2) else b""
    headers = [choices.one_of(HEADERS) for _ in range(choices.below(4))]
    if choices.below(2):
        headers.append((choices.some().lower(), choices.some()))
    kind = choices.below(4)
    body = choices.rest()
    if kind == 3:
        body, headers = _sealed(body), [HEADERS[0]]
    half = len(body) // 2
    chunks = [body[:half], body[half:]] if kind else [body]
    status, answer = opened.ask(method, path, chunks, query, headers)
    require(200 <= status < 600 and status != 500, "no request makes a mailroom fail")
    require(len(answer) <= 8_192, "no answer is larger than the protocol allows")
    sealed = kind == 3 and (method, path) == ("POST", PATHS[0])
    require(not sealed or status == 200, "what is sealed is answered sealed")


def _sealed(message: bytes) -> bytes:
    _, served = room().ask("GET", PATHS[0], [b""])
    padded = message[:8_104].ljust(8_104, b"\0")
    return encapsulate(KeyConfig.parse(served), padded, entropy=SeededEntropy(b"fuzz"))[0]


def requests() -> Iterable[bytes]:
    for method in range(3):
        for path in range(len(PATHS)):
            yield bytes((method, path, 0, 1, 0, 0, 1))
    yield bytes((0, 1, 1, 3)) + b"v=1" + bytes((1, 1, 0, 1)) + ORIGINAL.encode()
    inner = b"\0\4POST\5https\7payjo.in"[:-1] + b"\x0e/" + NAME.encode() + b"\0\4body"
    yield bytes((0, 0, 0, 0, 0, 3)) + inner
    yield bytes((0, 0, 0, 0, 0, 3)) + inner.replace(b"\4POST", b"\3GET")
    yield bytes((0, 0, 0, 0, 0, 3)) + inner.replace(b"\4POST", b"\3PUT")


@cache
def spoken() -> Config:
    server = Config(room().mailroom, log_config=None, access_log=False, lifespan="off")
    server.load()
    return server


class _Line:
    """A connection that goes nowhere."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, _name: str, default: Any = None) -> Any:
        return default

    def get_write_buffer_size(self) -> int:
        return 0

    def __getattr__(self, _name: str) -> Any:
        return lambda *_, **__: True  # pausing, resuming and limits mean nothing to it


def door(data: bytes) -> None:
    """The first bytes of a connection, in pieces: HTTP, or CONNECT for a tunnel."""
    room().loop.run_until_complete(_knock(data))


async def _knock(data: bytes) -> None:
    keeper = ConnectionLimiter(limit=10, seconds=0.5, tunnels=lambda: room().mailroom.tunnels)
    server = spoken()
    line, choices = _Line(), Choices(data)
    protocol = keeper(server, ServerState(), {})
    protocol.connection_made(cast("asyncio.BaseTransport", line))
    while choices.more:
        protocol.data_received(choices.take(1 + choices.number()))
    for _ in range(4):
        await asyncio.sleep(0)
    protocol.connection_lost(None)
    keeper.close()
    await asyncio.sleep(0.001)
    require(b" 500 " not in line.written[:20], "no bytes make a mailroom fail")


KNOCKS = (
    b"CONNECT payjo.in:443 HTTP/1.1\r\nhost: payjo.in:443\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    b"POST /" + NAME.encode() + b" HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc",
)


def knocks() -> Iterable[bytes]:
    for head in KNOCKS:
        yield bytes((len(head) - 1,)) + head
        yield bytes((2,)) + head[:3] + bytes((len(head),)) + head[3:]


def introduced(data: bytes) -> None:
    """The header of a PROXY protocol: whole, a part of one, or refused; more bytes change none."""
    found = parsed(introduction, data, error=InvalidMessage)
    if found is not None:
        require(16 <= found.size <= min(len(data), HEADER_LIMIT), "a header is among its bytes")
        require(introduction(data[: found.size]) == found, "what follows a header is not read")


INTRODUCTIONS = (
    SIGNATURE + bytes.fromhex("2111000cc0a80001c0a8000bdc0401bb"),
    SIGNATURE + bytes.fromhex("21210027") + bytes(36) + b"\x04\x00\x00",
    SIGNATURE + bytes.fromhex("20000000"),
)


def blocked(data: bytes) -> None:
    """A line of a blocklist: a network that is in its own list, or refused."""
    network = parsed(network_of, data.decode("utf-8", "replace"), error=ConfigurationError)
    if network is not None:
        known = Blocklist([network])
        require(str(network.network_address) in known, "a network holds its first address")
        require(network_of(str(network)) == network, "a network is read as it is written")


ADDRESSES = b"::ffff:", b"64:ff9b::"
PATHS_OF_RELAYS = (
    b"/https://payjo.in:443/", b"/http:/[::1]:80", b"a.example:1", b"10.0.0.1",
    b"64:ff9b::7f00:1", b"::ffff:127.0.0.1%1", PURPOSES_BY_COUNT, PURPOSES_BY_LENGTH,
)  # fmt: skip
NETWORKS = b"192.0.2.0/24", b"2001:db8::/56", b"::ffff:192.0.2.0/120", b" 1.2.3.4 "
TARGETS = (
    Target("relay-targets", targets, lambda: PATHS_OF_RELAYS, (b"https://", *ADDRESSES), 256),
    Target("mailroom-request", request, requests, longest=1024),
    Target("introductions", introduced, lambda: INTRODUCTIONS, longest=256),
    Target("blocked-networks", blocked, lambda: NETWORKS, (b"::ffff:", b"/", b"."), 64),
    Target("mailroom-door", door, knocks, (b"CONNECT ", b" HTTP/1.1\r\n", b"\r\n\r\n"), 1024),
)
