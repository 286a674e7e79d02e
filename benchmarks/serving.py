"""HTTP/1.1 on loopback sockets: our protocol beside uvicorn's, with one small application."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import perf_counter
from typing import Any

import uvicorn
from benchmarks.harness import Comparison, Timer, TimesAsFast

from dovetail.serving.door import Doorkeeper
from dovetail.serving.listening import bind
from dovetail.serving.running import configuration, started

TITLE = "HTTP/1.1, one connection, 8192 bytes posted"
BASELINE = "uvicorn's protocol on httptools, the same loop and application"

_GET = b"GET /health HTTP/1.1\r\nhost: x\r\naccept: */*\r\nuser-agent: bench\r\n\r\n"
_POST = (
    b"POST /.well-known/ohttp-gateway HTTP/1.1\r\nhost: x\r\naccept: */*\r\nuser-agent: bench\r\n"
    b"content-type: message/ohttp-req\r\ncontent-length: 8192\r\n\r\n" + bytes(8192)
)
_ANSWER = b"0123456789abcdef"


def comparisons() -> Iterator[Comparison]:
    """Requests of each method, the next one sent when the answer is here."""
    with ExitStack() as opened:
        ours = opened.enter_context(_connection(door=True))
        theirs = opened.enter_context(_connection(door=False))
        for name, request in (("GET", _GET), ("POST of 8192 bytes", _POST)):
            yield Comparison(
                name, _timer(ours, request), _timer(theirs, request), target=TimesAsFast(1.0)
            )


async def _application(_scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body", False):
        pass
    fields = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(_ANSWER))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": _ANSWER})


def _timer(client: socket.socket, request: bytes) -> Timer:
    def timer(repetitions: int) -> float:
        start = perf_counter()
        for _ in range(repetitions):
            client.sendall(request)
            got = client.recv(4_096)
            while not got.endswith(_ANSWER):
                got += client.recv(4_096)
        return perf_counter() - start

    return timer


@contextmanager
def _connection(*, door: bool) -> Iterator[socket.socket]:
    """A connection to a server in a thread, of our protocol or of uvicorn's own."""
    keeper = Doorkeeper(limit=1_024, per_client=256, seconds=10)
    config = configuration(_application, keeper, drain=2, ws="none")
    if not door:
        config.http = "httptools"
    server = uvicorn.Server(config)
    listening = threading.Event()

    async def serve(listener: socket.socket) -> None:
        serving = asyncio.create_task(server.serve([listener]))
        await started(server, serving)
        listening.set()
        await serving

    def work(listener: socket.socket) -> None:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(serve(listener))

    with bind("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=work, args=(listener,), daemon=True)
        thread.start()
        listening.wait(10)
        try:
            with socket.create_connection(listener.getsockname(), timeout=10) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(10)
