"""uvicorn, as our servers want it: no log of requests, no name, one door, an end in time."""

import asyncio
import logging
from math import ceil
from typing import Any, cast

import uvicorn

from dovetail import open_files
from dovetail.serving.connection_limits import ConnectionLimiter

_POLL_SECONDS = 0.005
_FILES_BESIDE = 256

_log = logging.getLogger(__name__)


def configuration(
    app: object, door: ConnectionLimiter, *, drain: float, **more: Any
) -> uvicorn.Config:
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


def allow_many_files(connections: int, *, beside: int = 0) -> None:
    """Raise the process's limit of open files as far as it goes; tell if that is too few."""
    files = open_files.raised()
    fewer = affordable(connections, beside=beside)
    if fewer < connections:
        _log.warning(
            "Only %d connections are let in at once: the system allows %d open files. Raise that.",
            fewer,
            files,
        )


def affordable(connections: int, *, beside: int = 0) -> int:
    """So many connections, or as many as the files that may be open allow.

    Beyond all of them the system lets nobody in, and nobody is told why. Up to half are left to
    `beside`, such as connections to gateways, and to the disk and names.
    """
    files = open_files.allowed()
    if files is None:
        return connections
    return min(connections, max(files - beside - _FILES_BESIDE, files // 2, 1))
