"""BDK's way to an Electrum server: our connection, offered to it on this machine.

BDK's client trusts a list of its own or nobody, knows no pinned certificate, and limits neither
the size of a line nor the time until it is whole. So it speaks in the clear to a port of this
machine, which takes one connection and passes all on through ours.
"""

import selectors
import socket
import ssl
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

from dovetail.wallets.electrum_wire import connect, hang_up
from dovetail.wallets.servers import ChainServer

_CHUNK = 65_536
_MAX_LINE = 16_000_000


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
            thread = threading.Thread(target=crossing.run, name="dovetail-electrum", daemon=True)
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
        self._begun_at = 0.0
        self._line_size = 0

    def stop(self) -> None:
        """End it, whatever it waits for."""
        self._wake.close()

    def run(self) -> None:
        try:
            with self._woken, selectors.DefaultSelector() as selector:
                selector.register(self._woken, selectors.EVENT_READ)
                selector.register(self._listener, selectors.EVENT_READ)
                ready = selector.select(self._timeout)
                if self._listener not in (key.fileobj for key, _ in ready):
                    return
                near, _ = self._listener.accept()
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
                if near in ready and not self._asked(near):
                    return
                if self._far in ready and not self._answered(near):
                    return

    def _asked(self, near: socket.socket) -> bool:
        chunk = near.recv(_CHUNK)
        if chunk:
            self._far.sendall(chunk)
        return bool(chunk)

    def _answered(self, near: socket.socket) -> bool:
        """Pass on all that came; TLS may hold some of it where no selector sees it."""
        more = True
        while more:
            chunk = self._far.recv(_CHUNK)
            if not chunk or not self._is_bounded(chunk):
                return False
            near.sendall(chunk)
            more = isinstance(self._far, ssl.SSLSocket) and self._far.pending() > 0
        return True

    def _is_bounded(self, chunk: bytes) -> bool:
        end = chunk.rfind(b"\n")
        if self._line_size == 0 or end >= 0:
            self._begun_at = time.monotonic()
        self._line_size = len(chunk) - end - 1 if end >= 0 else self._line_size + len(chunk)
        return self._line_size <= _MAX_LINE

    def _takes_too_long(self) -> bool:
        """Whether a line has begun and not ended for long."""
        return self._line_size > 0 and time.monotonic() - self._begun_at > self._timeout
