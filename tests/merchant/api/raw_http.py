"""A client that writes each byte itself, and reads server-sent events as they come."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

PATIENCE = 20.0


class Told(NamedTuple):
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Line:
    """A connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read the status and the headers of an answer."""
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")[:-2]
        pairs = (each.partition(": ") for each in rest)
        return int(first.split()[1]), {name.lower(): value for name, _, value in pairs}

    async def answer(self) -> Told:
        """Read an answer that tells its length."""
        status, headers = await self.head()
        async with asyncio.timeout(PATIENCE):
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Told(status, headers, body)

    async def chunk(self, seconds: float = PATIENCE) -> bytes | None:
        """Read a chunk of an answer; None at its end, also where it is cut off."""
        async with asyncio.timeout(seconds):
            try:
                size = int((await self.reader.readuntil(b"\r\n")).strip() or b"0", 16)
                data = await self.reader.readexactly(size + 2)
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
        return data[:-2] if size else None

    async def event(self, seconds: float = PATIENCE) -> dict[str, str] | None:
        """Read a server-sent event; None at the end. A comment has the name ``."""
        chunk = await self.chunk(seconds)
        if chunk is None:
            return None
        pairs = (each.partition(": ") for each in chunk.decode().split("\r\n") if each)
        return {name: value for name, _, value in pairs}

    async def until_closed(self, seconds: float = PATIENCE) -> None:
        """Read to the end, whatever comes."""
        async with asyncio.timeout(seconds):
            with suppress(ConnectionError):
                while await self.reader.read(1 << 16):
                    pass


@asynccontextmanager
async def dialled(url: str, *, buffer: int | None = None) -> AsyncIterator[Line]:
    """Connect; `buffer` bytes are what this side keeps of what it has not read."""
    place = urlsplit(url)
    made = socket.socket()
    made.setblocking(False)
    if buffer is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    try:
        await asyncio.get_running_loop().sock_connect(made, (place.hostname, place.port))
    except OSError:
        made.close()
        raise
    reader, writer = await asyncio.open_connection(sock=made, limit=buffer or 1 << 16)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def request(method: str, path: str, *, secret: str = "", body: bytes = b"", **more: str) -> bytes:
    """A request; names of headers have `_` for `-`."""
    fields = {"host": "localhost", **({"authorization": f"Bearer {secret}"} if secret else {})}
    if body:
        fields |= {"content-type": "application/json", "content-length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in more.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


async def ask(url: str, method: str, path: str, **more: Any) -> Told:
    """One request on a connection of its own."""
    given = {"host": urlsplit(url).netloc} | more
    async with dialled(url) as line:
        await line.send(request(method, path, **given))
        return await line.answer()
