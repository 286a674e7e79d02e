"""The uvicorn configuration of the servers: no access log, no server name, limited connections."""

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
    app: object, limiter: ConnectionLimiter, *, drain: float, **more: Any
) -> uvicorn.Config:
    """Configure an ASGI application behind `limiter`; it has `drain` seconds to stop."""
    return uvicorn.Config(
        cast("Any", app),
        http=cast("Any", limiter),
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=ceil(drain),
        **more,
    )


async def started(server: uvicorn.Server, serving: "asyncio.Task[None]") -> None:
    """Wait until the server listens or has failed."""
    while not (server.started or serving.done()):  # noqa: ASYNC110  # uvicorn sets a flag
        await asyncio.sleep(_POLL_SECONDS)


def allow_many_files(connections: int, *, beside: int = 0) -> None:
    """Raise the limit of open files as far as possible; log a warning if it is too low."""
    files = open_files.raise_limit()
    fewer = affordable(connections, beside=beside)
    if fewer < connections:
        _log.warning(
            "Only %d connections are accepted at once: the system allows %d open files. Raise "
            "that limit.",
            fewer,
            files,
        )


def affordable(connections: int, *, beside: int = 0) -> int:
    """Return `connections`, or fewer if the limit of open files allows only fewer.

    Beyond that limit the system refuses connections without a reason. Up to half of the files are
    reserved for `beside`, such as connections to gateways, and for the disk and name lookups.
    """
    files = open_files.current_limit()
    if files is None:
        return connections
    return min(connections, max(files - beside - _FILES_BESIDE, files // 2, 1))
