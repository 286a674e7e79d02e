"""Open what the shop's commands work with: database, signer, chain, routes."""

import asyncio
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dovetail.cli import merchant_settings, open_parts
from dovetail.cli.context import Home
from dovetail.cli.merchant_settings import MerchantSettings
from dovetail.cli.paths import make_folder
from dovetail.errors import ChainError, ConfigurationError
from dovetail.merchant.signer.place import SignerPlace, TlsFiles

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from dovetail.merchant.data.database import Database
    from dovetail.merchant.services.metrics import Metrics
    from dovetail.merchant.services.parts import Around, Parts
    from dovetail.merchant.signer.client import RemoteSigner
    from dovetail.merchant.wallet.ports import Signer

DATABASE = "shop.db"
SOCKET = "signer.sock"
SIGNER_LOG = "signer.db"


def settings_of(home: Home, **given: Any) -> MerchantSettings:
    """The table's values, and what the command line says instead; errors name the file."""
    try:
        found = merchant_settings.read(home.settings.merchant)
    except ConfigurationError as error:
        raise ConfigurationError(f"{home.settings.file}: {error}") from error
    return replace(found, **{name: value for name, value in given.items() if value is not None})


def folder(home: Home) -> Path:
    """The shop's folder, of this network."""
    found = home.folder / "merchant"
    make_folder(found)
    return found


def signer_place(home: Home, settings: MerchantSettings) -> SignerPlace:
    """Where the signer listens; raises `ConfigurationError`."""
    files = settings.signer_ca, settings.signer_cert, settings.signer_key
    tls = None
    if all(files):
        authority, certificate, key = (Path(str(each)) for each in files)
        tls = TlsFiles(authority=authority, certificate=certificate, key=key)
    elif any(files):
        raise ConfigurationError(
            "TLS to the signer takes all of `signer_ca`, `signer_cert` and `signer_key`."
        )
    place = settings.signer or str(folder(home) / SOCKET)
    return SignerPlace.parse(place, tls, group=settings.signer_group)


@contextmanager
def open_database(
    home: Home,
    settings: MerchantSettings,
    *,
    upgrade: bool = True,
    metrics: "Metrics | None" = None,
) -> "Generator[Database]":
    """The shop's database, upgraded; raises `StoreUnavailable` and `ConfigurationError`."""
    from dovetail.merchant.data.database import Database  # noqa: PLC0415 - takes time to load

    place = settings.database or folder(home) / DATABASE
    appended = None if metrics is None else metrics.appended
    with Database.open(place, upgrade=upgrade, appended=appended) as database:
        if metrics is not None:
            metrics.follow(database)
        yield database


@contextmanager
def open_signer(
    home: Home, settings: MerchantSettings, *, metrics: "Metrics | None" = None
) -> "Generator[RemoteSigner]":
    """The signer, which is asked once it is needed."""
    from dovetail.merchant.signer.client import RemoteSigner  # noqa: PLC0415

    heard = None if metrics is None else metrics.heard
    signer = RemoteSigner(signer_place(home, settings), heard=heard)
    try:
        yield signer
    finally:
        signer.close()


@asynccontextmanager
async def open_around(
    home: Home, settings: MerchantSettings, *, metrics: "Metrics | None" = None
) -> "AsyncGenerator[Around]":
    """What a shop uses beside its database; none of it is asked yet."""
    from dovetail.merchant.services.parts import Around  # noqa: PLC0415
    from dovetail.merchant.services.rates import PublicRates, sources_named  # noqa: PLC0415
    from dovetail.runtime.agent import KEY_CACHE, now  # noqa: PLC0415
    from dovetail.runtime.ohttp_keys import OhttpKeys  # noqa: PLC0415
    from dovetail.runtime.relays import Relays  # noqa: PLC0415
    from dovetail.runtime.transport import opened  # noqa: PLC0415

    home.require("chain", "directory", "relays")
    routes = Relays(home.relays, clock=now, direct=home.settings.direct)
    sources = sources_named(settings.rates)
    with (
        open_signer(home, settings, metrics=metrics) as signer,
        open_parts.open_chain(home) as chain,
    ):
        async with opened(None, home.tor) as transport:
            cache = folder(home) / KEY_CACHE
            yield Around(
                chain=chain,
                signer=signer,
                transport=transport,
                relays=routes,
                directories=home.directories,
                keys=OhttpKeys(transport, routes, clock=now, cache=cache),
                rates=PublicRates(transport, sources, now, settings.rates_apart),
                clock=now,
                policy=home.policy,
            )


@asynccontextmanager
async def open_shop(
    home: Home,
    settings: MerchantSettings,
    *,
    upgrade: bool = True,
    metrics: "Metrics | None" = None,
) -> "AsyncGenerator[Parts]":
    """All parts of a shop that is to run, which `metrics` counts.

    Raises what `open_database` raises, and `ConfigurationError` for settings that cannot work:
    only relays of the directory's operator, or a clock that is wrong.
    """
    from dovetail.merchant.services.clocks import require_databases_time  # noqa: PLC0415

    async with open_around(home, settings, metrics=metrics) as around:
        for directory in around.directories:
            around.relays.choose(directory)
        await asyncio.to_thread(_require_clock, around, home)
        with open_database(home, settings, upgrade=upgrade, metrics=metrics) as database:
            require_databases_time(database, around.clock)
            remind(around.signer, database)
            yield around.parts(database)


def remind(signer: "Signer | None", database: "Database") -> None:
    """Have the signer told what the database knows of its deeds, so that an older log is found."""
    from dovetail.merchant.services.reminding import recalls  # noqa: PLC0415
    from dovetail.merchant.signer.client import RemoteSigner  # noqa: PLC0415

    if isinstance(signer, RemoteSigner):
        signer.recall = lambda: recalls(database)


def _require_clock(around: "Around", home: Home) -> None:
    """Raise `ConfigurationError` for a wrong clock; a chain source that is away tells none."""
    from dovetail.merchant.services.clocks import require_chains_time  # noqa: PLC0415

    with suppress(ChainError):
        require_chains_time(around.chain, home.network, around.clock())
