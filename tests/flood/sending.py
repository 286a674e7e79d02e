"""The connections of an attack, from loopback networks that are nobody's proxy."""

import asyncio
import itertools
import json
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

CHUNK = 65_536
GATEWAY = b"/.well-known/ohttp-gateway"
HOST = b"Host: mailroom.test\r\n"
OHTTP = b"Content-Type: message/ohttp-req\r\n"
FACTS = "facts.json"
"""What an attacker knows of a server, in the server's folder."""
CERTIFICATE, KEY = "server.crt", "server.key"

Attack = Callable[["Target"], Awaitable[None]]


class Breach(Exception):  # of a server, and no fault of the attack
    """The attack reached what it must not reach."""


class Target:
    """A server, and the connections that one attack makes to it."""

    def __init__(self, host: str, port: int, home: Path) -> None:
        """`home` may hold what is known of the server."""
        self._place = host, port
        self.home = home
        facts = home / FACTS
        self.facts: dict[str, Any] = json.loads(facts.read_text()) if facts.exists() else {}
        self._tls: ssl.SSLContext | None = None
        if self.facts.get("tls"):
            self._tls = ssl.create_default_context(cafile=home / CERTIFICATE)
        self._sources = itertools.count()

    def source(self, networks: int) -> str:
        """The next address, of this many networks in turns."""
        number = next(self._sources)
        return f"127.{9 + number % networks}.9.{number // networks % 249 + 1}"

    async def connect(
        self, *, networks: int = 1, plain: bool = False, limit: int = CHUNK
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection, in TLS if the server speaks it and this is not to be `plain`."""
        source = (self.source(networks), 0)
        context = None if plain else self._tls
        return await asyncio.open_connection(
            *self._place, local_addr=source, limit=limit, ssl=context
        )

    async def send(
        self,
        begin: bytes,
        again: bytes = b"",
        *,
        pause: float = 0.0,
        networks: int = 1,
        plain: bool = False,
    ) -> None:
        """Send `begin` and then `again` for as long as the connection lasts; read nothing."""
        with suppress(OSError):
            _, writer = await self.connect(networks=networks, plain=plain, limit=1_024)
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
        reader, writer = await asyncio.open_connection(*self._place)
        writer.write(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer.partition(b"\r\n\r\n")[2]

    async def ask(self, request: bytes, *, networks: int = 1) -> None:
        with suppress(OSError):
            reader, writer = await self.connect(networks=networks)
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


def flood(
    begin: bytes | Callable[[Target], bytes], again: bytes = b"", *, count: int = 1, **how: Any
) -> Attack:
    """The same bytes on `count` connections; `how` they are sent, `Target.send` says."""

    async def attack(target: Target) -> None:
        first = begin if isinstance(begin, bytes) else begin(target)
        await keep_on(lambda: target.send(first, again, **how), count)

    return attack
