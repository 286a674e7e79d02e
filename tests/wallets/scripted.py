"""A loopback HTTP server that answers each path as a test says."""

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


class ScriptedServer:
    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.otherwise = Answer(404)
        self.stalls = False
        self._end = threading.Event()
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self._answer()

            def _answer(self) -> None:
                script.asked.append(self.path)
                if script.stalls:
                    script._end.wait()
                answer = script.answers.get(self.path, script.otherwise)
                size = len(answer.body) if answer.promised is None else answer.promised
                with suppress(OSError):  # the client may have left
                    self.send_response(answer.status)
                    self.send_header("content-length", str(size))
                    self.end_headers()
                    self.wfile.write(answer.body)
                if size != len(answer.body):
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
