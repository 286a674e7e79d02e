"""Bootstrap: short tunnels to a directory, so that it does not see who fetches its keys (BIP 77).

HTTP CONNECT and WebSocket; the client checks the directory's TLS certificate inside.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any

from dovetail.errors import InvalidUri, TransportError
from dovetail.mailroom.relay import Relay
from dovetail.mailroom.targets import Target
from dovetail.serving.answers import Answer, overloaded, problem
from dovetail.serving.asgi import Receive, Scope, Send

TUNNEL_LIMIT = 262_144
"""Bytes either way: a TLS handshake and one document of keys take a few thousand."""

_CHUNK = 16_384
_CONNECT_TIMEOUT = 10.0
_NORMAL, _POLICY, _TRY_LATER = 1000, 1008, 1013

Read = Callable[[], Awaitable[bytes]]
"""The next bytes; empty at the end."""
Write = Callable[[bytes], Awaitable[None]]


class Tunnels:
    """Opens tunnels to gateways that opted in; at most `limit`, each for `seconds`."""

    def __init__(self, relay: Relay, *, limit: int, seconds: float, head_seconds: float) -> None:
        """A CONNECT request may take `head_seconds` to arrive."""
        self._relay = relay
        self._limit = limit
        self._seconds = seconds
        self._head_seconds = head_seconds
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._tasks)

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection that began with CONNECT, and close it."""

        async def send(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        async def receive() -> bytes:
            return await reader.read(_CHUNK)

        try:
            with suppress(OSError):  # the client has gone
                await self._bounded(self._connect(reader, receive, send))
        finally:
            writer.close()

    async def websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket at `/https://host[:port]/`; each message is bytes of the tunnel."""
        await receive()
        target = self._relay.target_of(scope)
        refusal = target if isinstance(target, Answer) else await self._refusal(target)
        if refusal is not None or isinstance(target, Answer):
            later = refusal is not None and refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            await send({"type": "websocket.close", "code": _TRY_LATER if later else _POLICY})
            return

        async def take() -> bytes:
            message = await receive()
            return (message.get("bytes") or b"") if message["type"] == "websocket.receive" else b""

        async def give(data: bytes) -> None:
            await send({"type": "websocket.send", "bytes": data})

        await send({"type": "websocket.accept"})
        try:
            await self._bounded(self._join(target, take, give))
        except TransportError:
            await send({"type": "websocket.close", "code": _TRY_LATER})
        else:
            await send({"type": "websocket.close", "code": _NORMAL})

    def cut(self) -> None:
        """End every tunnel; a client fetches its keys again."""
        for task in self._tasks:
            task.cancel()

    async def aclose(self) -> None:
        """End every tunnel and wait until all is closed."""
        tasks = list(self._tasks)
        self.cut()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _refusal(self, target: Target) -> Answer | None:
        if len(self._tasks) >= self._limit:
            return overloaded("tunnels")
        return await self._relay.refusal(target)

    async def _bounded(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work in a task of its own, which time or `aclose` may end."""
        task = asyncio.ensure_future(work)
        alarm = asyncio.get_running_loop().call_later(self._seconds, task.cancel)
        self._tasks.add(task)
        try:
            await asyncio.wait((task,))
        finally:
            alarm.cancel()
            self._tasks.discard(task)
            task.cancel()
        if not task.cancelled():
            task.result()

    async def _connect(self, reader: asyncio.StreamReader, take: Read, give: Write) -> None:
        try:
            async with asyncio.timeout(self._head_seconds):
                head = await reader.readuntil(b"\r\n\r\n")
            target = _target_of(head)
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, InvalidUri):
            await give(_status_line(problem(HTTPStatus.BAD_REQUEST, "")))
            return
        if (refusal := await self._refusal(target)) is not None:
            await give(_status_line(refusal))
            return
        try:
            await self._join(target, take, give, greeting=_status_line(Answer(HTTPStatus.OK)))
        except TransportError:
            await give(_status_line(Answer(HTTPStatus.BAD_GATEWAY)))

    async def _join(self, target: Target, take: Read, give: Write, greeting: bytes = b"") -> None:
        """Pass bytes on both ways until either side ends; raises `TransportError` before that."""
        async with self._dial(target) as (far_reader, far_writer):

            async def far_take() -> bytes:
                return await far_reader.read(_CHUNK)

            async def far_give(data: bytes) -> None:
                far_writer.write(data)
                await far_writer.drain()

            if greeting:
                await give(greeting)
            ways = [
                asyncio.create_task(_pump(take, far_give)),
                asyncio.create_task(_pump(far_take, give)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)

    @asynccontextmanager
    async def _dial(
        self, target: Target
    ) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        address = await self._relay.dialler.address(target.bare_host, target.port)
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                reader, writer = await asyncio.open_connection(address, target.port)
        except OSError as error:
            raise TransportError("The gateway cannot be reached; try again later.") from error
        try:
            yield reader, writer
        finally:
            writer.close()


async def _pump(take: Read, give: Write) -> None:
    left = TUNNEL_LIMIT
    while left > 0 and (data := await take()):
        left -= len(data)
        await give(data)


def _target_of(head: bytes) -> Target:
    line = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return Target.of_authority(line[1] if len(line) == 3 else "")


def _status_line(answer: Answer) -> bytes:
    status = HTTPStatus(answer.status)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
    if status is not HTTPStatus.OK:
        lines += [b"content-length: 0", b"connection: close"]
        lines += [
            b"retry-after: " + value for name, value in answer.headers if name == b"retry-after"
        ]
    return b"\r\n".join([*lines, b"", b""])
