"""uvicorn, as our servers want it: no log of requests, no name, one door, an end in time."""

import asyncio
import logging
import sys
from contextlib import suppress
from math import ceil
from typing import Any, cast

import uvicorn

from dovetail.serving.door import Doorkeeper

_POLL_SECONDS = 0.005

_log = logging.getLogger(__name__)


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


def allow_many_files(connections: int) -> None:
    """Raise the process's limit of open files as far as it goes; tell if that is too few."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415  # not on every platform

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    fewer = affordable(connections)
    if fewer < connections:
        _log.warning(
            "Only %d connections are let in at once: the system allows %d open files. Raise that.",
            fewer,
            hard,
        )


def affordable(connections: int) -> int:
    """So many connections, or as many as half of the files that may be open.

    Beyond all of them the system lets nobody in, and nobody is told why; the other half is for
    gateways, the disk and names.
    """
    if sys.platform == "win32":
        return connections
    import resource  # noqa: PLC0415  # not on every platform

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connections if soft == resource.RLIM_INFINITY else min(connections, max(soft // 2, 1))
