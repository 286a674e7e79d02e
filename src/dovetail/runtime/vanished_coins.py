"""Coins that vanish under a payment: one rule, for whoever pays and for whoever is paid.

Absence is what the source answers to the question, never that it did not answer. The log keeps
since when, so that no restart begins the count anew.
"""

import asyncio
from collections.abc import Collection
from typing import Any, TypeAlias, TypeVar

from dovetail.bitcoin import OutPoint
from dovetail.errors import ChainError
from dovetail.runtime.services import Services
from dovetail.sessions import receiver, sender
from dovetail.stores.ports import SessionLog
from dovetail.wallets.ports import Chain, Refused

Settling: TypeAlias = (
    sender.PendingFallback | sender.Monitor | receiver.PendingFallback | receiver.Monitor
)
S = TypeVar("S", sender.PendingFallback, sender.Monitor, receiver.PendingFallback, receiver.Monitor)


def missing_at(chain: Chain, outpoints: Collection[OutPoint]) -> int | None:
    """The height at which one of the outputs does not exist; None: all are there, spent or not.

    Raises `ChainError` where that stays open.
    """
    found = chain.outputs(outpoints)
    return None if all(outpoint in found for outpoint in outpoints) else chain.height()


async def noted(session: S, log: SessionLog[Any], services: Services, *, missing: int | None) -> S:
    """Record that a coin is missed since this height, or that all are there again."""
    if missing is not None:
        return await session.record_coins(missing=True, height=missing).save_async(log)
    if session.coins.missed_at is None:
        return session
    height = await asyncio.to_thread(services.chain.height)
    return await session.record_coins(missing=False, height=height).save_async(log)


async def are_gone(session: Settling, services: Services, *, missing: int | None) -> bool:
    """Whether no payment can come of the coins any more, by the source's word twice (M3)."""
    if missing is None or not session.coins.are_gone(missing, depth=session.depth):
        return False
    answer = await asyncio.to_thread(services.chain.acceptance, session.fallback)
    return isinstance(answer, Refused)


async def known_at(services: Services, outpoints: Collection[OutPoint]) -> int | None:
    """A height at which all of these are known to be there; None where nobody can tell now."""
    try:
        height = await asyncio.to_thread(services.chain.height)
        missing = await asyncio.to_thread(missing_at, services.chain, outpoints)
    except ChainError:
        return None
    return height if missing is None else None
