"""What a server does for a connection before HTTP: limits, CONNECT, and ending stalled ones.

ASGI knows neither CONNECT nor connections; uvicorn takes a protocol of ours in its place.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, cast

from uvicorn import Config
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.server import ServerState

from dovetail.serving.answers import RETRY_AFTER

HEAD_LIMIT = 8_192
"""Bytes of a CONNECT request."""
_GOODBYE = 0.5
"""Seconds for a client to agree that a connection ends."""

_HTTP = cast("Callable[..., asyncio.Protocol]", AutoHTTPProtocol)
_CONNECT = b"CONNECT "
_FULL = (
    f"HTTP/1.1 503 Service Unavailable\r\nretry-after: {RETRY_AFTER}\r\n"
    "content-length: 0\r\nconnection: close\r\n\r\n"
).encode()


class Tunnels(Protocol):
    """Who takes connections that begin with CONNECT."""

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one of them, and close it."""
        ...


def none() -> Tunnels | None:
    """For a server that opens no tunnels: CONNECT is a request like any other."""
    return None


class Doorkeeper:
    """Makes one `_Door` for each connection; give it to uvicorn as its HTTP protocol."""

    def __init__(
        self, *, limit: int, seconds: float, tunnels: Callable[[], Tunnels | None] = none
    ) -> None:
        """At most `limit` connections; one that sends no request for `seconds` is closed."""
        self.seconds = seconds
        self.tunnels = tunnels
        self.at_door: set[_Door] = set()
        self._limit = limit
        self._inside: ServerState | None = None
        self._tunnelling: set[asyncio.Task[None]] = set()

    def __call__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.Protocol:
        """What uvicorn calls for each connection."""

        def speak_http() -> asyncio.Protocol:
            return _HTTP(config=config, server_state=server_state, app_state=app_state)

        self._inside = server_state
        used = len(server_state.connections) + len(self.at_door) + len(self._tunnelling)
        return _Door(self, speak_http, full=used >= self._limit)

    def close(self) -> None:
        """Send away who has said nothing yet, and who does not hang up once they were answered."""
        for door in tuple(self.at_door):
            door.close()
        if self._inside is not None and self._inside.connections:
            asyncio.get_running_loop().call_later(_GOODBYE, self._hang_up)

    def _hang_up(self) -> None:
        """End what is closing and has nothing more to send: a client need not agree to it in TLS.

        asyncio would wait for that longer than the server has to end.
        """
        if self._inside is None or not self._inside.connections:
            return
        for protocol in tuple(self._inside.connections):
            if protocol.transport.is_closing() and not protocol.transport.get_write_buffer_size():
                protocol.transport.abort()
        asyncio.get_running_loop().call_later(_GOODBYE, self._hang_up)

    def tunnel(self, transport: asyncio.Transport, data: bytes, tunnels: Tunnels) -> None:
        """Go on with this connection as a tunnel."""

        def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(tunnels.connect(reader, writer))
            self._tunnelling.add(task)
            task.add_done_callback(self._tunnelling.discard)

        reader = asyncio.StreamReader(limit=HEAD_LIMIT)
        _hand_over(transport, asyncio.StreamReaderProtocol(reader, start), data)


class _Door(asyncio.Protocol):
    """Holds a connection until its first bytes tell what it wants to be."""

    def __init__(
        self, keeper: Doorkeeper, speak_http: Callable[[], asyncio.Protocol], *, full: bool
    ) -> None:
        self._keeper = keeper
        self._speak_http = speak_http
        self._full = full
        self._seen = b""
        self._transport: asyncio.Transport | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one but in name
        if self._full:
            self._transport.write(_FULL)
            self._transport.close()
            return
        self._keeper.at_door.add(self)
        self._alarm = asyncio.get_running_loop().call_later(self._keeper.seconds, self.close)

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._seen += data
        begins = _CONNECT.startswith(self._seen[: len(_CONNECT)])
        tunnels = self._keeper.tunnels()
        if tunnels is None or not begins:
            self._leave()
            protocol = self._speak_http()
            _hand_over(self._transport, protocol, self._seen)
            _Stall(self._transport, protocol, self._keeper.seconds).watch()
        elif len(self._seen) >= len(_CONNECT):
            self._leave()
            self._keeper.tunnel(self._transport, self._seen, tunnels)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's name
        self._leave()

    def close(self) -> None:
        """End the connection."""
        self._leave()
        if self._transport is not None:
            self._transport.close()

    def _leave(self) -> None:
        self._keeper.at_door.discard(self)
        if self._alarm is not None:
            self._alarm.cancel()


class _Stall:
    """Closes an HTTP connection on which no request was completed for a while.

    uvicorn bounds the time between requests, but not how long one takes to arrive.
    """

    def __init__(
        self, transport: asyncio.Transport, protocol: asyncio.Protocol, seconds: float
    ) -> None:
        self._transport = transport
        self._protocol = protocol
        self._seconds = seconds
        self._last: object = self

    def watch(self) -> None:
        """Look now, and again until the connection ends or becomes a WebSocket."""
        if self._transport.is_closing() or self._transport.get_protocol() is not self._protocol:
            return
        cycle = getattr(self._protocol, "cycle", None)
        idle = cycle is None or getattr(cycle, "response_complete", True)
        if idle and cycle is self._last:
            self._transport.close()
            return
        self._last = cycle
        asyncio.get_running_loop().call_later(self._seconds, self.watch)


def _hand_over(transport: asyncio.Transport, protocol: asyncio.Protocol, data: bytes) -> None:
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    protocol.data_received(data)
