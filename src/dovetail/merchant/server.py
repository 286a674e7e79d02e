"""The shop's HTTP server: the API on uvicorn, behind the limits of the other servers."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from dovetail.extras import brought_by

with brought_by("merchant", "dovetail.merchant"):
    import uvicorn

from dovetail.merchant.api import make_app
from dovetail.merchant.api.limits import Limits
from dovetail.merchant.services.parts import Parts
from dovetail.serving.connection_limits import ConnectionLimiter
from dovetail.serving.sockets import bind, url_of
from dovetail.serving.uvicorn_config import affordable, allow_many_files, configuration, started

CONNECTIONS = 2_048
PER_CLIENT = 256
READ_SECONDS = 15.0
KEEP_ALIVE = 60.0
DRAIN = 5.0
_BACKLOG = 512


@asynccontextmanager
async def serving(
    parts: Parts, host: str, port: int, *, limits: Limits | None = None
) -> AsyncGenerator[str]:
    """Serve in the block; yields the URL. Raises `ConfigurationError` for a port that is taken."""
    allow_many_files(CONNECTIONS)
    with bind(host, port) as listener:
        limiter = ConnectionLimiter(
            limit=affordable(CONNECTIONS),
            per_client=PER_CLIENT,
            seconds=READ_SECONDS,
            keep_alive=KEEP_ALIVE,
        )
        server = uvicorn.Server(
            configuration(make_app(parts, limits=limits), limiter, drain=DRAIN, backlog=_BACKLOG)
        )
        running = asyncio.create_task(server.serve([listener]))
        await started(server, running)
        try:
            yield url_of(host, listener.getsockname()[1])
        finally:
            limiter.close()
            server.should_exit = True
            with contextlib.suppress(asyncio.CancelledError):
                await running
