"""A local port through which BDK uses our connection to an Electrum server.

BDK's client supports no pinned certificate, limits neither the size nor the time of a line, and
aborts the process at a malformed answer about headers. So BDK connects without TLS to a port of
this machine. The bridge accepts one connection and forwards complete and valid lines through our
connection.
"""

import selectors
import socket
import ssl
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import msgspec

from dovetail.wallets.electrum.connection import connect, hang_up
from dovetail.wallets.server_url import ChainServer

_CHUNK = 65_536
_MAX_LINE = 16_000_000
_HEADERS = "blockchain.block.headers"
_HEADER_DIGITS = 160


@contextmanager
def bridge(server: ChainServer, *, timeout: float) -> Generator[str]:
    """Yield a URL on this machine that leads to the server during the block.

    `timeout` is in seconds for one answer. Raises `ChainError` if the server cannot be reached;
    later errors close the connection.
    """
    far = connect(server, timeout=timeout)
    try:
        with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
            forwarder = _Forwarder(listener, far, timeout)
            thread = threading.Thread(target=forwarder.run, name="dovetail-bridge", daemon=True)
            thread.start()
            try:
                yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                forwarder.stop()
                thread.join()
    finally:
        far.close()


class _Forwarder:
    def __init__(self, listener: socket.socket, far: socket.socket, timeout: float) -> None:
        self._listener = listener
        self._far = far
        self._timeout = timeout
        self._wake, self._woken = socket.socketpair()
        self._guard = _Guard()
        self._asked, self._told = bytearray(), bytearray()
        self._line_started_at = 0.0

    def stop(self) -> None:
        """End the bridge at once."""
        self._wake.close()

    def run(self) -> None:
        try:
            with self._woken, self._listener, selectors.DefaultSelector() as selector:
                selector.register(self._woken, selectors.EVENT_READ)
                selector.register(self._listener, selectors.EVENT_READ)
                ready = selector.select(self._timeout)
                if self._listener not in (key.fileobj for key, _ in ready):
                    return
                near, _ = self._listener.accept()
                selector.unregister(self._listener)
                self._listener.close()
                try:
                    self._pass_on(near)
                finally:
                    hang_up(near)
        except OSError:
            return  # one side hung up; the return closes the other
        finally:
            hang_up(self._far)

    def _pass_on(self, near: socket.socket) -> None:
        near.settimeout(self._timeout)
        with selectors.DefaultSelector() as selector:
            for each in (self._woken, near, self._far):
                selector.register(each, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select(self._timeout)}
                if self._woken in ready or self._takes_too_long():
                    return
                if near in ready and not self._ask(near):
                    return
                if self._far in ready and not self._answer(near):
                    return

    def _ask(self, near: socket.socket) -> bool:
        chunk = near.recv(_CHUNK)
        for line in _lines(self._asked, chunk):
            self._guard.note(line)
            self._far.settimeout(self._timeout)
            self._far.sendall(line)
        return bool(chunk)

    def _answer(self, near: socket.socket) -> bool:
        """Forward all data that arrived; TLS may hold some that no selector sees."""
        while (chunk := self._heard()) is not None:
            if not self._told:
                self._line_started_at = time.monotonic()
            for line in _lines(self._told, chunk):
                if not self._guard.allows(line):
                    return False
                near.sendall(line)
                self._line_started_at = time.monotonic()
            if not chunk or len(self._told) > _MAX_LINE:
                return False
        return True

    def _heard(self) -> bytes | None:
        """Return the available bytes, or None, as after TLS's own messages."""
        self._far.settimeout(0)
        try:
            return self._far.recv(_CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None

    def _takes_too_long(self) -> bool:
        """Whether a line has been incomplete for too long."""
        return bool(self._told) and time.monotonic() - self._line_started_at > self._timeout


class _Request(msgspec.Struct, frozen=True):
    id: int
    method: str


class _Reply(msgspec.Struct, frozen=True):
    id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")


class _Headers(msgspec.Struct, frozen=True):
    """Headers: one string up to version 1.4 of the protocol, a list from 1.6 on."""

    count: int
    hex: str | None = None
    headers: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether the number and size of the headers are right."""
        if self.hex is not None:
            return len(self.hex) == self.count * _HEADER_DIGITS
        whole = all(len(header) == _HEADER_DIGITS for header in self.headers)
        return whole and len(self.headers) == self.count


class _Guard:
    """Blocks answers that would abort BDK, by checking them against its requests."""

    def __init__(self) -> None:
        self._headers: set[int] = set()

    def note(self, line: bytes) -> None:
        """Record a request of BDK."""
        request = msgspec.json.decode(line, type=_Request)
        if request.method == _HEADERS:
            self._headers.add(request.id)

    def allows(self, line: bytes) -> bool:
        """Whether BDK can read an answer."""
        try:
            reply = msgspec.json.decode(line, type=_Reply)
            if reply.id not in self._headers or bytes(reply.result) == b"null":
                return True
            headers = msgspec.json.decode(reply.result, type=_Headers)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        return headers.sound


def _lines(pending: bytearray, chunk: bytes) -> list[bytes]:
    """Return the lines that a chunk completes, with line ends; keep the rest in `pending`."""
    pending += chunk
    whole = chunk.rfind(b"\n")
    if whole < 0:
        return []
    end = len(pending) - len(chunk) + whole + 1
    lines = bytes(pending[:end]).splitlines(keepends=True)
    del pending[:end]
    return lines
