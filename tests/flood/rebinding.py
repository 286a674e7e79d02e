"""What a hostile name server and gateway do to a relay: names that rebind, tunnels without TLS."""

import asyncio
import itertools
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import dns.message
import dns.rcode
import dns.rrset
from tests.flood.sending import CERTIFICATE, CHUNK, HOST, KEY, Attack, Breach, Target, keep_on
from tests.mailroom.client_hellos import hello

from dovetail.errors import InvalidMessage
from dovetail.mailroom.client_hello import host_of_hello

NAME = "gateway.rebind.test"
_GATEWAY, _VICTIM = "127.0.0.9", "127.0.0.66"
_PURPOSES = b"\x00\x01\x2aBIP77 454403bb-9f7b-4385-b31f-acd2dae20b7e"
OPT_IN = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ohttp-allowed-purposes\r\n"
    b"Content-Length: %d\r\n\r\n" % len(_PURPOSES) + _PURPOSES
)
_UPGRADE = (
    b"GET /https://%b:%d/ HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
_WORDS = (b"SSH-2.0-OpenSSH_9.6\r\n", b"GET / HTTP/1.1\r\n\r\n", bytes(600))
Addresses = Callable[[str], list[str] | None]
"""What a name has for addresses now; None says nothing at all."""


@dataclass
class _Names(asyncio.DatagramProtocol):
    """A name server whose answers nobody may keep."""

    addresses: Addresses
    asked: int = 0
    transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        self.asked += 1
        found = self.addresses(str(question.name).rstrip("."))
        if found is None:
            return
        answer = dns.message.make_response(query)
        if question.rdtype.name == "A" and found:
            answer.answer.append(dns.rrset.from_text(question.name, 0, "IN", "A", *found))
        self.transport.sendto(answer.to_wire(), addr)


@asynccontextmanager
async def names(target: Target, addresses: Addresses) -> AsyncGenerator[_Names]:
    place = ("127.0.0.1", target.facts["names"])
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Names(addresses), local_addr=place
    )
    try:
        yield server
    finally:
        transport.close()


@dataclass
class _Far:
    """The gateway, which opts in by TLS, and counts what else comes to it."""

    context: ssl.SSLContext
    port: int = 0
    hellos: int = 0
    no_tls: int = 0
    victims: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: TLS for our name or nothing."""
        first = b""
        with suppress(OSError):
            first = await reader.read(CHUNK)
        try:
            right = host_of_hello(first) == NAME
        except InvalidMessage:
            right = False
        self.hellos += right
        self.no_tls += bool(first) and not right
        if not right:
            writer.close()
            return
        with suppress(OSError, ssl.SSLError):
            await self._speak(first, reader, writer)
        writer.close()

    async def _speak(
        self, data: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        arrived, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(arrived, leaving, server_side=True)
        done = False
        while data:
            arrived.write(data)
            with suppress(ssl.SSLWantReadError):
                if not done:
                    tls.do_handshake()
                    done = True
                if tls.read(CHUNK).startswith(b"GET"):
                    tls.write(OPT_IN)
                    self.opened.set()
            writer.write(leaving.read())
            await writer.drain()
            data = await reader.read(CHUNK)

    async def victim(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A machine that nobody may reach through the relay."""
        self.victims += 1
        writer.close()


@asynccontextmanager
async def far_side(target: Target) -> AsyncGenerator[_Far]:
    """The gateway, and a victim at the same port of another address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(target.home / CERTIFICATE, target.home / KEY)
    far = _Far(context)
    gateway = await asyncio.start_server(far.serve, _GATEWAY, 0)
    far.port = gateway.sockets[0].getsockname()[1]
    victim = await asyncio.start_server(far.victim, _VICTIM, far.port)
    try:
        yield far
    finally:
        gateway.close()
        victim.close()


def _frame(data: bytes) -> bytes:
    """A masked message of a WebSocket, the mask being nothing."""
    return b"\x82\xfe" + len(data).to_bytes(2) + bytes(4) + data


async def _tunnel(target: Target, port: int, words: bytes, *, websocket: bool) -> None:
    """Ask for a tunnel to the gateway, and say this in it."""
    with suppress(OSError, asyncio.IncompleteReadError):
        reader, writer = await target.connect(networks=12)
        try:
            if websocket:
                writer.write(_UPGRADE % (NAME.encode(), port))
            else:
                writer.write(b"CONNECT %b:%d HTTP/1.1\r\n" % (NAME.encode(), port) + HOST + b"\r\n")
            if (await reader.readuntil(b"\r\n\r\n")).split()[1] in (b"200", b"101"):
                writer.write(_frame(words) if websocket else words)
                async with asyncio.timeout(1):
                    await reader.read(CHUNK)
        except TimeoutError:
            pass
        finally:
            writer.transport.abort()


def tunnels(*, websocket: bool) -> Attack:
    """Tunnels to a gateway that opted in, whose name then leads elsewhere."""

    said = itertools.cycle((hello(NAME), *_WORDS, hello("intranet.test")))

    async def attack(target: Target) -> None:
        async with far_side(target) as far:
            where = lambda _: [_VICTIM if far.opened.is_set() else _GATEWAY]  # noqa: E731
            tunnel = lambda: _tunnel(target, far.port, next(said), websocket=websocket)  # noqa: E731
            async with names(target, where) as server:
                try:
                    await keep_on(tunnel, 24)
                finally:
                    _judge(far, asked=server.asked)

    return attack


def _judge(far: _Far, *, asked: int) -> None:
    if far.victims or far.no_tls:
        raise Breach(f"{far.victims} connections elsewhere, {far.no_tls} without TLS")
    if not asked or far.hellos < 2:  # whether it opted in, and a tunnel
        raise RuntimeError("The relay was not reached")


async def private(target: Target) -> None:
    """Names that lead to this machine, alone or beside a public address, now and then."""
    numbers = itertools.count()
    answers = itertools.cycle((["127.0.0.66"], ["203.0.113.1", "127.0.0.66"], ["192.0.0.8"]))

    async def each(port: int) -> None:
        name = b"n%d.rebind.test" % next(numbers)
        await target.ask(b"CONNECT %b:%d HTTP/1.1\r\n" % (name, port) + HOST + b"\r\n", networks=12)

    async with far_side(target) as far, names(target, lambda _: next(answers)) as server:
        try:
            await keep_on(lambda: each(far.port), 48)
        finally:
            if far.victims:
                raise Breach("A private address was reached")
            if not server.asked:
                raise RuntimeError("No name was looked up")


async def silent(target: Target) -> None:
    """Names on a name server that says nothing."""
    numbers = itertools.count()

    async def each() -> None:
        name = b"n%d.silent.test" % next(numbers)
        await target.ask(b"CONNECT %b:443 HTTP/1.1\r\n" % name + HOST + b"\r\n", networks=12)

    async with names(target, lambda _: None) as server:
        try:
            await keep_on(each, 200)
        finally:
            if not server.asked:
                raise RuntimeError("No name was looked up")


RELAY: dict[str, Attack] = {
    "tunnels to a name that rebinds, no TLS in some": tunnels(websocket=False),
    "WebSockets to a name that rebinds": tunnels(websocket=True),
    "names on a silent name server": silent,
}
PRIVATE: dict[str, Attack] = {"names that lead to private addresses": private}
