"""Tests of a shop's setup: each part is asked, and what is wrong names its setting."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dovetail.bitcoin import Network, Sats
from dovetail.errors import ConfigurationError, DovetailError
from dovetail.merchant.data import stores, wallets, workers
from dovetail.merchant.data.database import Database
from dovetail.merchant.public_url import PublicUrl
from dovetail.merchant.services.clocks import (
    require_chains_time,
    require_databases_time,
    require_network,
)
from dovetail.merchant.services.health import SIGN_OF_LIFE
from dovetail.merchant.services.parts import Around

CURRENCY = "EUR"
"""What rate sources are asked for where no store has a currency of its own."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one test has found: a sentence, which says what to do where it is not well."""

    about: str
    is_well: bool
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is tested."""

    around: Around
    database: Database | DovetailError
    """The database, or why it cannot be opened."""
    network: Network
    public: PublicUrl | None
    has_rates: bool
    knows_clients: bool = True
    """Whether the server learns the address of a client behind a proxy."""


async def findings(setup: Setup) -> list[Finding]:
    """Test every part; nothing is changed. A part that is away stops no other test."""
    tests: dict[str, Callable[[Setup], Awaitable[str]]] = {
        "database": _database,
        "chain": _chain,
        "directory": _directory,
        "signer": _signer,
        "public_url": _public_url,
        "rates": _rates,
    }
    database = setup.database
    if isinstance(database, Database) and database.is_shared:
        tests["workers"] = _workers
    found = [await _tested(about, test(setup)) for about, test in tests.items()]
    if isinstance(database, Database):
        found += await _stores(setup, database)
    return found


async def _tested(about: str, test: Awaitable[str]) -> Finding:
    try:
        return Finding(about, True, await test)
    except DovetailError as error:
        return Finding(about, False, str(error))


def _opened(setup: Setup) -> Database:
    if isinstance(setup.database, Database):
        return setup.database
    raise setup.database


async def _database(setup: Setup) -> str:
    database = _opened(setup)
    await asyncio.to_thread(require_databases_time, database, setup.around.clock)
    kind = "PostgreSQL" if database.is_shared else "A file: `serve` does all of the work"
    return f"{kind}. Its schema is current."


async def _chain(setup: Setup) -> str:
    around = setup.around
    await asyncio.to_thread(require_network, around.chain, setup.network)
    height = await asyncio.to_thread(
        require_chains_time, around.chain, setup.network, around.clock()
    )
    return f"It answers for {setup.network}; the newest block is {height:,}."


async def _directory(setup: Setup) -> str:
    around = setup.around
    for directory in around.directories:
        around.relays.choose(directory)
        await around.keys.of(directory)
    hidden = all(map(around.relays.hides_from, around.directories))
    way = "through a relay" if hidden else "straight, so that it sees this machine's address"
    return f"It answers {way}."


async def _signer(setup: Setup) -> str:
    signer = setup.around.signer
    if signer is None:
        raise ConfigurationError("No signer is set: set `signer`, and start one.")
    held = await asyncio.to_thread(signer.descriptors)
    if not isinstance(setup.database, Database):
        return "It answers."
    rows = await setup.database.aread(wallets.all_wallets)
    if rows and held not in [(row.descriptor, row.cold_descriptor) for row in rows]:
        raise ConfigurationError(
            "It answers, and holds another wallet than the stores have: start it with the wallet"
            " and the `cold` with which the stores were made."
        )
    cold = "settles in cold storage" if held[1] else "keeps payments hot, as `cold` is not set"
    return f"It answers, and {cold}."


async def _public_url(setup: Setup) -> str:
    public = setup.public
    if public is None:
        return "It is not set: the server answers this machine alone."
    public.require_safe(setup.network)
    if public.is_secure and not setup.knows_clients:
        raise ConfigurationError(
            "`client_header` is not set, so that the requests of nobody behind the proxy are"
            " limited: set it to the header in which your proxy tells the client's address."
        )
    return f"Pages and links begin with {public}/."


async def _rates(setup: Setup) -> str:
    if not setup.has_rates:
        return "No source is set: invoices are in satoshis alone."
    currencies = {CURRENCY}
    if isinstance(setup.database, Database):
        known = await setup.database.aread(stores.all_stores)
        currencies = {each.policy.currency or "" for each in known} - {""} or currencies
    for currency in sorted(currencies):
        await setup.around.rates.rate(currency)
    return f"They give a rate for {', '.join(sorted(currencies))}."


async def _workers(setup: Setup) -> str:
    living = await _opened(setup).aread(lambda c: workers.living(c, SIGN_OF_LIFE))
    if not living:
        raise ConfigurationError(
            "No worker is alive, so that nothing is negotiated or seen: start one."
        )
    return f"{living} alive."


async def _stores(setup: Setup, database: Database) -> list[Finding]:
    known = await database.aread(stores.all_stores)
    if not known:
        return [Finding("stores", False, "There is no store yet: make one.")]
    parts = setup.around.parts(database)
    found: list[Finding] = []
    for store in known:
        least = store.policy.payjoin_minimum_sats
        readiness = parts.readiness(store.wallet_id)
        obstacle = await readiness.obstacle(Sats(max(1, least)), minimum=least)
        coins = await asyncio.to_thread(readiness.free_coins)
        free = "1 coin is" if coins == 1 else f"{coins} coins are"
        words = f"Payjoins are offered; {free} free to contribute."
        found.append(
            Finding(
                f"store {store.name}",
                obstacle is None,
                words if obstacle is None else obstacle.words,
            )
        )
    return found
