"""A regtest chain behind Esplora's API on a loopback socket, which counts what it is asked."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn

from dovetail.regtest.esplora import esplora_app
from dovetail.regtest.node import RegtestNode
from dovetail.serving.asgi import Receive, Scope, Send
from dovetail.serving.connection_limits import ConnectionLimiter
from dovetail.serving.sockets import bind, url_of
from dovetail.serving.uvicorn_config import configuration, started


@dataclass
class Counted:
    """A chain server, and the paths of the requests that it got."""

    node: RegtestNode
    url: str = ""
    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(scope["path"])
        await self._answer(scope, receive, send)

    def __post_init__(self) -> None:
        self._answer = esplora_app(self.node)


@contextmanager
def counting(node: RegtestNode) -> Iterator[Counted]:
    """Serve the chain of `node`, in a thread."""
    server = Counted(node)
    door = ConnectionLimiter(limit=1_024, seconds=30, body_limit=8_000_000)
    runner = uvicorn.Server(configuration(server, door, drain=2, ws="none"))
    listening = threading.Event()

    async def serve() -> None:
        serving = asyncio.create_task(runner.serve([listener]))
        await started(runner, serving)
        listening.set()
        await serving

    with bind("127.0.0.1", 0) as listener:
        server.url = url_of(*listener.getsockname()[:2])
        thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
        thread.start()
        listening.wait(10)
        try:
            yield server
        finally:
            runner.should_exit = True
            thread.join(10)
