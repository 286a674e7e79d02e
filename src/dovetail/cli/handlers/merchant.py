"""`dovetail merchant serve` and `worker`."""

import asyncio
import logging
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from dovetail.cli import context, merchant_parts, signals
from dovetail.cli.context import Home
from dovetail.cli.exits import Exit
from dovetail.cli.merchant_settings import MerchantSettings
from dovetail.cli.output import Screen
from dovetail.cli.service_manager import READY, STOPPING, Notifier
from dovetail.cli.signals import Stop
from dovetail.collecting import rare_collections
from dovetail.errors import ConfigurationError
from dovetail.merchant.engine.engine import Engine
from dovetail.merchant.services.parts import Parts
from dovetail.merchant.webhooks.deliveries import deliveries
from dovetail.serving.client_shares import Clients
from dovetail.serving.logs import STDERR, JsonLines, logging_to

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from dovetail.merchant.services.metrics import Metrics

_log = logging.getLogger("dovetail.merchant")

NEEDS_SERVER = (
    "A worker shares a database in PostgreSQL with the server: set `database` to its URL. With a"
    " file as database `dovetail merchant serve` does all of the work."
)

ALONE = "Only this machine is served, as `public_url` is not set."


def serve(
    screen: Screen,
    *,
    place: tuple[str, int],
    json_log: bool,
    metrics: tuple[str, int] | None,
    database: str | None,
    signer: str | None,
) -> int:
    """Serve the API until a signal comes; see `dovetail merchant serve --help`."""
    home, settings = _settings(database=database, signer=signer, metrics=metrics)
    if settings.public_url is not None:
        settings.public_url.require_safe(home.network)
    return _logged(json_log, lambda: _serve(screen, place, home, settings))


def worker(
    screen: Screen,
    *,
    json_log: bool,
    metrics: tuple[str, int] | None,
    database: str | None,
    signer: str | None,
) -> int:
    """Work until a signal comes; see `dovetail merchant worker --help`."""
    home, settings = _settings(database=database, signer=signer, metrics=metrics)
    if settings.database is None or "://" not in settings.database:
        raise ConfigurationError(NEEDS_SERVER)
    return _logged(json_log, lambda: _work(screen, home, settings))


def _settings(**given: Any) -> tuple[Home, MerchantSettings]:
    home = context.home(tell=False)
    return home, merchant_parts.settings_of(home, **given)


def _logged(json_log: bool, work: Any) -> int:  # noqa: FBT001 - the option of that name
    lines = JsonLines() if json_log else None
    names = "dovetail", "uvicorn.error", "procrastinate", "psycopg.pool"
    with logging_to(STDERR, *names, lines=lines), rare_collections():
        level = _log.level
        _log.setLevel(logging.INFO)
        try:
            return int(work())
        except KeyboardInterrupt:  # told to stop before it had begun
            return Exit.DONE
        finally:
            _log.setLevel(level)


def engine_of(parts: Parts, settings: MerchantSettings, metrics: "Metrics | None") -> Engine:
    """The engine, with webhooks as the settings allow them; `metrics` counts what it does."""
    attempted, looked = (None, None) if metrics is None else (metrics.attempted, metrics.looked)
    sending = deliveries(parts.database, private=settings.private_webhooks, attempted=attempted)
    engine = Engine(parts, lambda _: sending(), looked=looked)
    if metrics is not None:
        metrics.follow_duties(lambda: engine.running)
    return engine


@asynccontextmanager
async def _metrics(settings: MerchantSettings) -> "AsyncGenerator[Metrics | None]":
    """The metrics, at their port, where one is set."""
    if settings.metrics is None:
        yield None
        return
    from dovetail.merchant.services.metrics import Metrics  # noqa: PLC0415 - where they are on
    from dovetail.serving.metrics_server import metrics_serving  # noqa: PLC0415

    metrics = Metrics()
    async with metrics_serving(metrics.text, *settings.metrics):
        yield metrics


@signals.interruptible
async def _serve(
    stop: Stop, screen: Screen, place: tuple[str, int], home: Home, settings: MerchantSettings
) -> int:
    # A worker has no use for the HTTP server.
    from dovetail.merchant.api.limits import Limits  # noqa: PLC0415
    from dovetail.merchant.server import serving  # noqa: PLC0415
    from dovetail.merchant.services.health import Health  # noqa: PLC0415

    notifier = Notifier()
    clients = Clients(proxies=settings.proxies, forwarded=settings.client_header)
    async with AsyncExitStack() as opened:
        metrics = await opened.enter_async_context(_metrics(settings))
        parts = await opened.enter_async_context(
            merchant_parts.open_shop(home, settings, metrics=metrics)
        )
        stop.guarded = True
        health = Health(parts)
        limits = Limits(drain=settings.drain, embedded_by=settings.embedded_by)
        url = await opened.enter_async_context(
            serving(
                parts,
                *place,
                limits=limits,
                clients=clients,
                public=settings.public_url,
                health=health,
                metrics=metrics,
            )
        )
        working = None
        if not parts.database.is_shared:
            working = asyncio.create_task(engine_of(parts, settings, metrics).run(stop.asked))
            health.works = partial(_is_under_way, working)
        screen.result(url)
        screen.say("The shop's API and pages are there. Ctrl-C stops it; nothing is lost.")
        if settings.public_url is None:
            screen.say(ALONE)
        notifier.send(READY)
        await stop.asked.wait()
        notifier.send(STOPPING)
        health.stop()
        if working is not None:
            await working
    screen.say("The shop has stopped.")
    return Exit.DONE


def _is_under_way(work: "asyncio.Task[None]") -> bool:
    return not work.done()


@signals.interruptible
async def _work(stop: Stop, screen: Screen, home: Home, settings: MerchantSettings) -> int:
    notifier = Notifier()
    async with (
        _metrics(settings) as metrics,
        merchant_parts.open_shop(home, settings, upgrade=False, metrics=metrics) as parts,
    ):
        stop.guarded = True
        screen.say("A worker has begun. Ctrl-C stops it; others go on with its sessions.")
        notifier.send(READY)
        await engine_of(parts, settings, metrics).run(stop.asked)
        notifier.send(STOPPING)
    screen.say("The worker has stopped.")
    return Exit.DONE
