"""An Electrum server on the embedded chain, by lines over TCP or TLS."""

import socket
import socketserver
import ssl
import threading
from contextlib import suppress
from typing import Self, cast

from dovetail.causes import no_port
from dovetail.errors import ConfigurationError
from dovetail.regtest.electrum import ElectrumSession
from dovetail.regtest.node import RegtestNode

_NEWS_SECONDS = 0.25
_MAX_LINE = 8_000_000


class ElectrumServer:
    """Serves a node to Electrum clients until it is closed; a context manager.

    `port` 0 takes a free one; with `tls` it speaks TLS. Raises `ConfigurationError` when the
    port cannot be listened on.
    """

    def __init__(
        self,
        node: RegtestNode,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        try:
            self._server = _Server((host, port), _Handler)
        except OverflowError as error:
            raise ConfigurationError(f"{port} is no port; choose one up to 65535.") from error
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} cannot be listened on, as {no_port(error)}."
            ) from error
        self._server.node = node
        self._server.tls = tls
        self.host = host
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), name="dovetail-electrum", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is, with the scheme that says whether it speaks TLS."""
        scheme = "tcp" if self._server.tls is None else "ssl"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    def close(self) -> None:
        """Stop serving and end every connection; a second call does nothing."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = True
    node: RegtestNode
    tls: ssl.SSLContext | None

    def __init__(
        self, address: tuple[str, int], handler: type[socketserver.BaseRequestHandler]
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.ending = threading.Event()
        super().__init__(address, handler)

    def server_close(self) -> None:
        self.ending.set()
        super().server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that breaks off is no concern of anybody."""


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server = cast("_Server", self.server)
        connection = cast("socket.socket", self.request)
        with suppress(OSError):
            if server.tls is not None:
                connection = server.tls.wrap_socket(connection, server_side=True)
            with connection:
                _converse(connection, ElectrumSession(server.node), server.ending)


def _converse(connection: socket.socket, session: ElectrumSession, ending: threading.Event) -> None:
    connection.settimeout(_NEWS_SECONDS)
    read = b""
    while not ending.is_set() and len(read) <= _MAX_LINE:
        try:
            chunk = connection.recv(65_536)
        except TimeoutError:
            connection.sendall(session.news())
            continue
        if not chunk:
            return
        *lines, read = (read + chunk).split(b"\n")
        connection.sendall(b"".join(map(session.answer, lines)) + session.news())
