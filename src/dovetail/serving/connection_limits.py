"""Who is let into a server: how many connections and requests, and of one client how many."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, cast

from uvicorn import Config
from uvicorn.server import ServerState

from dovetail.serving.asgi import Scope
from dovetail.serving.client_shares import Client, Clients, Share, Shares
from dovetail.serving.connection import Connection
from dovetail.serving.request_head import HEAD_LIMIT, Head
from dovetail.serving.responses import Response, overloaded
from dovetail.serving.tls_handshake import Handshake

BODY_LIMIT = 1 << 20
"""Bytes of a body that any application here may ask for."""
KEEP_ALIVE = 60.0
"""Seconds a connection is kept between two requests of a client."""
STREAM_LIMIT = 1 << 20
"""Bytes that a client may send into a tunnel or a WebSocket, framing included."""

Guest: TypeAlias = Connection | Handshake
"""What has one of the places."""

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


class ConnectionLimiter:
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
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """At most `limit` connections, and requests, of one client at most `per_client`.

        A client has `seconds` to agree on TLS, to send a request, to send its body and to read
        what it is sent. `tls` is given here and not to uvicorn.
        """
        self.seconds = seconds
        self.keep_alive = keep_alive
        self.body_limit = body_limit
        self.closing = False
        self._tunnels = tunnels
        self._tls = tls
        self._clients = clients or Clients()
        self._connections = Shares(limit, per_client)
        self._requests = Shares(limit, per_client)
        self._inside: dict[Guest, Share] = {}
        self._tunnelling: set[asyncio.Task[None]] = set()

    def __call__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.Protocol:
        """What uvicorn calls for each connection."""
        connection = Connection(self, config, server_state, app_state)
        return connection if self._tls is None else Handshake(self, self._tls, connection)

    def enter(self, guest: Guest, peer: str | None) -> bool:
        """Whether one from the IP address `peer` may have a place, or has it already."""
        if guest in self._inside:
            return True
        if self.closing:
            return False
        share = self._connections.take(self._clients.at(peer), guest.give_way)
        if share is not None:
            self._inside[guest] = share
            return True
        _log.warning(
            "A connection was refused: %d are open, or its network has its share.",
            self._connections.count,
        )
        return False

    def pass_on(self, guest: Guest, other: Guest) -> None:
        """Give the place of one to another."""
        share = self._inside[other] = self._inside.pop(guest)
        share.give_way = other.give_way

    def leave(self, guest: Guest) -> None:
        """One that was let in has ended."""
        self._inside.pop(guest).end()

    def begin(self, scope: Scope, guest: Guest) -> Response | Share:
        """Let a request in: its place, to be ended when it is over, or why not."""
        share = self._requests.take(self._clients.of(scope), guest.give_way)
        if share is not None:
            return share
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
        client = cast("Client | None", self._inside[connection].client)

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
        for guest in tuple(self._inside):
            guest.shutdown()
