"""Tests of a shop's setup: each part is asked, and what is wrong names its setting."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dovetail.bitcoin import Sats
from dovetail.errors import DovetailError
from dovetail.merchant.data import stores, wallets
from dovetail.merchant.services.parts import Parts


@dataclass(frozen=True, slots=True)
class Finding:
    """What one test has found."""

    about: str
    is_well: bool
    words: str


async def findings(parts: Parts) -> list[Finding]:
    """Test database, chain, signer, directory and wallets; nothing is changed."""
    found = [
        await _tested("database", parts, _database),
        await _tested("chain", parts, _chain),
        await _tested("directory and relays", parts, _directory),
        await _tested("signer", parts, _signer),
    ]
    known = await parts.database.aread(stores.all_stores)
    if not known:
        found.append(Finding("stores", False, "There is no store yet: make one."))
    for store in known:
        least = store.policy.payjoin_minimum_sats
        readiness = parts.readiness(store.wallet_id)
        obstacle = await readiness.obstacle(Sats(max(1, least)), minimum=least)
        words = "Payjoins are offered." if obstacle is None else obstacle.words
        found.append(Finding(f"store {store.name}", obstacle is None, words))
    return found


async def _tested(about: str, parts: Parts, test: Callable[[Parts], Awaitable[str]]) -> Finding:
    try:
        return Finding(about, True, await test(parts))
    except DovetailError as error:
        return Finding(about, False, str(error))


async def _database(parts: Parts) -> str:
    kind = "PostgreSQL" if parts.database.is_shared else "SQLite"
    await asyncio.to_thread(parts.database.pulse)
    return f"{kind} answers, and its schema is current."


async def _chain(parts: Parts) -> str:
    height = await asyncio.to_thread(parts.chain.height)
    return f"It answers; the best block is {height:,}."


async def _directory(parts: Parts) -> str:
    for directory in parts.directories:
        parts.relays.choose(directory)
        await parts.keys.of(directory)
    return f"The keys of {len(parts.directories)} can be had."


async def _signer(parts: Parts) -> str:
    signer = parts.signer
    if signer is None:
        return "None is set."
    hot, cold = await asyncio.to_thread(signer.descriptors)
    rows = await parts.database.aread(wallets.all_wallets)
    if rows and not any((row.descriptor, row.cold_descriptor) == (hot, cold) for row in rows):
        return "It answers, and holds another wallet than the stores have."
    return "It answers, and holds the wallet of the stores."
