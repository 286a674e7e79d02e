"""What to pay miners, and whether a fallback pays enough to be mined soon."""

import asyncio
from typing import TypeAlias

from dovetail.bitcoin import FeeRate, UnixTime
from dovetail.errors import ChainError, ParseError
from dovetail.runtime.chain_watch import ChainWatch, LowFee
from dovetail.runtime.services import Services
from dovetail.sessions import receiver, sender

Fallback: TypeAlias = (
    receiver.Monitor | receiver.PendingFallback | sender.Monitor | sender.PendingFallback
)

AGAIN_AFTER = 600
"""Seconds between two looks at what fees are asked for."""

HIGHEST_ESTIMATE = FeeRate.from_sat_per_vb(2_000)
"""More than a block has ever asked for; only a person pays more."""


def estimated_rate(services: Services) -> FeeRate:
    """What the chain source estimates for `fee_target`.

    Raises `ChainError` for an estimate beyond all measure: a source that errs, or lies, must not
    have a wallet burn its coins.
    """
    estimate = services.chain.fee_rate(target=services.policy.fee_target)
    if estimate > HIGHEST_ESTIMATE:
        raise ChainError(
            f"The chain source estimates a fee rate of {estimate}, which is beyond all measure."
            " Choose one with `--fee-rate`, or use another source."
        )
    return estimate


async def low_fee(state: Fallback, services: Services) -> LowFee | None:
    """The fallback's fee rate beside what `fee_target` asks for now, where it is the lower one.

    None also where the chain source cannot tell.
    """
    try:
        paid = FeeRate.of(state.original.fee, state.fallback.weight)
        asked = await asyncio.to_thread(services.chain.fee_rate, target=services.policy.fee_target)
    except (ChainError, ParseError):
        return None
    return LowFee(paid, asked) if paid < asked else None


async def tell_fee(state: Fallback, services: Services, watch: ChainWatch) -> None:
    """Note in `watch` whether the fallback, which waits to be mined, pays too little."""
    now = services.clock()
    if watch.fee_told_at is None or now >= watch.fee_told_at + AGAIN_AFTER:
        watch.fee_told_at = UnixTime(now)
        watch.low_fee = await low_fee(state, services)
