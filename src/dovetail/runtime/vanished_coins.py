"""Coins of a payment that vanish: one rule for both roles.

A coin is missing only if the source answers so, never because it did not answer. The log keeps
since when, so that a restart does not begin the count anew.
"""

from collections.abc import Collection
from typing import Any, TypeVar

from dovetail.bitcoin import OutPoint
from dovetail.errors import ChainError
from dovetail.runtime.async_ports import AsyncChain
from dovetail.runtime.turn import Turn
from dovetail.sessions.settlement import Settling
from dovetail.wallets.ports import Refused

S = TypeVar("S", bound=Settling[Any, Any, Any])


async def noted(session: S, turn: Turn[Any], *, missing: int | None) -> S:
    """Record that a coin is missing since this height, or that all exist again."""
    if missing is not None:
        return await session.record_coins(missing=True, height=missing).save_async(turn.log)
    if session.coins.missed_at is None:
        return session
    height = await turn.chain.height()
    return await session.record_coins(missing=False, height=height).save_async(turn.log)


async def are_gone(
    session: Settling[Any, Any, Any], turn: Turn[Any], *, missing: int | None
) -> bool:
    """Whether the coins can make no payment any more, as the source answered twice (M3)."""
    if missing is None or not session.coins.are_gone(missing, depth=session.depth):
        return False
    answer = await turn.chain.acceptance(session.fallback_transaction)
    return isinstance(answer, Refused)


async def known_at(chain: AsyncChain, outpoints: Collection[OutPoint]) -> int | None:
    """A height at which all of these are known to exist; None where that is unknown now."""
    try:
        height = await chain.height()
        missing = await chain.missing_at(outpoints)
    except ChainError:
        return None
    return height if missing is None else None
