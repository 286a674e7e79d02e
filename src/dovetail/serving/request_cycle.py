"""One request and its answer, as ASGI sees them."""

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
    """Gives an application the request as it arrives, and writes what it answers."""

    def __init__(
        self,
        head: Head,
        body: Body,
        *,
        write: Write,
        wants_more: Callable[[], None],
        fields: Fields,
    ) -> None:
        """`fields` go into every answer; `wants_more` is called when the body is waited for."""
        self.head = head
        self.body = body
        self.keep_alive = head.keep_alive
        self.answered = False
        self.gone = False
        self._write = write
        self._wants_more = wants_more
        self._fields = fields
        self._unread = bytearray()
        self._news: asyncio.Event | None = None
        self._read: asyncio.Event | None = None
        self._told_all = False
        self._must_continue = head.continues
        self._start: Message | None = None
        self._left: int | None = None
        """Bytes that the answer still owes; None if it goes in chunks, or until the end."""
        self._chunked = head.version == "1.1"
        self._started = False

    @property
    def unread(self) -> int:
        """Bytes of the body that arrived and that the application has not taken."""
        return len(self._unread)

    @property
    def started(self) -> bool:
        """Whether something of the answer has left."""
        return self._started

    def arrived(self, data: bytes) -> None:
        """More of the body, or its end, is here."""
        if not self.answered:
            self._unread += data
        self._must_continue = self._must_continue and not data
        self._tell()

    def lost(self) -> None:
        """The client has gone."""
        self.gone = True
        self.resume()
        self._tell()

    def pause(self) -> None:
        """The client does not read now."""
        if self._read is None:
            self._read = asyncio.Event()

    def resume(self) -> None:
        """The client has read all, or has gone."""
        if self._read is not None:
            self._read.set()
            self._read = None

    async def receive(self) -> Message:
        """ASGI's receive."""
        if not self._told_all and not self.gone and not self.answered:
            if self._must_continue:
                self._must_continue = False
                self._write(CONTINUE)
            self._wants_more()
        while not (self.gone or self.answered or self._has_news()):
            self._news = self._news or asyncio.Event()
            await self._news.wait()
        if self.gone or self.answered:
            return {"type": "http.disconnect"}
        data = bytes(self._unread)
        self._unread.clear()
        self._told_all = self.body.done
        return {"type": "http.request", "body": data, "more_body": not self.body.done}

    async def send(self, message: Message) -> None:
        """ASGI's send: the head of the answer leaves with the first bytes of its body."""
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
        """Send a whole answer in place of the application's."""
        fields = [*answer.headers, (b"content-length", str(len(answer.body)).encode())]
        self._start = {"status": answer.status, "headers": fields}
        self._send_body(answer.body, more=False)

    def _tell(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    def _has_news(self) -> bool:
        return bool(self._unread) or (self.body.done and not self._told_all)

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
                raise RuntimeError("The body is not as long as its head says.")
        self._started = True
        self.answered = not more
        parts.append(data)
        self._write(b"".join(parts))
        self._tell()

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
