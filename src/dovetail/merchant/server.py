"""The shop's HTTP server: API and pages on uvicorn, behind the limits of the other servers."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from dovetail.merchant import dashboard, greenfield, pages
from dovetail.merchant.api import make_app
from dovetail.merchant.api.event_feed import EventFeed, Pace
from dovetail.merchant.api.limits import Limits
from dovetail.merchant.public_url import PublicUrl
from dovetail.merchant.services.health import Health
from dovetail.merchant.services.metrics import Metrics
from dovetail.merchant.services.parts import Parts
from dovetail.serving.client_shares import Clients
from dovetail.serving.connection_limits import ConnectionLimiter
from dovetail.serving.quiet_server import QuietServer
from dovetail.serving.sockets import bind, url_of
from dovetail.serving.uvicorn_config import affordable, allow_many_files, configuration, started

CONNECTIONS = 2_048
PER_CLIENT = 256
KEEP_ALIVE = 60.0
DRAIN = 5.0
_BACKLOG = 512


@asynccontextmanager
async def serving(  # noqa: PLR0913 - all but three are optional
    parts: Parts,
    host: str,
    port: int,
    *,
    limits: Limits | None = None,
    clients: Clients | None = None,
    public: PublicUrl | None = None,
    pace: Pace | None = None,
    health: Health | None = None,
    metrics: Metrics | None = None,
) -> AsyncGenerator[str]:
    """Serve in the block; yields the URL. Raises `ConfigurationError` for a port that is taken.

    `clients` says which addresses are the operator's own proxies, `public` where the shop is
    reached (None: by this machine alone), and `pace` how event streams are fed. After the block the
    server tells that it stops, and goes on for `limits.drain` seconds, in which a proxy finds
    another one. Then it ends the event streams, and finishes the open requests.
    """
    limited, healthy = limits or Limits(), health or Health(parts)
    allow_many_files(CONNECTIONS)
    with bind(host, port) as listener:
        limiter = ConnectionLimiter(
            limit=affordable(CONNECTIONS),
            per_client=PER_CLIENT,
            clients=clients,
            seconds=limited.read_seconds,
            keep_alive=KEEP_ALIVE,
        )
        feed = EventFeed(parts.database, limited, pace=pace)
        app = make_app(
            parts,
            limits=limited,
            clients=clients,
            public=public,
            feed=feed,
            health=healthy,
            metrics=metrics,
            mounts=(pages.mount(limited), dashboard.mount(parts, healthy), greenfield.mount()),
        )
        if metrics is not None:
            metrics.follow_streams(lambda: feed.count)
        server = QuietServer(configuration(app, limiter, drain=DRAIN, backlog=_BACKLOG))
        running = asyncio.create_task(server.serve([listener]))
        await started(server, running)
        try:
            yield url_of(host, listener.getsockname()[1])
        finally:
            healthy.stop()
            await asyncio.sleep(limited.drain)
            await feed.close()
            limiter.close()
            server.should_exit = True
            with contextlib.suppress(asyncio.CancelledError):
                await running
