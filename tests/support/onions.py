"""A SOCKS5 proxy as Tor is one: it alone knows where the onion addresses are (RFC 1928)."""

import select
import socket
import socketserver
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from dovetail.tor import SocksProxy

ONION = "v" * 56 + ".onion"
_PATIENCE = 10.0


class Onions(socketserver.ThreadingTCPServer):
    """Leads the names it knows to ports of this machine, and writes down what it is asked."""

    daemon_threads = True

    def __init__(self, known: Mapping[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.known = known
        self.asked: list[tuple[str, int]] = []

    @property
    def proxy(self) -> SocksProxy:
        return SocksProxy("127.0.0.1", self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off is none of its business."""


class _Connection(socketserver.StreamRequestHandler):
    server: Onions

    def handle(self) -> None:
        version, methods = self.rfile.read(2)
        assert version == 5
        assert 0 in self.rfile.read(methods)
        self.wfile.write(b"\x05\x00")
        assert self.rfile.read(4) == b"\x05\x01\x00\x03"  # CONNECT, by a host's name
        host = self.rfile.read(self.rfile.read(1)[0]).decode()
        port = int.from_bytes(self.rfile.read(2), "big")
        self.server.asked.append((host, port))
        if host not in self.server.known:
            self.wfile.write(b"\x05\x04\x00\x01" + bytes(6))
            return
        with socket.create_connection(("127.0.0.1", self.server.known[host])) as far:
            # The address that the proxy is bound to, as a name: of a length of its own.
            self.wfile.write(b"\x05\x00\x00\x03\x04here\x00\x00")
            with suppress(OSError):
                _join(self.connection, far)


def _join(near: socket.socket, far: socket.socket) -> None:
    others = {near: far, far: near}
    while True:
        ready, _, _ = select.select([near, far], [], [], _PATIENCE)
        if not ready:
            return
        for each in ready:
            data = each.recv(65_536)
            if not data:
                return
            others[each].sendall(data)


@asynccontextmanager
async def onions(known: Mapping[str, int]) -> AsyncIterator[Onions]:
    with Onions(known) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
