"""A server that answers each request with the next bytes of a script, good or bad."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Answer = bytes | Callable[[socket.socket], None]


@dataclass
class Scripted:
    """Where it listens, and what it was asked."""

    url: str = ""
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    at: list[float] = field(default_factory=list)


def answer(status: int, body: object, kind: str = "application/json", **headers: str) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"content-type": kind, "content-length": str(len(content)), "connection": "close"}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in (given | headers).items()]
    return f"HTTP/1.1 {status} X\r\n".encode() + "\r\n".join([*lines, "", ""]).encode() + content


def problem(status: int, kind: str, **headers: str) -> bytes:
    body = {
        "type": f"urn:dovetail:problem:{kind}",
        "title": "T",
        "status": status,
        "detail": "What happened; do this.",
    }
    return answer(status, body, "application/problem+json", **headers)


def stream(*parts: str | float) -> Callable[[socket.socket], None]:
    """An event stream of these parts; a number is a pause in seconds. Then it is cut."""

    def send(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        for part in parts:
            if isinstance(part, str):
                connection.sendall(part.encode())
            else:
                time.sleep(part)

    return send


@contextmanager
def scripted(*script: Answer, tls: ssl.SSLContext | None = None) -> Generator[Scripted]:
    """Serve the script; its last answer is given again and again."""
    told = Scripted()
    left = list(script)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        scheme = "http" if tls is None else "https"
        told.url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with suppress(OSError):
                    if tls is not None:
                        connection = tls.wrap_socket(connection, server_side=True)
                    with connection:
                        _one(connection, told, left)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield told
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _one(connection: socket.socket, told: Scripted, left: list[Answer]) -> None:
    read = connection.makefile("rb")
    method, path, _ = read.readline().decode().split(" ", 2)
    headers: dict[str, str] = {}
    while line := read.readline().decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = read.read(int(headers.get("content-length", "0")))
    told.asked.append((method, path, headers, body))
    told.at.append(time.monotonic())
    given = left.pop(0) if len(left) > 1 else left[0]
    if isinstance(given, bytes):
        connection.sendall(given)
    else:
        given(connection)
