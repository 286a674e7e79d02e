"""Bootstrap: short tunnels to a directory, so that it does not see who fetches its keys (BIP 77).

HTTP CONNECT and WebSocket; the client checks the directory's TLS certificate inside. A tunnel goes
to the address at which the gateway opted in, and carries nothing but TLS for the gateway's host.
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
from dovetail.mailroom.gateway_uri import Target
from dovetail.mailroom.relay import Relay
from dovetail.mailroom.settings import MailroomSettings
from dovetail.serving.asgi import Receive, Scope, Send
from dovetail.serving.client_shares import Client, Clients, Shares
from dovetail.serving.responses import Response, overloaded, problem

TUNNEL_LIMIT = 262_144
"""Bytes either way: a TLS handshake and one document of keys take a few thousand."""

_CHUNK = 16_384
_CONNECT_TIMEOUT = 10.0
_NORMAL, _POLICY, _TRY_LATER = 1000, 1008, 1013

_log = logging.getLogger(__name__)


class Near(Protocol):
    """The client's end of a tunnel."""

    async def take(self) -> bytes:
        """The next bytes; empty at the end."""
        ...

    async def give(self, data: bytes) -> None:
        """Send these."""
        ...

    async def admit(self) -> None:
        """Say that the gateway may be dialled."""
        ...

    async def greet(self) -> None:
        """Say that it answers."""
        ...

    async def refuse(self, answer: Response) -> None:
        """Say why there is no tunnel."""
        ...


class Tunnels:
    """Opens tunnels to gateways that opted in, within the limits of the settings."""

    def __init__(self, relay: Relay, settings: MailroomSettings, clients: Clients) -> None:
        """`clients` tells whose WebSocket it is."""
        self._relay = relay
        self._settings = settings
        self._clients = clients
        self._shares = Shares(settings.max_tunnels, settings.max_tunnels_per_client)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        """How many are open."""
        return self._shares.count

    async def connect(
        self,
        authority: bytes,
        client: Client | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Serve one connection that asked for CONNECT to `authority`, and close it."""
        near = _Stream(reader, writer)
        try:
            with suppress(OSError):  # the client has gone
                try:
                    target = Target.of_authority(authority.decode("latin-1"))
                except InvalidUri as error:
                    await near.refuse(problem(HTTPStatus.BAD_REQUEST, str(error)))
                else:
                    await self._open(target, client, near)
        finally:
            writer.close()

    async def websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket at `/https://host[:port]/`; each message is bytes of the tunnel."""
        await receive()
        near = _WebSocket(receive, send)
        target = self._relay.target_of(scope)
        if isinstance(target, Response):
            await near.refuse(target)
        else:
            await self._open(target, self._clients.of(scope), near)
        await send({"type": "websocket.close", "code": near.code})

    def cut(self) -> None:
        """End every tunnel; a client fetches its keys again."""
        for task in self._tasks:
            task.cancel()

    async def aclose(self) -> None:
        """End every tunnel and wait until all is closed."""
        tasks = list(self._tasks)
        self.cut()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _open(self, target: Target, client: Client | None, near: Near) -> None:
        task = asyncio.ensure_future(self._enter(target, client, near))
        with self._shares.hold(client, task.cancel) as held:
            if held:
                await self._bounded(task)
            else:
                task.cancel()
                _log.warning(
                    "A tunnel was refused: %d are open, or its client has its share.", self.count
                )
                await near.refuse(overloaded("tunnels"))

    async def _enter(self, target: Target, client: Client | None, near: Near) -> None:
        if not (self._settings.local or target.port in self._settings.tunnel_ports):
            await near.refuse(
                problem(HTTPStatus.FORBIDDEN, "Tunnels go to the https port of gateways only.")
            )
        elif (refusal := await self._relay.refusal(target, client)) is not None:
            await near.refuse(refusal)
        else:
            await near.admit()
            await self._join(target, near)

    async def _bounded(self, task: asyncio.Task[None]) -> None:
        """Wait for a tunnel to end; time, `aclose` or another client may end it before."""
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

    async def _join(self, target: Target, near: Near) -> None:
        """Pass bytes on both ways until either side ends, if the client's begin with TLS."""
        try:
            async with self._dial(target) as (far_reader, far_writer):
                await near.greet()
                await self._converse(target, near, far_reader, far_writer)
        except TransportError as error:
            await near.refuse(problem(HTTPStatus.BAD_GATEWAY, str(error)))
        except InvalidMessage as error:
            await near.refuse(problem(HTTPStatus.FORBIDDEN, str(error)))

    async def _converse(
        self,
        target: Target,
        near: Near,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        async def take() -> bytes:
            return await reader.read(_CHUNK)

        async def give(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        await give(await self._hello(target, near))
        ways = [
            asyncio.create_task(_pump(near.take, give)),
            asyncio.create_task(_pump(take, near.give)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _hello(self, target: Target, near: Near) -> bytes:
        """The client's first bytes: TLS for the gateway's host, or `InvalidMessage`."""
        hello = b""
        try:
            async with asyncio.timeout(self._settings.read_timeout):
                while (host := host_of_hello(hello)) is None:
                    data = await near.take()
                    if not data:
                        raise InvalidMessage("The client left before it said anything.")
                    hello += data
        except TimeoutError as error:
            raise InvalidMessage("The client said nothing in time.") from error
        if host != ("" if _is_address(target.bare_host) else target.host.rstrip(".")):
            raise InvalidMessage("The client speaks TLS for another host than the gateway's.")
        return hello

    @asynccontextmanager
    async def _dial(
        self, target: Target
    ) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Connect to the address that opted in, whatever the name now means."""
        address = self._relay.gateways.address(target)
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                reader, writer = await asyncio.open_connection(address, target.port)
        except OSError as error:
            self._relay.gateways.forget(target)  # it may have moved, and is asked again there
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
        self._greeted = False

    async def take(self) -> bytes:
        return await self._reader.read(_CHUNK)

    async def give(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def admit(self) -> None:
        """It hears of it when the gateway answers."""

    async def greet(self) -> None:
        self._greeted = True
        await self.give(_status_line(Response(HTTPStatus.OK)))

    async def refuse(self, answer: Response) -> None:
        if not self._greeted:
            await self.give(_status_line(answer))


class _WebSocket:
    """A client that opened a WebSocket; `code` is what it is closed with."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.code = _NORMAL

    async def take(self) -> bytes:
        message = await self._receive()
        return (message.get("bytes") or b"") if message["type"] == "websocket.receive" else b""

    async def give(self, data: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": data})

    async def admit(self) -> None:
        await self._send({"type": "websocket.accept"})

    async def greet(self) -> None:
        """It may send before the gateway answers."""

    async def refuse(self, answer: Response) -> None:
        later = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        self.code = _TRY_LATER if later else _POLICY


async def _pump(
    take: Callable[[], Awaitable[bytes]], give: Callable[[bytes], Awaitable[None]]
) -> None:
    left = TUNNEL_LIMIT
    while left > 0 and (data := await take()):
        left -= len(data)
        await give(data)


def _is_address(host: str) -> bool:
    """TLS names no host that is an address (RFC 6066 §3)."""
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
