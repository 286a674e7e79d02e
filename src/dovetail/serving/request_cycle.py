"""One request and its response, as ASGI sees them (RFC 9112)."""

import asyncio
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeAlias

from dovetail.serving.asgi import Message
from dovetail.serving.request_body import Body
from dovetail.serving.request_head import Fields, Head
from dovetail.serving.responses import Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_NO_TEXT = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NO_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
_STATUS = {int(each): f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode() for each in HTTPStatus}

Write: TypeAlias = Callable[[bytes], None]


class Exchange:
    """Passes an arriving request to the application, and writes the response."""

    def __init__(
        self,
        head: Head,
        body: Body,
        *,
        write: Write,
        wants_more: Callable[[], None],
        fields: Fields,
    ) -> None:
        """`fields` go into every response. `wants_more` is called when the application waits."""
        self.head = head
        self.body = body
        self.keep_alive = head.keep_alive
        self.answered = False
        self.gone = False
        self._write = write
        self._wants_more = wants_more
        self._fields = fields
        self._unread = bytearray()
        self._body_event: asyncio.Event | None = None
        self._read: asyncio.Event | None = None
        self._end_received = False
        self._must_continue = head.continues
        self._start: Message | None = None
        self._left: int | None = None
        """Bytes of the response still to send; None if it is chunked or ends with the
        connection."""
        self._chunked = head.version == "1.1"
        self._started = False

    @property
    def unread(self) -> int:
        """Bytes of the body that have arrived and the application has not read."""
        return len(self._unread)

    @property
    def started(self) -> bool:
        """Whether a part of the response was sent."""
        return self._started

    def arrived(self, data: bytes) -> None:
        """Take more of the body, or its end."""
        if not self.answered:
            self._unread += data
        self._must_continue = self._must_continue and not data
        self._notify()

    def lost(self) -> None:
        """Record that the client has disconnected."""
        self.gone = True
        self.resume()
        self._notify()

    def pause(self) -> None:
        """Stop sending: the client does not read now."""
        if self._read is None:
            self._read = asyncio.Event()

    def resume(self) -> None:
        """Send again: the client has read, or has disconnected."""
        if self._read is not None:
            self._read.set()
            self._read = None

    async def receive(self) -> Message:
        """ASGI's receive."""
        if not self._end_received and not self.gone and not self.answered:
            if self._must_continue:
                self._must_continue = False
                self._write(CONTINUE)
            self._wants_more()
        while not (self.gone or self.answered or self._has_message()):
            self._body_event = self._body_event or asyncio.Event()
            await self._body_event.wait()
        if self.gone or self.answered:
            return {"type": "http.disconnect"}
        data = bytes(self._unread)
        self._unread.clear()
        self._end_received = self.body.done
        return {"type": "http.request", "body": data, "more_body": not self.body.done}

    async def send(self, message: Message) -> None:
        """ASGI's send: the head of the response is sent with the first bytes of its body."""
        while self._read is not None:
            await self._read.wait()
        if self.gone:
            return
        match message["type"]:
            case "http.response.start" if self._start is None:
                self._start = message
            case "http.response.body" if self._start is not None and not self.answered:
                self._send_body(message.get("body", b""), more=message.get("more_body", False))
            case kind:
                raise RuntimeError(f"{kind} is out of turn.")

    def answer(self, answer: Response) -> None:
        """Send a complete response instead of the application's."""
        fields = [*answer.headers, (b"content-length", str(len(answer.body)).encode())]
        self._start = {"status": answer.status, "headers": fields}
        self._send_body(answer.body, more=False)

    def _notify(self) -> None:
        if self._body_event is not None:
            self._body_event.set()
            self._body_event = None

    def _has_message(self) -> bool:
        return bool(self._unread) or (self.body.done and not self._end_received)

    def _send_body(self, data: bytes, *, more: bool) -> None:
        parts: list[bytes] = []
        if not self._started and self._start is not None:
            parts = self._head_of(self._start)
        if self.head.method == "HEAD":
            data, self._left = b"", 0
        elif self._left is None and self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
            data += b"" if more else b"0\r\n\r\n"
        elif self._left is not None:
            self._left -= len(data)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("The body is longer or shorter than its Content-Length.")
        self._started = True
        self.answered = not more
        parts.append(data)
        self._write(b"".join(parts))
        self._notify()

    def _head_of(self, start: Message) -> list[bytes]:
        status = int(start["status"])
        lines = [_STATUS.get(status) or b"HTTP/1.1 %d \r\n" % status]
        framed = close = False
        for name, value in (*self._fields, *start.get("headers", ())):
            known = name.lower()
            if known == b"content-length":
                framed, self._left = True, int(value)
            elif known == b"connection":
                close = close or value.lower() == b"close"
            lines.append(b"%b: %b\r\n" % (name, value))
        self.keep_alive = self.keep_alive and not close
        if not (self.keep_alive or close):
            lines.append(b"connection: close\r\n")
        if not framed:
            if status in _NO_BODY:
                self._left = 0
            elif self._chunked:
                lines.append(b"transfer-encoding: chunked\r\n")
        head = b"".join(lines)
        if _NO_TEXT.search(head) or not head.count(b"\r") == head.count(b"\n") == len(lines):
            raise RuntimeError("A field of the answer is malformed.")
        return [head, b"\r\n"]
