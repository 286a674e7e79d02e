"""Servers on real sockets that do whatever they are told, and parties who have to use them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.hostile.payment import Stage
from tests.support.servers import serving
from tests.support.wire import Wire

from dovetail.protocol.requests import OHTTP_REQUEST_TYPE, Request
from dovetail.runtime.transport import LIMIT, HttpTransport, Reply

PATIENCE = 0.4
"""Seconds that a party waits here; the default is 45."""


@dataclass
class Asked:
    """One HTTP request that has come, and the way back."""

    head: bytes
    body: bytes
    writer: asyncio.StreamWriter

    @property
    def method(self) -> str:
        return self.head.partition(b" ")[0].decode()

    @property
    def target(self) -> str:
        return self.head.split(b" ")[1].decode()

    async def reply(self, body: bytes, *, status: int = 200, headers: str = "") -> None:
        await self.send(
            f"HTTP/1.1 {status} X\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body
        )

    async def send(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()

    async def drip(self, raw: bytes = b"x") -> None:
        """Say something for ever, or until nobody listens."""
        while True:
            await self.send(raw)
            await asyncio.sleep(PATIENCE / 8)


Behaviour = Callable[[Asked], Awaitable[None]]


@asynccontextmanager
async def behaving(behaviour: Behaviour) -> AsyncIterator[str]:
    """A server that answers one request for each connection; its URL."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(each[15:]) for each in lines if each[:15] == b"content-length:"), 0)
        await behaviour(Asked(head, await reader.readexactly(length), writer))

    async with serving(handle) as url:
        yield url


@dataclass
class Web(Wire):
    """The `Transport` of both parties, over HTTP."""

    http: HttpTransport = field(default_factory=lambda: HttpTransport(patience=PATIENCE))

    async def post(self, request: Request, *, limit: int = LIMIT) -> Reply:
        self.sent.append(request)
        return await self.http.post(request, limit=limit)

    async def get(self, url: str, *, proxy: str | None = None, limit: int = LIMIT) -> Reply:
        self.gets.append((url, proxy))
        return await self.http.get(url, proxy=proxy, limit=limit)


@asynccontextmanager
async def online(stage: Stage) -> AsyncIterator[Web]:
    """Both parties speak HTTP from here on; the directory stays in memory, behind a server."""
    web = Web(directory=stage.world.wire.directory)
    stage.world.wire = web
    try:
        yield web
    finally:
        await web.http.aclose()


def forward(stage: Stage, asked: Asked) -> bytes:
    """What the directory answers to what a relay was asked for."""
    origin = stage.world.wire.directory.origin
    assert asked.target == f"/{origin}/"
    return stage.world.wire.directory.serve(Request(origin, OHTTP_REQUEST_TYPE, asked.body))
