"""A web server on loopback for one v1 receiver: what rust-payjoin leaves to those who use it."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_BLINK = 0.01


@dataclass(frozen=True, slots=True)
class Asked:
    body: bytes
    content_type: str
    query: str


@asynccontextmanager
async def serving(
    answer: Callable[[Asked], Awaitable[tuple[int, bytes]]], tls: ssl.SSLContext
) -> AsyncGenerator[str]:
    """The URL at which `answer` gives a status and a body for each POST."""

    async def post(request: Request) -> Response:
        asked = Asked(
            await request.body(), request.headers.get("content-type", ""), request.url.query
        )
        status, body = await answer(asked)
        return Response(body, status, media_type="text/plain")

    app = Starlette(routes=[Route("/payjoin", post, methods=["POST"])])
    async with serving_app(app, tls) as port:
        yield f"https://127.0.0.1:{port}/payjoin"


@asynccontextmanager
async def serving_app(app: Starlette, tls: ssl.SSLContext | None = None) -> AsyncGenerator[int]:
    """An application on loopback, in this event loop; its port."""
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, ws="none")
    config.load()
    config.ssl = tls
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn sets a flag
        await asyncio.sleep(_BLINK)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task
