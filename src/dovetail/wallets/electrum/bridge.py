"""BDK's way to an Electrum server: our connection, offered to it on this machine.

BDK's client trusts a list of its own or nobody and knows no pinned certificate; it limits neither
the size of a line nor the time until it is whole; and an answer about headers whose size is not
what it says aborts the whole process. So it speaks in the clear to a port of this machine, which
takes one connection and passes lines on through ours once they are whole and sound.
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
    """The URL on this machine that leads to the server until the block is left.

    `timeout` in seconds for one answer. Raises `ChainError` when the server cannot be reached;
    what goes wrong later ends the connection.
    """
    far = connect(server, timeout=timeout)
    try:
        with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
            crossing = _Crossing(listener, far, timeout)
            thread = threading.Thread(target=crossing.run, name="dovetail-bridge", daemon=True)
            thread.start()
            try:
                yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                crossing.stop()
                thread.join()
    finally:
        far.close()


class _Crossing:
    def __init__(self, listener: socket.socket, far: socket.socket, timeout: float) -> None:
        self._listener = listener
        self._far = far
        self._timeout = timeout
        self._wake, self._woken = socket.socketpair()
        self._guard = _Guard()
        self._asked, self._told = bytearray(), bytearray()
        self._begun_at = 0.0

    def stop(self) -> None:
        """End it, whatever it waits for."""
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
            return  # a side hung up, which the other one learns by it
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
        """Pass on all that came; TLS may hold some of it where no selector sees it."""
        while (chunk := self._heard()) is not None:
            if not self._told:
                self._begun_at = time.monotonic()
            for line in _lines(self._told, chunk):
                if not self._guard.allows(line):
                    return False
                near.sendall(line)
                self._begun_at = time.monotonic()
            if not chunk or len(self._told) > _MAX_LINE:
                return False
        return True

    def _heard(self) -> bytes | None:
        """What is there at once; None for nothing, as when TLS speaks of its own affairs."""
        self._far.settimeout(0)
        try:
            return self._far.recv(_CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None

    def _takes_too_long(self) -> bool:
        """Whether a line has begun and not ended for long."""
        return bool(self._told) and time.monotonic() - self._begun_at > self._timeout


class _Request(msgspec.Struct, frozen=True):
    id: int
    method: str


class _Reply(msgspec.Struct, frozen=True):
    id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")


class _Headers(msgspec.Struct, frozen=True):
    """In one piece up to version 1.4 of the protocol, as a list from 1.6 on."""

    count: int
    hex: str | None = None
    headers: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether there are as many headers as it says, each whole."""
        if self.hex is not None:
            return len(self.hex) == self.count * _HEADER_DIGITS
        whole = all(len(header) == _HEADER_DIGITS for header in self.headers)
        return whole and len(self.headers) == self.count


class _Guard:
    """Keeps from BDK what would abort it: it remembers what was asked and looks at the answer."""

    def __init__(self) -> None:
        self._headers: set[int] = set()

    def note(self, line: bytes) -> None:
        """Take in a question of BDK's."""
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
    """The lines that a chunk makes whole, ends included; the rest is left pending."""
    pending += chunk
    whole = chunk.rfind(b"\n")
    if whole < 0:
        return []
    end = len(pending) - len(chunk) + whole + 1
    lines = bytes(pending[:end]).splitlines(keepends=True)
    del pending[:end]
    return lines
