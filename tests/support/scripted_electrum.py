"""A loopback Electrum server that answers each method as a test says, else as regtest would."""

import json
import socketserver
import ssl
import threading
from contextlib import suppress
from typing import Any, Self

from dovetail.regtest import RegtestNode
from dovetail.regtest.electrum import ElectrumSession


class ScriptedElectrum:
    def __init__(self, node: RegtestNode, tls: ssl.SSLContext | None = None) -> None:
        self.results: dict[str, Any] = {}
        self.errors: dict[str, Any] = {}
        self.raw: dict[str, bytes] = {}
        """What is sent instead of an answer; then the server hangs up."""
        self.before: dict[str, bytes] = {}
        """What is sent ahead of the answer."""
        self.asked: list[str] = []
        self.stalls = False
        self.connections = 0
        self._end = threading.Event()
        script = self

        class Handler(socketserver.StreamRequestHandler):
            def setup(self) -> None:
                if tls is not None:
                    self.request = tls.wrap_socket(self.request, server_side=True)
                super().setup()

            def handle(self) -> None:
                script.connections += 1
                session = ElectrumSession(node)
                with suppress(OSError):
                    for line in self.rfile:
                        answer = script.answer(session, line)
                        self.wfile.write(answer)
                        if not answer.endswith(b"\n"):
                            return

            def finish(self) -> None:
                with suppress(OSError):
                    super().finish()
                self.request.close()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass  # a client may leave during the handshake

        self._server = Server(("127.0.0.1", 0), Handler)
        scheme = "tcp" if tls is None else "ssl"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def answer(self, session: ElectrumSession, line: bytes) -> bytes:
        request = json.loads(line)
        method = request["method"]
        self.asked.append(method)
        if self.stalls:
            self._end.wait()
        if method in self.raw:
            return self.raw[method]
        before = self.before.get(method, b"")
        head = {"jsonrpc": "2.0", "id": request["id"]}
        if method in self.errors:
            return before + json.dumps({**head, "error": self.errors[method]}).encode() + b"\n"
        if method in self.results:
            return before + json.dumps({**head, "result": self.results[method]}).encode() + b"\n"
        return before + session.answer(line)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
