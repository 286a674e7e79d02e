"""The connections of an attack, from loopback networks that are nobody's proxy."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress

CHUNK = 65_536
GATEWAY = b"/.well-known/ohttp-gateway"
HOST = b"Host: mailroom.test\r\n"
OHTTP = b"Content-Type: message/ohttp-req\r\n"

Attack = Callable[["Target"], Awaitable[None]]


class Target:
    """A server, and the connections that one attack makes to it."""

    def __init__(self, host: str, port: int) -> None:
        self._place = host, port
        self._sources = itertools.cycle(range(1, 250))

    async def send(
        self, begin: bytes, again: bytes = b"", *, pause: float = 0.0, network: int | None = None
    ) -> None:
        """Send `begin` and then `again` for as long as the connection lasts; read nothing."""
        source = f"127.{network or 9}.9.{next(self._sources)}"
        with suppress(OSError):
            _, writer = await asyncio.open_connection(
                *self._place, local_addr=(source, 0), limit=1_024
            )
            try:
                writer.write(begin)
                while not writer.is_closing():
                    if again:
                        writer.write(again)
                    await writer.drain()
                    await asyncio.sleep(pause if again else 0.2)
            finally:
                writer.transport.abort()

    async def fetch(self, path: bytes) -> bytes:
        """The body of a GET."""
        reader, writer = await asyncio.open_connection(*self._place)
        writer.write(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer.partition(b"\r\n\r\n")[2]

    async def ask(self, request: bytes) -> None:
        """One request whose answer is read to its end."""
        source = f"127.9.9.{next(self._sources)}"
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(*self._place, local_addr=(source, 0))
            try:
                writer.write(request)
                while await reader.read(CHUNK):
                    pass
            finally:
                writer.transport.abort()


async def keep_on(act: Callable[[], Awaitable[None]], count: int) -> None:
    """Do it `count` times at once, and again when one has ended."""

    async def each() -> None:
        while True:
            await act()
            await asyncio.sleep(0.02)

    await asyncio.gather(*(each() for _ in range(count)))
