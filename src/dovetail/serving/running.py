"""uvicorn, as our servers want it: no log of requests, no name, one door, an end in time."""

import asyncio
from math import ceil
from typing import Any, cast

import uvicorn

from dovetail.serving.door import Doorkeeper

_POLL_SECONDS = 0.005


def configuration(app: object, door: Doorkeeper, *, drain: float, **more: Any) -> uvicorn.Config:
    """For an ASGI application behind `door`, which has `drain` seconds to finish when it ends."""
    return uvicorn.Config(
        cast("Any", app),
        http=cast("Any", door),
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=ceil(drain),
        **more,
    )


async def started(server: uvicorn.Server, serving: "asyncio.Task[None]") -> None:
    """Wait until it listens, or has failed to."""
    while not (server.started or serving.done()):  # noqa: ASYNC110  # uvicorn sets a flag
        await asyncio.sleep(_POLL_SECONDS)
