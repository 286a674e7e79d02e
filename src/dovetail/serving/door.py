"""Who is let into a server: how many connections and requests, and of one client how many."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

from uvicorn import Config
from uvicorn.server import ServerState

from dovetail.serving.answers import RETRY_AFTER, Answer, overloaded
from dovetail.serving.asgi import Scope
from dovetail.serving.connection import Connection
from dovetail.serving.heads import HEAD_LIMIT, Head
from dovetail.serving.shares import Client, Clients, Shares

BODY_LIMIT = 1 << 20
"""Bytes of a body that any application here may ask for."""
KEEP_ALIVE = 60.0
"""Seconds a connection is kept between two requests of a client."""
STREAM_LIMIT = 1 << 20
"""Bytes that a client may send into a tunnel or a WebSocket, framing included."""

_FULL = (
    f"HTTP/1.1 503 Service Unavailable\r\nretry-after: {RETRY_AFTER}\r\n"
    "content-length: 0\r\nconnection: close\r\n\r\n"
).encode()

_log = logging.getLogger(__name__)


class Tunnels(Protocol):
    """Who takes connections that ask for CONNECT."""

    async def connect(
        self,
        authority: bytes,
        client: Client | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Serve one of them, and close it."""
        ...


def none() -> Tunnels | None:
    """For a server that opens no tunnels."""
    return None


class Doorkeeper:
    """Makes a `Connection` for each that is accepted; give it to uvicorn as its HTTP protocol."""

    websocket_limit = STREAM_LIMIT

    def __init__(
        self,
        *,
        limit: int,
        seconds: float,
        per_client: int | None = None,
        clients: Clients | None = None,
        keep_alive: float = KEEP_ALIVE,
        body_limit: int = BODY_LIMIT,
        tunnels: Callable[[], Tunnels | None] = none,
    ) -> None:
        """At most `limit` connections, and requests, of one client at most `per_client`.

        A client has `seconds` to send a request, to send its body and to read what it is sent.
        """
        self.seconds = seconds
        self.keep_alive = keep_alive
        self.body_limit = body_limit
        self.closing = False
        self._tunnels = tunnels
        self._clients = clients or Clients()
        self._connections = Shares(limit, per_client)
        self._requests = Shares(limit, per_client)
        self._inside: dict[Connection, Client | None] = {}
        self._tunnelling: set[asyncio.Task[None]] = set()

    def __call__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.Protocol:
        """What uvicorn calls for each connection."""
        return Connection(self, config, server_state, app_state)

    def enter(self, connection: Connection) -> bool:
        """Let a connection in, or send it away."""
        client = self._clients.at(connection.peer)
        if self._connections.take(client):
            self._inside[connection] = client
            return True
        _log.warning(
            "A connection was refused: %d are open, or its network has its share.",
            self._connections.count,
        )
        connection.transport.write(_FULL)
        connection.transport.close()
        return False

    def leave(self, connection: Connection) -> None:
        """A connection that was let in has ended."""
        self._connections.give_back(self._inside.pop(connection))

    def begin(self, scope: Scope) -> Answer | Callable[[], None]:
        """Let a request in: what to call when it is over, or why not."""
        client = self._clients.of(scope)
        if self._requests.take(client):
            return lambda: self._requests.give_back(client)
        _log.warning(
            "A request was refused: %d are in flight, or its client has its share.",
            self._requests.count,
        )
        return overloaded("requests")

    def open_tunnel(self, connection: Connection, head: Head) -> bool:
        """Go on with a connection as a tunnel, if this server opens any."""
        tunnels = self._tunnels()
        if tunnels is None:
            return False
        client = self._inside[connection]

        def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(tunnels.connect(head.path, client, reader, writer))
            self._tunnelling.add(task)
            task.add_done_callback(self._tunnelling.discard)

        reader = asyncio.StreamReader(limit=HEAD_LIMIT)
        inner = asyncio.StreamReaderProtocol(reader, start)
        connection.become(inner, limit=STREAM_LIMIT)
        return True

    def close(self) -> None:
        """Send away who asks nothing, and soon who does not take what it was sent."""
        self.closing = True
        for connection in tuple(self._inside):
            connection.shutdown()
