"""The listener for metrics: a port of its own, which need not be reachable from outside."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from dovetail.serving.asgi import Receive, Scope, Send
from dovetail.serving.connection_limits import ConnectionLimiter
from dovetail.serving.quiet_server import QuietServer
from dovetail.serving.responses import Response, not_found, typed, wrong_method
from dovetail.serving.sockets import bind, url_of
from dovetail.serving.uvicorn_config import configuration, started

PATH = "/metrics"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
CONNECTIONS = 16
SECONDS = 10.0
_DRAIN = 1.0

Tell: TypeAlias = Callable[[], bytes]
"""Returns all numbers in Prometheus' text form; it is called in a thread."""


@asynccontextmanager
async def metrics_serving(tell: Tell, host: str, port: int) -> AsyncGenerator[str]:
    """Serve in the block; yields the URL. Raises `ConfigurationError` for a port that is taken."""
    with bind(host, port) as listener:
        limiter = ConnectionLimiter(limit=CONNECTIONS, seconds=SECONDS)
        server = QuietServer(configuration(_Pages(tell), limiter, drain=_DRAIN))
        running = asyncio.create_task(server.serve([listener]))
        await started(server, running)
        try:
            yield f"{url_of(host, listener.getsockname()[1])}{PATH}"
        finally:
            limiter.close()
            server.should_exit = True
            with contextlib.suppress(asyncio.CancelledError):
                await running


class _Pages:
    """An ASGI application with one page."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        answer = await self._answer(scope)
        headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Scope) -> Response:
        if scope["path"] != PATH:
            return not_found()
        if scope["method"] not in ("GET", "HEAD"):
            return wrong_method("GET", "HEAD")
        return typed(TEXT, await asyncio.to_thread(self._tell))
