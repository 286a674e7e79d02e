"""Fee estimates, and whether a fallback pays enough to be mined soon."""

from typing import Any, TypeAlias

from dovetail.bitcoin import FeeRate
from dovetail.errors import ChainError, ParseError
from dovetail.runtime.chain_watch import LowFee
from dovetail.runtime.services import Services
from dovetail.runtime.turn import Turn
from dovetail.sessions.settlement import Settling

Fallback: TypeAlias = Settling[Any, Any, Any]

AGAIN_AFTER = 600
"""Seconds between two fee estimates."""

HIGHEST_ESTIMATE = FeeRate.from_sat_per_vb(2_000)
"""More than any block has ever required; only a person may pay more."""


def estimated_rate(services: Services) -> FeeRate:
    """The chain source's estimate for `fee_target`.

    Raises `ChainError` for an absurdly high estimate: a source that errs, or lies, must not make
    a wallet burn its coins.
    """
    estimate = services.chain.fee_rate(target=services.policy.fee_target)
    if estimate > HIGHEST_ESTIMATE:
        raise ChainError(
            f"The chain source estimates a fee rate of {estimate}, which is far too high."
            " Choose a `fee_rate`, or use another source."
        )
    return estimate


async def low_fee(state: Fallback, services: Services) -> LowFee | None:
    """The fallback's fee rate and the present estimate for `fee_target`, if it is below that.

    None also where the chain source cannot tell.
    """
    try:
        paid = FeeRate.of(state.original.fee, state.fallback_transaction.weight)
        asked = await services.async_chain.fee_rate(target=services.policy.fee_target)
    except (ChainError, ParseError):
        return None
    return LowFee(paid, asked) if paid < asked else None


async def tell_fee(state: Fallback, turn: Turn[Any]) -> None:
    """Note in `watch` whether the unconfirmed fallback pays too low a fee rate."""
    now = turn.now()
    if turn.watch.fee_told_at is None or now >= turn.watch.fee_told_at + AGAIN_AFTER:
        turn.watch.fee_told_at = now
        turn.watch.low_fee = await low_fee(state, turn.services)
