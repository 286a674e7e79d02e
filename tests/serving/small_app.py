"""A small application behind a `ConnectionLimiter` on real sockets, and clients of bare bytes."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from dovetail.serving.connection_limits import ConnectionLimiter
from dovetail.serving.sockets import bind
from dovetail.serving.uvicorn_config import configuration, started

CHUNK = b"x" * 65_536
SECONDS = 0.6
"""What a client has to send or to read, in these tests."""


class App:
    """Answers by path, and counts what it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.lost = 0
        self.release = threading.Event()

    async def __call__(  # noqa: C901, PLR0912  # one short case for each path
        self, scope: Any, receive: Any, send: Any
    ) -> None:
        self.asked += 1
        match scope["path"]:
            case "/echo":
                await answer(send, await body_of(receive))
            case "/early":
                await answer(send, b"enough")
            case "/held":
                while not self.release.is_set():  # noqa: ASYNC110  # set by another thread
                    await asyncio.sleep(0.01)
                await answer(send, b"released")
            case "/gone":
                await body_of(receive)
                assert (await receive())["type"] == "http.disconnect"
                self.lost += 1
            case "/endless":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                for _ in range(1_000):
                    await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
            case "/fails":
                raise ValueError(scope["query_string"])
            case "/half":
                fields = [(b"content-length", b"10")]
                await send({"type": "http.response.start", "status": 200, "headers": fields})
                await send({"type": "http.response.body", "body": b"half", "more_body": True})
            case "/closes":
                await answer(send, b"bye", (b"connection", b"close"))
            case "/malformed":
                await answer(send, b"", (b"x", b"a\r\nb: c"))
            case "/longer":
                await answer(send, b"ab", (b"content-length", b"1"))
            case "/twice":
                await answer(send, b"once")
                await answer(send, b"twice")
            case "/takes":
                taken = b"%d fields" % len(scope["headers"])
                scope["headers"].clear()
                scope["path"] = scope["method"] = "taken"
                await answer(send, taken)
            case "/empty":
                await send({"type": "http.response.start", "status": 204, "headers": []})
                await send({"type": "http.response.body"})
            case _:
                await answer(send, b"ok")


async def answer(send: Any, body: bytes, *fields: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": list(fields)})
    await send({"type": "http.response.body", "body": body})


async def body_of(receive: Any) -> bytes:
    data, more = b"", True
    while more:
        message = await receive()
        data += message.get("body", b"")
        more = message.get("more_body", False)
    return data


class Web:
    """The application, its door and its port."""

    def __init__(self, door: ConnectionLimiter, app: App, port: int) -> None:
        self.door = door
        self.app = app
        self.port = port
        self.close_seconds = 0.0
        self.ending = threading.Event()

    @contextmanager
    def client(self, address: str = "127.0.0.1", *, small: bool = False) -> Iterator[socket.socket]:
        with socket.socket() as client:
            client.settimeout(10)
            if small:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.bind((address, 0))
            client.connect(("127.0.0.1", self.port))
            yield client


@contextmanager
def served(*, limit: int = 64, **settings: Any) -> Iterator[Web]:
    """Serve for as long as the block runs, or until `ending` is set."""
    app = App()
    door = ConnectionLimiter(limit=limit, **({"seconds": SECONDS} | settings))
    server = uvicorn.Server(configuration(app, door, drain=5, ws="none"))
    listening = threading.Event()
    with bind("127.0.0.1", 0) as listener:
        web = Web(door, app, listener.getsockname()[1])

        async def run() -> None:
            serving = asyncio.create_task(server.serve([listener]))
            await started(server, serving)
            listening.set()
            while not web.ending.is_set():  # noqa: ASYNC110  # set by another thread
                await asyncio.sleep(0.01)
            begun = time.monotonic()
            door.close()
            server.should_exit = True
            await serving
            web.close_seconds = time.monotonic() - begun

        def work() -> None:
            with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
                runner.run(run())

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        assert listening.wait(10)
        try:
            yield web
        finally:
            app.release.set()
            web.ending.set()
            thread.join(15)
            assert not thread.is_alive()


def request(
    path: str = "/", *lines: str, method: str = "GET", body: bytes = b"", version: str = "1.1"
) -> bytes:
    lengths = [f"content-length: {len(body)}"] if body else []
    head = [f"{method} {path} HTTP/{version}", "host: x", *lines, *lengths]
    return "\r\n".join([*head, "", ""]).encode() + body


def until_closed(client: socket.socket) -> bytes:
    """All that comes until the server ends the connection."""
    got = b""
    try:
        while data := client.recv(1 << 16):
            got += data
    except ConnectionError:
        pass
    return got


def one_answer(client: socket.socket) -> bytes:
    """The next answer, whose body is in chunks, has a length or is none."""
    got = b""
    while not _whole(got):
        data = client.recv(1)
        assert data, got
        got += data
    return got


def _whole(got: bytes) -> bool:
    head, end, body = got.partition(b"\r\n\r\n")
    if not end:
        return False
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(body) >= int(length or b"0")
