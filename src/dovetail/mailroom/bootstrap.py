"""Short tunnels to a directory, to fetch its OHTTP keys without showing one's address (BIP 77).

A tunnel is opened by HTTP CONNECT or a WebSocket. The client checks the directory's TLS
certificate inside it. A tunnel leads to the address at which the gateway opted in, and carries
only TLS for the gateway's host.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from ipaddress import ip_address
from typing import Protocol

from dovetail.errors import InvalidMessage, InvalidUri, TransportError
from dovetail.mailroom.client_hello import host_of_hello
from dovetail.mailroom.counts import Counts
from dovetail.mailroom.gateway_uri import Target
from dovetail.mailroom.relay import Relay
from dovetail.mailroom.settings import MailroomSettings
from dovetail.serving.asgi import Receive, Scope, Send
from dovetail.serving.client_shares import Client, Clients, Shares
from dovetail.serving.responses import Response, overloaded, problem

TUNNEL_LIMIT = 262_144
"""Bytes in each direction; a TLS handshake and the keys take a few thousand."""

_CHUNK = 16_384
_CONNECT_TIMEOUT = 10.0
_NORMAL, _POLICY, _TRY_LATER = 1000, 1008, 1013

_log = logging.getLogger(__name__)


class ClientStream(Protocol):
    """The client's end of a tunnel."""

    async def read(self) -> bytes:
        """Return the next bytes; empty at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    async def accept(self) -> None:
        """Accept the client, before the gateway is connected."""
        ...

    async def report_connected(self) -> None:
        """Report that the gateway is connected."""
        ...

    async def refuse(self, answer: Response) -> None:
        """Report why there is no tunnel."""
        ...


class Tunnels:
    """Opens tunnels to gateways that opted in, within the limits of the settings."""

    def __init__(
        self, relay: Relay, settings: MailroomSettings, clients: Clients, counts: Counts
    ) -> None:
        """`clients` identifies the client of a WebSocket; tunnels and refusals are counted."""
        self._counts = counts
        self._relay = relay
        self._settings = settings
        self._clients = clients
        self._shares = Shares(settings.max_tunnels, settings.max_tunnels_per_client)
        self._tasks: set[asyncio.Task[None]] = set()

    def adopt(self, settings: MailroomSettings) -> None:
        """Take new limits for tunnels to come."""
        self._settings = settings
        self._shares.resize(settings.max_tunnels, settings.max_tunnels_per_client)

    @property
    def count(self) -> int:
        """The number of open tunnels."""
        return self._shares.count

    async def connect(
        self,
        authority: bytes,
        client: Client | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Serve one connection that asked for CONNECT to `authority`, and close it."""
        client_stream = _Stream(reader, writer)
        try:
            with suppress(OSError):  # the client has gone
                try:
                    target = Target.of_authority(authority.decode("latin-1"))
                except InvalidUri as error:
                    await client_stream.refuse(problem(HTTPStatus.BAD_REQUEST, str(error)))
                else:
                    await self._open(target, client, client_stream)
        finally:
            writer.close()

    async def websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket at `/https://host[:port]/`; each message is bytes of the tunnel."""
        await receive()
        client_stream = _WebSocket(receive, send)
        target = self._relay.target_of(scope)
        if isinstance(target, Response):
            await client_stream.refuse(target)
        else:
            await self._open(target, self._clients.of(scope), client_stream)
        await send({"type": "websocket.close", "code": client_stream.code})

    def cut(self) -> None:
        """Close every tunnel; a client can fetch its keys again."""
        for task in self._tasks:
            task.cancel()

    async def aclose(self) -> None:
        """Close every tunnel and wait until all are closed."""
        tasks = list(self._tasks)
        self.cut()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _open(
        self, target: Target, client: Client | None, client_stream: ClientStream
    ) -> None:
        task = asyncio.ensure_future(self._enter(target, client, client_stream))
        with self._shares.hold(client, task.cancel) as held:
            if held:
                await self._bounded(task)
            else:
                task.cancel()
                self._counts.refused("tunnels")
                _log.warning(
                    "A tunnel was refused: %d are open, or its client has reached its limit.",
                    self.count,
                )
                await client_stream.refuse(overloaded("tunnels"))

    async def _enter(
        self, target: Target, client: Client | None, client_stream: ClientStream
    ) -> None:
        if not (self._settings.local or target.port in self._settings.tunnel_ports):
            await client_stream.refuse(
                problem(HTTPStatus.FORBIDDEN, "Tunnels lead only to the https port of a gateway.")
            )
        elif (refusal := await self._relay.refusal(target, client)) is not None:
            self._counts.answered("tunnel", refusal.status)
            await client_stream.refuse(refusal)
        else:
            self._counts.answered("tunnel", HTTPStatus.OK)
            await client_stream.accept()
            await self._join(target, client_stream)

    async def _bounded(self, task: asyncio.Task[None]) -> None:
        """Wait for a tunnel to end. The timeout, `aclose` or an eviction ends it earlier."""
        alarm = asyncio.get_running_loop().call_later(self._settings.tunnel_timeout, task.cancel)
        self._tasks.add(task)
        try:
            await asyncio.wait((task,))
        finally:
            alarm.cancel()
            self._tasks.discard(task)
            task.cancel()
        if not task.cancelled():
            task.result()

    async def _join(self, target: Target, client_stream: ClientStream) -> None:
        """Check that the client starts TLS, then forward bytes until either side ends."""
        try:
            async with self._dial(target) as (far_reader, far_writer):
                await client_stream.report_connected()
                await self._forward_bytes(target, client_stream, far_reader, far_writer)
        except TransportError as error:
            await client_stream.refuse(problem(HTTPStatus.BAD_GATEWAY, str(error)))
        except InvalidMessage as error:
            await client_stream.refuse(problem(HTTPStatus.FORBIDDEN, str(error)))

    async def _forward_bytes(
        self,
        target: Target,
        client_stream: ClientStream,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        async def read() -> bytes:
            return await reader.read(_CHUNK)

        async def write(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        await write(await self._read_client_hello(target, client_stream))
        directions = [
            asyncio.create_task(_pump(client_stream.read, write)),
            asyncio.create_task(_pump(read, client_stream.write)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in directions:
                way.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _read_client_hello(self, target: Target, client_stream: ClientStream) -> bytes:
        """Read a ClientHello for the gateway's host; raises `InvalidMessage` for others."""
        hello = b""
        try:
            async with asyncio.timeout(self._settings.read_timeout):
                while (host := host_of_hello(hello)) is None:
                    data = await client_stream.read()
                    if not data:
                        raise InvalidMessage("The client left before it sent anything.")
                    hello += data
        except TimeoutError as error:
            raise InvalidMessage("The client sent nothing in time.") from error
        if host != ("" if _is_address(target.bare_host) else target.host.rstrip(".")):
            raise InvalidMessage("The client starts TLS for another host than the gateway's.")
        return hello

    @asynccontextmanager
    async def _dial(
        self, target: Target
    ) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Connect to the address that opted in, even if the name has another address now."""
        address = self._relay.gateways.address(target)
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                reader, writer = await asyncio.open_connection(address, target.port)
        except OSError as error:
            self._relay.gateways.forget(target)  # probe it again: it may have moved
            raise TransportError("The gateway cannot be reached; try again later.") from error
        try:
            yield reader, writer
        finally:
            writer.close()


class _Stream:
    """A client that asked for CONNECT."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._connected = False

    async def read(self) -> bytes:
        return await self._reader.read(_CHUNK)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def accept(self) -> None:
        """Do nothing: the client gets its answer when the gateway is connected."""

    async def report_connected(self) -> None:
        self._connected = True
        await self.write(_status_line(Response(HTTPStatus.OK)))

    async def refuse(self, answer: Response) -> None:
        if not self._connected:
            await self.write(_status_line(answer))


class _WebSocket:
    """A client that opened a WebSocket; `code` is the close code."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.code = _NORMAL

    async def read(self) -> bytes:
        while (message := await self._receive())["type"] == "websocket.receive":
            data = message.get("bytes")
            if data != b"":  # a message with nothing in it is no end
                return data or b""
        return b""

    async def write(self, data: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": data})

    async def accept(self) -> None:
        await self._send({"type": "websocket.accept"})

    async def report_connected(self) -> None:
        """Do nothing: the client may send already."""

    async def refuse(self, answer: Response) -> None:
        later = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        self.code = _TRY_LATER if later else _POLICY


async def _pump(
    read: Callable[[], Awaitable[bytes]], write: Callable[[bytes], Awaitable[None]]
) -> None:
    left = TUNNEL_LIMIT
    while left > 0 and (data := await read()):
        left -= len(data)
        await write(data)


def _is_address(host: str) -> bool:
    """Whether the host is an IP address, which TLS does not name (RFC 6066 §3)."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _status_line(answer: Response) -> bytes:
    status = HTTPStatus(answer.status)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
    if status is not HTTPStatus.OK:
        lines += [b"content-length: 0", b"connection: close"]
        lines += [
            b"retry-after: " + value for name, value in answer.headers if name == b"retry-after"
        ]
    return b"\r\n".join([*lines, b"", b""])
