"""A connection until TLS is agreed on: the client's from its first packet, and for so long only.

uvicorn leaves a handshake asyncio's 60 seconds, and counts a connection once that is over.
"""

import asyncio
import ssl
from typing import TYPE_CHECKING, cast

from dovetail.serving.asgi import address_of
from dovetail.serving.connection import GOODBYE, Connection

if TYPE_CHECKING:
    from dovetail.serving.connection_limits import ConnectionLimiter


class Handshake(asyncio.Protocol):
    """Makes room for a `Connection` when TLS is agreed on; else the client is hung up on."""

    def __init__(
        self, door: "ConnectionLimiter", context: ssl.SSLContext, connection: Connection
    ) -> None:
        """The client has as long as for any other of its sayings."""
        self._door = door
        self._context = context
        self._connection = connection
        self._early = bytearray()
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._agreeing: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio; nothing is read before TLS reads it."""
        self._transport = cast("asyncio.Transport", transport)
        address = address_of(transport.get_extra_info("peername"))
        if not self._door.enter(self, address and address[0]):
            self._transport.abort()
            return
        self._transport.pause_reading()
        self._agreeing = asyncio.get_running_loop().create_task(self._agree())

    def data_received(self, data: bytes) -> None:
        """See asyncio: what came in one piece with the end of the handshake."""
        self._early += data

    def shutdown(self) -> None:
        """Hang up: nothing was asked yet."""
        if self._agreeing is not None:
            self._agreeing.cancel()

    def give_way(self) -> None:
        """Leave the place to another client."""
        self.shutdown()

    async def _agree(self) -> None:
        agreed = None
        try:
            agreed = await asyncio.get_running_loop().start_tls(
                self._transport,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=self._door.seconds,
                ssl_shutdown_timeout=GOODBYE,
            )
        except OSError:  # no TLS, none in time, or the client has gone
            pass
        finally:
            if agreed is None or agreed.is_closing():
                self._door.leave(self)
                self._transport.abort()
            else:
                self._hand_over(agreed)

    def _hand_over(self, transport: asyncio.Transport) -> None:
        self._door.pass_on(self, self._connection)
        transport.set_protocol(self._connection)
        self._connection.connection_made(transport)
        if self._early:
            self._connection.data_received(bytes(self._early))
