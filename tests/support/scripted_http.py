"""A loopback HTTP server that answers each path as a test says."""

import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


@dataclass(frozen=True, slots=True)
class Answer:
    status: int = 200
    body: bytes = b""
    promised: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    drips: bool = False
    """Whether it comes byte by byte, the head too."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: "ScriptedServer"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.script.posted.append(({k.lower(): v for k, v in self.headers.items()}, body))
        self._answer()

    def _answer(self) -> None:
        self.script.asked.append(self.path)
        if self.script.stalls:
            self.script.end.wait()
        answer = self.script.answers.get(self.path, self.script.otherwise)
        with suppress(OSError):  # the client may have left
            self._drip() if answer.drips else self._send(answer)

    def _send(self, answer: Answer) -> None:
        size = len(answer.body) if answer.promised is None else answer.promised
        self.send_response(answer.status)
        for name, value in (*answer.headers, ("content-length", str(size))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)
        self.close_connection = self.close_connection or size != len(answer.body)

    def _drip(self) -> None:
        self.close_connection = True
        for byte in b"HTTP/1.1 200 OK\r\nx-long: " + b"x" * 150:
            self.wfile.write(bytes([byte]))
            if self.script.end.wait(0.02):
                return

    def log_message(self, *_: object) -> None:
        pass


class ScriptedServer:
    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.posted: list[tuple[dict[str, str], bytes]] = []
        self.otherwise = Answer(404)
        self.stalls = False
        self.end = threading.Event()
        handler = type("ScriptedHandler", (Handler,), {"script": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
