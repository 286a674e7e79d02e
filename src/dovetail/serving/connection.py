"""One HTTP/1.1 connection, parsed strictly, with one request at a time (RFC 9112).

It replaces uvicorn's own protocol classes. Those queue every request that arrives, accept heads of
any size, and wait without limit for a client to read.
"""

import asyncio
import logging
import traceback
from http import HTTPStatus
from math import inf
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote_to_bytes

from uvicorn import Config
from uvicorn.server import ServerState

from dovetail.serving.asgi import MAX_DISCARDED, Scope, address_of
from dovetail.serving.deadline import Deadline
from dovetail.serving.request_body import Body
from dovetail.serving.request_cycle import Exchange
from dovetail.serving.request_head import HEAD_LIMIT, REFUSED, BadRequest, Head, HeadReader
from dovetail.serving.responses import RETRY_AFTER, Response, problem

if TYPE_CHECKING:
    from dovetail.serving.client_shares import Share
    from dovetail.serving.connection_limits import ConnectionLimiter

AHEAD_LIMIT = HEAD_LIMIT
"""Bytes that are buffered while an earlier request is answered."""
CLOSE_SECONDS = 0.5
"""Seconds for a client to read the last response before the connection closes."""
_LAST_BODY = 1.0
"""Seconds for the rest of a body once the server stops."""
_UNREAD_LIMIT = 65_536
_LEAST = 16_384
"""Bytes that a client must read within its time limit, unless it has read everything."""
_FULL = (
    f"HTTP/1.1 503 Service Unavailable\r\nretry-after: {RETRY_AFTER}\r\n"
    "content-length: 0\r\nconnection: close\r\n\r\n"
).encode()
_ASGI = {"version": "3.0", "spec_version": "2.3"}

_log = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """Speaks HTTP on a connection until that becomes a tunnel or a WebSocket."""

    def __init__(
        self,
        limiter: "ConnectionLimiter",
        config: Config,
        state: ServerState,
        app_state: dict[str, Any],
    ) -> None:
        self.peer: str | None = None
        self.introduced: tuple[str, int] | None = None  # by a proxy, as the client
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._limiter = limiter
        self._config = config
        self._state = state
        self._app_state = app_state
        self._loop = asyncio.get_running_loop()
        self._arrived = bytearray()
        self._heads = HeadReader()
        self._exchange: Exchange | None = None
        self._inner: asyncio.Protocol | None = None
        self._inner_left = 0
        self._closing = False
        self._dropped = 0
        self._reading = True
        self._writable = True
        self._admitted = False
        self._idle = False
        self._deadline = Deadline(self._give_up)
        self._stall: asyncio.TimerHandle | None = None
        self._scope: dict[str, Any] = {}
        self._last_head = REFUSED
        self._last_scope: dict[str, Any] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self.transport = cast("asyncio.Transport", transport)  # also uvloop's
        self.transport.set_write_buffer_limits(high=1, low=0)
        self._scope = {
            "client": self.introduced or address_of(transport.get_extra_info("peername")),
            "server": address_of(transport.get_extra_info("sockname")),
            "scheme": "https" if transport.get_extra_info("sslcontext") else "http",
        }
        self.peer = self._scope["client"] and self._scope["client"][0]
        if self._limiter.blocks(self.peer):
            self.transport.abort()
            return
        self._admitted = self._limiter.enter(self, self.peer)
        if self._admitted:
            self._state.connections.add(cast("Any", self))
            self._deadline.put_off(self._limiter.seconds)
        else:
            self.transport.write(_FULL)
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._inner is not None:
            self._pass_on(data)
        elif self._closing:
            self._dropped += len(data)
            if self._dropped > MAX_DISCARDED:
                self.transport.abort()
        elif self._admitted:
            if self._idle:
                self._idle = False
                self._deadline.put_off(self._limiter.seconds)
            self._arrived += data
            self._advance()

    def eof_received(self) -> bool | None:
        """See asyncio. A client that stops sending gets no answer."""
        return self._inner.eof_received() if self._inner is not None else None

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._deadline.put_off(None)
        self._deadline.cancel()
        if self._stall is not None:
            self._stall.cancel()
        self._state.connections.discard(cast("Any", self))
        if self._exchange is not None:
            self._exchange.lost()
        if self._inner is not None:
            self._inner.connection_lost(exc)
        if self._admitted:
            self._admitted = False
            self._limiter.leave(self)

    def pause_writing(self) -> None:
        """See asyncio: the write buffer is full."""
        self._writable = False
        if self._exchange is not None:
            self._exchange.pause()
        if self._inner is not None:
            self._inner.pause_writing()
        self._start_stall_timer()

    def resume_writing(self) -> None:
        """See asyncio: the write buffer has room again."""
        self._writable = True
        if self._stall is not None:
            self._stall.cancel()
        if self._exchange is not None:
            self._exchange.resume()
        if self._inner is not None:
            self._inner.resume_writing()
        elif not self._closing:
            self._advance()

    def shutdown(self) -> None:
        """Finish the current request and take no more; uvicorn calls this when it stops."""
        self._limiter.closing = True
        if self._inner is not None:
            return
        if self._exchange is None:
            self._end()
        else:
            self._exchange.keep_alive = False
            if not self._exchange.body.done:
                self._deadline.put_off(_LAST_BODY)
        if not self._writable:
            self._start_stall_timer()

    def evict(self) -> None:
        """Close, because another client gets this place."""
        if self._exchange is None and self._inner is None and self._writable:
            self._end()
        else:
            self.transport.abort()

    def _advance(self) -> None:
        """Process the bytes that have arrived."""
        try:
            while not self._closing and not self.transport.is_closing():
                if self._exchange is not None:
                    if not self._exchange.body.done:
                        self._feed(self._exchange)
                    break
                if not self._writable:
                    break
                head = self._heads.take(self._arrived)
                if head is None:
                    break
                self._begin(head)
        except BadRequest as error:
            self._refuse(error)
        self._update_reading()

    def _begin(self, head: Head) -> None:
        if head.method == "CONNECT" and self._limiter.open_tunnel(self, head):
            return
        if head.websocket and self._config.ws_protocol_class is not None:
            self._become_websocket(head)
            return
        if head.method == "CONNECT":
            raise BadRequest(HTTPStatus.NOT_IMPLEMENTED, "This server opens no tunnels.")
        exchange = Exchange(
            head,
            Body(head.length, limit=self._limiter.body_limit),
            write=self._write,
            wants_more=self._update_reading,
            fields=self._state.default_headers,
        )
        self._exchange = exchange
        scope = self._scope_of(head)
        share = self._limiter.begin(scope, self)
        if isinstance(share, Response):
            exchange.answer(share)
            self._finish(exchange)
            return
        self._deadline.put_off(
            None if exchange.body.done else self._limiter.seconds + CLOSE_SECONDS
        )
        task = self._loop.create_task(self._serve(exchange, scope, share))
        task.add_done_callback(self._state.tasks.discard)
        self._state.tasks.add(task)

    def _scope_of(self, head: Head) -> Scope:
        fixed = self._last_scope
        if head is not self._last_head:
            fixed = {
                "type": "http",
                "asgi": _ASGI,
                "http_version": head.version,
                "method": head.method,
                "root_path": "",
                "path": unquote_to_bytes(head.path).decode("utf-8", "replace"),
                "raw_path": head.path,
                "query_string": head.query,
                **self._scope,
            }
        if head is self._heads.last:  # requests mostly repeat it
            self._last_head, self._last_scope = head, fixed
        return fixed | {"headers": head.fields.copy(), "state": self._app_state.copy()}

    async def _serve(self, exchange: Exchange, scope: Scope, share: "Share") -> None:
        try:
            await cast("Any", self._config).loaded_app(scope, exchange.receive, exchange.send)
        except Exception as error:  # noqa: BLE001  # a bug must not stop the server
            # Not the error's own text, which could quote the request (P4).
            where = "".join(traceback.format_tb(error.__traceback__))
            _log.error("A request failed with %s at\n%s", type(error).__name__, where)
        finally:
            share.end()
            self._finish(exchange)

    def _finish(self, exchange: Exchange) -> None:
        """Continue after a response, or close if the application did not finish it."""
        if self._exchange is not exchange or exchange.gone:
            return
        if not exchange.started:
            exchange.answer(problem(HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed."))
        self._state.total_requests += 1
        if not exchange.answered:
            self._end()
        elif exchange.body.done and exchange.keep_alive:
            self._exchange = None
            self._idle = not self._arrived
            self._deadline.put_off(
                self._limiter.keep_alive if self._idle else self._limiter.seconds
            )
            if self._idle:
                self._update_reading()
            else:
                self._loop.call_soon(self._advance)
        elif exchange.keep_alive and (exchange.body.left or inf) <= MAX_DISCARDED:
            self._deadline.put_off(self._limiter.seconds)
            self._advance()
        else:
            self._close_gracefully()

    def _feed(self, exchange: Exchange) -> None:
        """Pass the body's bytes to the exchange."""
        data = exchange.body.take(self._arrived)
        if data or exchange.body.done:
            exchange.arrived(data)
        if not exchange.body.done:
            return
        if exchange.answered:  # the rest of a body after an early answer
            self._finish(exchange)
        else:
            self._deadline.put_off(None)

    def _refuse(self, error: BadRequest) -> None:
        """Answer a request that cannot be parsed, and read nothing after it."""
        exchange = self._exchange
        if exchange is None or not exchange.started:
            Exchange(
                REFUSED,
                Body(0, limit=0),
                write=self._write,
                wants_more=self._update_reading,
                fields=self._state.default_headers,
            ).answer(problem(error.status, str(error)))
        self._close_gracefully()

    def _close_gracefully(self) -> None:
        """Close the connection so that the client can read the last response (RFC 9112 §9.6)."""
        if self._exchange is not None and not self._exchange.answered:
            self._exchange.lost()
        self._closing = True
        self._arrived.clear()
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._deadline.put_off(CLOSE_SECONDS)
            self._update_reading()
        else:
            self._end()

    def _end(self) -> None:
        """Close, and abort if the client does not take part in the TLS closure."""
        if not self.transport.is_closing():  # a second close would break asyncio's TLS
            self.transport.close()
        self._deadline.put_off(CLOSE_SECONDS)

    def _update_reading(self) -> None:
        """Pause or resume reading, by how much is buffered."""
        exchange = self._exchange
        if exchange is None or self._closing:
            wanted = self._closing or self._writable or not self._arrived
        elif exchange.body.done:
            wanted = not self._arrived
        else:
            wanted = exchange.unread < _UNREAD_LIMIT
        if exchange is not None and exchange.body.done and len(self._arrived) > AHEAD_LIMIT:
            exchange.keep_alive = False
            self._arrived.clear()
        if wanted is self._reading or self.transport.is_closing() or self._inner is not None:
            return
        self._reading = wanted
        if wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def _write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    def _become_websocket(self, head: Head) -> None:
        inner = cast("Any", self._config.ws_protocol_class)(
            config=self._config, server_state=self._state, app_state=self._app_state
        )
        path = head.path + (b"?" + head.query if head.query else b"")
        lines = [b"GET %b HTTP/1.1" % path, *(b"%b: %b" % each for each in head.fields), b"", b""]
        self.become(inner, b"\r\n".join(lines), limit=self._limiter.websocket_limit)

    def become(self, inner: asyncio.Protocol, data: bytes = b"", *, limit: int) -> None:
        """Hand the connection to another protocol; the client may send it `limit` bytes."""
        rest = data + bytes(self._arrived)
        self._arrived.clear()
        self._deadline.put_off(None)
        self._state.connections.discard(cast("Any", self))
        if not self._reading:
            self.transport.resume_reading()
        self._inner = inner
        self._inner_left = limit + len(data)
        inner.connection_made(self.transport)
        if rest:
            self._pass_on(rest)

    def _pass_on(self, data: bytes) -> None:
        self._inner_left -= len(data)
        if self._inner_left < 0:
            self.transport.abort()
        elif self._inner is not None:
            self._inner.data_received(data)

    def _give_up(self) -> None:
        if self._exchange is not None and not self._exchange.answered:
            self._exchange.lost()
        if self.transport.is_closing() and not self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self._end()

    def _start_stall_timer(self) -> None:
        """Start the timer that closes the connection of a client that does not read."""
        if self._stall is not None:
            self._stall.cancel()
        left = self.transport.get_write_buffer_size()
        seconds = CLOSE_SECONDS if self._limiter.closing else self._limiter.seconds
        self._stall = self._loop.call_later(seconds, self._check_stall, left)

    def _check_stall(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left and left > before - _LEAST:
            self.transport.abort()
        elif left:
            self._start_stall_timer()
