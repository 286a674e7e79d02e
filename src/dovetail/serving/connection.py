"""One connection of a server: HTTP/1.1 read strictly, and never more than is being answered.

It stands between uvicorn, which listens and ends, and the application. uvicorn's own protocols
queue every request that arrives, take heads of any size and wait for ever for a client to read.
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

from dovetail.serving.asgi import WORTH_READING, Scope, address_of
from dovetail.serving.deadline import Deadline
from dovetail.serving.request_body import Body
from dovetail.serving.request_cycle import Exchange
from dovetail.serving.request_head import HEAD_LIMIT, REFUSED, BadRequest, Head, HeadReader
from dovetail.serving.responses import RETRY_AFTER, Response, problem

if TYPE_CHECKING:
    from dovetail.serving.client_shares import Share
    from dovetail.serving.connection_limits import ConnectionLimiter

AHEAD_LIMIT = HEAD_LIMIT
"""Bytes that may lie here while a request before them is answered."""
GOODBYE = 0.5
"""Seconds for a client to take what was said to it last."""
_LAST_BODY = 1.0
"""Seconds for the rest of a body once the server ends: none of it was answered."""
_UNREAD_LIMIT = 65_536
_LEAST = 16_384
"""Bytes a client must read in the time it has, unless all is read then."""
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
        door: "ConnectionLimiter",
        config: Config,
        state: ServerState,
        app_state: dict[str, Any],
    ) -> None:
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._door = door
        self._config = config
        self._state = state
        self._app_state = app_state
        self._loop = asyncio.get_running_loop()
        self._arrived = bytearray()
        self._heads = HeadReader()
        self._exchange: Exchange | None = None
        self._inner: asyncio.Protocol | None = None
        self._inner_left = 0
        self._leaving = False
        self._dropped = 0
        self._reading = True
        self._writable = True
        self._let_in = False
        self._idle = False
        self._deadline = Deadline(self._give_up)
        self._stall: asyncio.TimerHandle | None = None
        self._scope: dict[str, Any] = {}
        self._last_head = REFUSED
        self._last_scope: dict[str, Any] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one but in name
        self.transport.set_write_buffer_limits(high=1, low=0)
        self._scope = {
            "client": address_of(transport.get_extra_info("peername")),
            "server": address_of(transport.get_extra_info("sockname")),
            "scheme": "https" if transport.get_extra_info("sslcontext") else "http",
        }
        peer = self._scope["client"]
        self._let_in = self._door.enter(self, peer and peer[0])
        if self._let_in:
            self._state.connections.add(cast("Any", self))
            self._deadline.put_off(self._door.seconds)
        else:
            self.transport.write(_FULL)
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._inner is not None:
            self._pass_on(data)
        elif self._leaving:
            self._dropped += len(data)
            if self._dropped > WORTH_READING:
                self.transport.abort()
        elif self._let_in:
            if self._idle:
                self._idle = False
                self._deadline.put_off(self._door.seconds)
            self._arrived += data
            self._advance()

    def eof_received(self) -> bool | None:
        """See asyncio; whoever stops sending does not wait for an answer either."""
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
        if self._let_in:
            self._let_in = False
            self._door.leave(self)

    def pause_writing(self) -> None:
        """See asyncio: something waits here for the client to read."""
        self._writable = False
        if self._exchange is not None:
            self._exchange.pause()
        if self._inner is not None:
            self._inner.pause_writing()
        self._watch_stall()

    def resume_writing(self) -> None:
        """See asyncio: it has read everything."""
        self._writable = True
        if self._stall is not None:
            self._stall.cancel()
        if self._exchange is not None:
            self._exchange.resume()
        if self._inner is not None:
            self._inner.resume_writing()
        elif not self._leaving:
            self._advance()

    def shutdown(self) -> None:
        """What uvicorn calls when it ends: answer what was asked, and no more."""
        self._door.closing = True
        if self._inner is not None:
            return
        if self._exchange is None:
            self._end()
        else:
            self._exchange.keep_alive = False
            if not self._exchange.body.done:
                self._deadline.put_off(_LAST_BODY)
        if not self._writable:
            self._watch_stall()

    def give_way(self) -> None:
        """Leave the place to another client."""
        if self._exchange is None and self._inner is None and self._writable:
            self._end()
        else:
            self.transport.abort()

    def _advance(self) -> None:
        """Go as far as what arrived allows."""
        try:
            while not self._leaving and not self.transport.is_closing():
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
        self._choose_to_read()

    def _begin(self, head: Head) -> None:
        if head.method == "CONNECT" and self._door.open_tunnel(self, head):
            return
        if head.websocket and self._config.ws_protocol_class is not None:
            self._become_websocket(head)
            return
        if head.method == "CONNECT":
            raise BadRequest(HTTPStatus.NOT_IMPLEMENTED, "No tunnels are opened here.")
        exchange = Exchange(
            head,
            Body(head.length, limit=self._door.body_limit),
            write=self._write,
            wants_more=self._choose_to_read,
            fields=self._state.default_headers,
        )
        self._exchange = exchange
        scope = self._scope_of(head)
        share = self._door.begin(scope, self)
        if isinstance(share, Response):
            exchange.answer(share)
            self._finish(exchange)
            return
        self._deadline.put_off(None if exchange.body.done else self._door.seconds + GOODBYE)
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
        if head is self._heads.last:  # its next request mostly has the same
            self._last_head, self._last_scope = head, fixed
        return fixed | {"headers": head.fields.copy(), "state": self._app_state.copy()}

    async def _serve(self, exchange: Exchange, scope: Scope, share: "Share") -> None:
        try:
            await cast("Any", self._config).loaded_app(scope, exchange.receive, exchange.send)
        except Exception as error:  # noqa: BLE001  # a fault of ours must not end the server
            # Not the error's own text, which could quote the request (P4).
            where = "".join(traceback.format_tb(error.__traceback__))
            _log.error("A request failed with %s at\n%s", type(error).__name__, where)
        finally:
            share.end()
            self._finish(exchange)

    def _finish(self, exchange: Exchange) -> None:
        """Go on after an answer, or end where the application left it unfinished."""
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
            self._deadline.put_off(self._door.keep_alive if self._idle else self._door.seconds)
            if self._idle:
                self._choose_to_read()
            else:
                self._loop.call_soon(self._advance)
        elif exchange.keep_alive and (exchange.body.left or inf) <= WORTH_READING:
            self._deadline.put_off(self._door.seconds)
            self._advance()
        else:
            self._take_leave()

    def _feed(self, exchange: Exchange) -> None:
        """Give the exchange what belongs to its body."""
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
        """Answer what is not understood, and read nothing after it."""
        exchange = self._exchange
        if exchange is None or not exchange.started:
            Exchange(
                REFUSED,
                Body(0, limit=0),
                write=self._write,
                wants_more=self._choose_to_read,
                fields=self._state.default_headers,
            ).answer(problem(error.status, str(error)))
        self._take_leave()

    def _take_leave(self) -> None:
        """End the connection so that the client sees what was said last (RFC 9112 §9.6)."""
        if self._exchange is not None and not self._exchange.answered:
            self._exchange.lost()
        self._leaving = True
        self._arrived.clear()
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._deadline.put_off(GOODBYE)
            self._choose_to_read()
        else:
            self._end()

    def _end(self) -> None:
        """Close, and see to it that the connection ends: in TLS a client need not agree to it."""
        if not self.transport.is_closing():  # asyncio's TLS forgets itself at the second time
            self.transport.close()
        self._deadline.put_off(GOODBYE)

    def _choose_to_read(self) -> None:
        """Read on unless what is here must be dealt with first."""
        exchange = self._exchange
        if exchange is None or self._leaving:
            wanted = self._leaving or self._writable or not self._arrived
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
        self.become(inner, b"\r\n".join(lines), limit=self._door.websocket_limit)

    def become(self, inner: asyncio.Protocol, data: bytes = b"", *, limit: int) -> None:
        """Let another protocol go on with this connection, which may be sent `limit` bytes."""
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

    def _watch_stall(self) -> None:
        """Hang up on a client that does not read."""
        if self._stall is not None:
            self._stall.cancel()
        left = self.transport.get_write_buffer_size()
        seconds = GOODBYE if self._door.closing else self._door.seconds
        self._stall = self._loop.call_later(seconds, self._look_at_stall, left)

    def _look_at_stall(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left and left > before - _LEAST:
            self.transport.abort()
        elif left:
            self._watch_stall()
