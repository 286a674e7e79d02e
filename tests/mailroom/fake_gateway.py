"""A gateway of someone else's, which answers what a test tells it to."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

PURPOSE = b"BIP77 454403bb-9f7b-4385-b31f-acd2dae20b7e"
PURPOSES_BY_COUNT = b"\x00\x01\x2a" + PURPOSE
PURPOSES_BY_LENGTH = b"\x00\x2b\x2a" + PURPOSE


@dataclass(slots=True)
class FakeGateway:
    """Raw HTTP answers, the same to every request of a method; None hangs."""

    url: str = ""
    port: int = 0
    get: bytes | None = b""
    post: bytes | None = b""
    requests: list[bytes] = field(default_factory=list)
    lost: asyncio.Event = field(default_factory=asyncio.Event)

    def opt_in(self, purposes: bytes = PURPOSES_BY_COUNT, media_type: str = "") -> None:
        kind = media_type or "application/x-ohttp-allowed-purposes"
        self.get = respond(200, purposes, f"content-type: {kind}")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                body = await reader.readexactly(int(length or 0))
                self.requests.append(head + body)
                answer = self.post if head.startswith(b"POST") else self.get
                if answer is None:
                    await reader.read()
                    self.lost.set()
                    return
                writer.write(answer)
                if b"connection: close" in answer:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            await asyncio.sleep(0)
            writer.transport.abort()  # TLS would wait for the other side's farewell


def respond(status: int, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def fake_gateway(context: ssl.SSLContext | None = None) -> AsyncIterator[FakeGateway]:
    gateway = FakeGateway()
    gateway.opt_in()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(asyncio.CancelledError):  # the test is over
            await gateway.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    gateway.port = server.sockets[0].getsockname()[1]
    gateway.url = f"{'https' if context else 'http'}://127.0.0.1:{gateway.port}"
    yield gateway
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.02)  # until asyncio has closed what was aborted
