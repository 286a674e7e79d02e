"""Limits on connections and requests at once, in all and for each client."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Protocol, TypeAlias, cast

from uvicorn import Config
from uvicorn.server import ServerState

from dovetail.serving.asgi import Scope
from dovetail.serving.client_shares import Client, Clients, Share, Shares
from dovetail.serving.connection import Connection
from dovetail.serving.proxy_protocol import Introduced
from dovetail.serving.request_head import HEAD_LIMIT, Head
from dovetail.serving.responses import Response, overloaded, problem
from dovetail.serving.tls_handshake import Handshake

BODY_LIMIT = 1 << 20
"""The largest body in bytes that any application here reads."""
KEEP_ALIVE = 60.0
"""Seconds that an idle connection is kept open between two requests."""
STREAM_LIMIT = 1 << 20
"""Bytes that a client may send through a tunnel or a WebSocket, framing included."""

AnyConnection: TypeAlias = Connection | Handshake | Introduced
"""A connection in any phase; it holds one place."""

_BLOCKED = "This network is not served here; ask the operator."

_log = logging.getLogger(__name__)


class Tunnels(Protocol):
    """Serves connections that ask for CONNECT."""

    async def connect(
        self,
        authority: bytes,
        client: Client | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Serve one connection, and close it."""
        ...


def no_tunnels() -> Tunnels | None:
    """Return no tunnels, for a server that opens none."""
    return None


class ConnectionLimiter:
    """Creates and limits connections. Give it to uvicorn as its HTTP protocol."""

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
        tunnels: Callable[[], Tunnels | None] = no_tunnels,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Allow `limit` connections and `limit` requests at once, and `per_client` for a client.

        A client has `seconds` to agree on TLS, to send a request, to send its body and to read the
        response. Pass `tls` here and not to uvicorn.
        """
        self.introductions = False
        """Whether connections of the operator's own proxies begin with a header of the PROXY
        protocol. TLS must then end at the proxy."""
        self.refused: Callable[[str], object] = lambda _: None
        """Gets the name of a limit that was reached."""
        self.seconds = seconds
        self.keep_alive = keep_alive
        self.body_limit = body_limit
        self.closing = False
        self._tunnels = tunnels
        self._tls = tls
        self._clients = clients or Clients()
        self._connections = Shares(limit, per_client)
        self._requests = Shares(limit, per_client)
        self._admitted: dict[AnyConnection, Share] = {}
        self._tunnelling: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        """The number of open connections."""
        return self._connections.count

    def __call__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.Protocol:
        """Create the protocol of a new connection; uvicorn calls this."""
        connection = Connection(self, config, server_state, app_state)
        if self.introductions:
            return Introduced(self, connection)
        return connection if self._tls is None else Handshake(self, self._tls, connection)

    def adopt(self, *, limit: int, per_client: int, seconds: float, keep_alive: float) -> None:
        """Change the limits of connections and requests to come."""
        self._connections.resize(limit, per_client)
        self._requests.resize(limit, per_client)
        self.seconds, self.keep_alive = seconds, keep_alive

    def blocks(self, peer: str | None) -> bool:
        """Whether an IP address belongs to a network that is refused."""
        blocked = peer is not None and peer in self._clients.blocked
        if blocked:
            self.refused("blocked networks")
        return blocked

    def is_proxy(self, peer: str) -> bool:
        """Whether an IP address belongs to one of the operator's own proxies."""
        return self._clients.is_proxy(peer)

    def expel(self) -> None:
        """Close the connections of networks that are refused by now."""
        for connection in tuple(self._admitted):
            if connection.peer is not None and connection.peer in self._clients.blocked:
                connection.evict()

    def enter(self, connection: AnyConnection, peer: str | None) -> bool:
        """Whether a connection from the IP address `peer` gets a place, or holds one already."""
        if connection in self._admitted:
            return True
        if self.closing:
            return False
        share = self._connections.take(self._clients.at(peer), connection.evict)
        if share is not None:
            self._admitted[connection] = share
            return True
        self.refused("connections")
        _log.warning(
            "A connection was refused: %d are open, or its client has reached its limit.",
            self._connections.count,
        )
        return False

    def pass_on(self, connection: AnyConnection, other: AnyConnection) -> None:
        """Move the place of one connection to another."""
        share = self._admitted[other] = self._admitted.pop(connection)
        share.evict = other.evict

    def leave(self, connection: AnyConnection) -> None:
        """Free the place of a connection that has ended."""
        self._admitted.pop(connection).end()

    def begin(self, scope: Scope, connection: AnyConnection) -> Response | Share:
        """Take a place for a request and return it, or return the error response. End it later."""
        if self._clients.refuses(scope):
            self.refused("blocked networks")
            return problem(HTTPStatus.FORBIDDEN, _BLOCKED)
        share = self._requests.take(self._clients.of(scope), connection.evict)
        if share is not None:
            return share
        self.refused("requests in flight")
        _log.warning(
            "A request was refused: %d are in flight, or its client has reached its limit.",
            self._requests.count,
        )
        return overloaded("requests")

    def open_tunnel(self, connection: Connection, head: Head) -> bool:
        """Turn a connection into a tunnel, if this server opens tunnels."""
        tunnels = self._tunnels()
        if tunnels is None:
            return False
        client = cast("Client | None", self._admitted[connection].client)

        def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(tunnels.connect(head.path, client, reader, writer))
            self._tunnelling.add(task)
            task.add_done_callback(self._tunnelling.discard)

        reader = asyncio.StreamReader(limit=HEAD_LIMIT)
        inner = asyncio.StreamReaderProtocol(reader, start)
        connection.become(inner, limit=STREAM_LIMIT)
        return True

    def close(self) -> None:
        """Close idle connections now, and slow readers soon."""
        self.closing = True
        for connection in tuple(self._admitted):
            connection.shutdown()
