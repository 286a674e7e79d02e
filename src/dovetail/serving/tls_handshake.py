"""The TLS handshake of a connection, with a time limit, counted from its first packet.

uvicorn gives a handshake asyncio's 60 seconds, and counts a connection only afterwards.
"""

import asyncio
import ssl
from typing import TYPE_CHECKING, cast

from dovetail.serving.asgi import address_of
from dovetail.serving.connection import CLOSE_SECONDS, Connection

if TYPE_CHECKING:
    from dovetail.serving.connection_limits import ConnectionLimiter


class Handshake(asyncio.Protocol):
    """Becomes a `Connection` after a successful handshake; otherwise it hangs up."""

    def __init__(
        self, limiter: "ConnectionLimiter", context: ssl.SSLContext, connection: Connection
    ) -> None:
        """The handshake has the time limit of a request."""
        self._limiter = limiter
        self._context = context
        self._connection = connection
        self._hello = bytearray()
        self._early = bytearray()
        self._agrees = False
        self.peer: str | None = None
        """The IP address of the other side."""
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._agreeing: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast("asyncio.Transport", transport)
        address = address_of(transport.get_extra_info("peername"))
        self.peer = None if address is None else address[0]
        if self._limiter.blocks(self.peer) or not self._limiter.enter(self, self.peer):
            self._transport.abort()
            return
        self._transport.pause_reading()
        self._agreeing = asyncio.get_running_loop().create_task(self._agree())

    def data_received(self, data: bytes) -> None:
        """See asyncio: bytes that came before TLS reads, or with the end of the handshake."""
        if self._agrees:
            self._early += data
        else:  # uvloop reads although reading was paused
            self._hello += data

    def shutdown(self) -> None:
        """Hang up: there is no request yet."""
        if self._agreeing is not None:
            self._agreeing.cancel()

    def evict(self) -> None:
        """Close, because another client gets this place."""
        self.shutdown()

    async def _agree(self) -> None:
        agreed = None
        loop = asyncio.get_running_loop()
        starting = loop.create_task(
            loop.start_tls(
                self._transport,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=self._limiter.seconds,
                ssl_shutdown_timeout=CLOSE_SECONDS,
            )
        )
        try:
            # Until TLS reads the transport.
            while self._transport.get_protocol() is self and not starting.done():  # noqa: ASYNC110
                await asyncio.sleep(0)
            loop.call_soon(self._hand_in)
            agreed = await starting
        except (OSError, RuntimeError):  # no TLS, a timeout, or the client has gone
            pass
        finally:
            starting.cancel()
            if agreed is None or agreed.is_closing():
                self._limiter.leave(self)
                self._transport.abort()
            else:
                self._hand_over(agreed)

    def _hand_in(self) -> None:
        """Give TLS the bytes that came before it was there."""
        self._agrees = True
        protocol = self._transport.get_protocol()
        if protocol is self:  # it could not begin
            return
        tls = cast("asyncio.BufferedProtocol", protocol)
        while self._hello and not self._transport.is_closing():
            room = memoryview(tls.get_buffer(len(self._hello)))
            size = min(len(room), len(self._hello))
            room[:size] = self._hello[:size]
            del self._hello[:size]
            tls.buffer_updated(size)

    def _hand_over(self, transport: asyncio.Transport) -> None:
        self._limiter.pass_on(self, self._connection)
        transport.set_protocol(self._connection)
        self._connection.connection_made(transport)
        if self._early:
            self._connection.data_received(bytes(self._early))
