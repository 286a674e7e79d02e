"""A whole mailroom on loopback sockets: behind our HTTP protocol and behind uvicorn's.

Each is a process of its own, so that the client takes no time of theirs.
"""

import multiprocessing
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Literal

from benchmarks.harness import Comparison, Timer, TimesAsFast
from benchmarks.webs import served

from dovetail.crypto import BhttpRequest, KeyConfig, SecretKey, encapsulate
from dovetail.mailroom import Mailroom, MailroomSettings
from dovetail.protocol import ShortId
from dovetail.protocol.mailbox import MESSAGE_SIZE

TITLE = "A mailroom, eight connections"
BASELINE = "the same mailroom behind uvicorn's protocol on httptools"

_CONNECTIONS = 8
_GATEWAY = "/.well-known/ohttp-gateway"
_HEALTH = b"GET /health HTTP/1.1\r\nhost: x\r\naccept: */*\r\nuser-agent: bench\r\n\r\n"


def comparisons() -> Iterator[Comparison]:
    """One request on each connection, the next when all are answered."""
    with ExitStack() as opened:
        ours, theirs = (opened.enter_context(_clients(door=door)) for door in (True, False))
        rows = {
            "GET of /health": _Clients.health,
            "GET of a mailbox, through OHTTP": _Clients.get,
            "POST to a mailbox, through OHTTP": _Clients.post,
            "POST to a new mailbox, through OHTTP": _Clients.post_new,
        }
        for name, make in rows.items():
            yield Comparison(
                name,
                ours.timer(make),
                theirs.timer(make),
                target=TimesAsFast(1.0),
                per=_CONNECTIONS,
            )


class _Clients:
    """Connections to one mailroom, and a mailbox that holds a message."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self._sockets = sockets
        path = f"GET {_GATEWAY} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
        self._keys = KeyConfig.parse(_asked(sockets[0], path).partition(b"\r\n\r\n")[2])
        mailbox = _new()
        self._post = self._sealed("POST", mailbox)
        self._get = self._sealed("GET", mailbox)
        _asked(sockets[0], self._post)

    def health(self) -> bytes:
        return _HEALTH

    def get(self) -> bytes:
        return self._get

    def post(self) -> bytes:
        """What a client repeats that has lost the answer."""
        return self._post

    def post_new(self) -> bytes:
        return self._sealed("POST", _new())

    def _sealed(self, method: Literal["GET", "POST"], mailbox: ShortId) -> bytes:
        body = bytes(MESSAGE_SIZE) if method == "POST" else b""
        inner = BhttpRequest(method, "https", "mailroom.test", f"/{mailbox}", body=body)
        content = encapsulate(self._keys, inner.serialize(8_104))[0]
        head = f"POST {_GATEWAY} HTTP/1.1\r\nhost: x\r\ncontent-type: message/ohttp-req\r\n"
        return head.encode() + b"content-length: %d\r\n\r\n" % len(content) + content

    def timer(self, make: "Callable[[_Clients], bytes]") -> Timer:
        def timer(repetitions: int) -> float:
            rounds = [[make(self) for _ in self._sockets] for _ in range(repetitions)]
            start = perf_counter()
            for requests in rounds:
                for client, request in zip(self._sockets, requests, strict=True):
                    client.sendall(request)
                for client in self._sockets:
                    _answer(client)
            return perf_counter() - start

        return timer


def _new() -> ShortId:
    return ShortId.of(SecretKey.generate().public_key)


def _asked(client: socket.socket, request: bytes) -> bytes:
    client.sendall(request)
    return _answer(client)


def _answer(client: socket.socket) -> bytes:
    got = client.recv(65_536)
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK"), head
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        more = client.recv(65_536)
        got, body = got + more, body + more
    return got


@contextmanager
def _clients(*, door: bool) -> Iterator[_Clients]:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(there, door))
    process.start()
    try:
        with ExitStack() as opened:
            place = here.recv()
            sockets = [
                opened.enter_context(socket.create_connection(place, timeout=20))
                for _ in range(_CONNECTIONS)
            ]
            for each in sockets:
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield _Clients(sockets)
    finally:
        here.send(None)
        process.join(20)


def _serve(pipe: Connection, door: bool) -> None:  # noqa: FBT001  # an argument of a process
    """Serve until the other end says something."""
    with TemporaryDirectory() as folder:
        settings = MailroomSettings(
            Path(folder), local=True, relay=False, max_bytes=10**12, max_new_mailboxes=10**9
        )
        with served(Mailroom(settings), door=door) as place:
            pipe.send(place)
            pipe.recv()
