"""HTTP/1.1 on loopback sockets: our protocol beside uvicorn's, with one small application."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle, islice
from time import perf_counter
from typing import Any

from benchmarks.harness import Comparison, Timer, TimesAsFast
from benchmarks.webs import served

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
        ours, theirs = (
            opened.enter_context(
                socket.create_connection(
                    opened.enter_context(served(_application, door=door)), timeout=10
                )
            )
            for door in (True, False)
        )
        strangers = [_GET.replace(b"bench", b"%05d" % number) for number in range(1_000)]
        rows: tuple[tuple[str, list[bytes], TimesAsFast | None], ...] = (
            ("GET", [_GET], TimesAsFast(1.0)),
            ("POST of 8192 bytes", [_POST], TimesAsFast(1.0)),
            ("GET, each with another head", strangers, None),
        )
        for name, requests, target in rows:
            timers = [_timer(each, cycle(requests)) for each in (ours, theirs)]
            yield Comparison(name, timers[0], timers[1], target=target)


async def _application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError
    while (await receive()).get("more_body", False):
        pass
    fields = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(_ANSWER))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": _ANSWER})


def _timer(client: socket.socket, requests: Iterator[bytes]) -> Timer:
    def timer(repetitions: int) -> float:
        start = perf_counter()
        for request in islice(requests, repetitions):
            client.sendall(request)
            got = client.recv(4_096)
            while not got.endswith(_ANSWER):
                got += client.recv(4_096)
        return perf_counter() - start

    return timer
