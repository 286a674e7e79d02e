"""A payer's word to pay without the payjoin, from wherever the session stands."""

import asyncio
from contextlib import suppress

from dovetail.bitcoin import FeeRate
from dovetail.errors import ChainError, StaleSession, UsageError, WalletError
from dovetail.runtime.chain_watch import REFUSED, ChainWatch, deepest_spend, taken
from dovetail.runtime.fee_bump import Paying, raised
from dovetail.runtime.services import Services
from dovetail.runtime.unmade_fallback import is_paid_beside
from dovetail.sessions import sender
from dovetail.sessions.sender import SenderSession
from dovetail.sessions.sightings import SpendKind
from dovetail.stores.ports import SessionId
from dovetail.wallets.ports import Spend

PAID_ALREADY = (
    "The address was paid that amount already, by another transaction: the ordinary payment would"
    " pay it a second time. Say `fallback` again only if you want that."
)
_NOT_RAISED = (
    "The network refused the payment with its fee raised: what waits there stays until it is"
    " replaced or mined. Try a higher `--fee-rate`."
)


async def pay(
    services: Services, session_id: SessionId, state: Paying, *, fee_rate: FeeRate | None
) -> SenderSession:
    """Broadcast the fallback, once; with `fee_rate` made anew at a higher fee.

    The decision is durable before anything leaves (M4). What is on its way already, or lies in a
    block, is left alone. Where others have paid the invoice the word has to be said twice.
    """
    if fee_rate is not None:
        return await _raise_fee(services, session_id, state, fee_rate)
    if _is_under_way(state):
        return state
    spend = await _look(services, state)
    if isinstance(state, sender.Monitor) and spend is not None and spend.depth:
        return state
    if spend is None:
        await _ask_once(services, session_id, state)
    log = services.store.sender(session_id)
    pending = await state.request_fallback().save_async(log)
    return await _broadcast(services, session_id, pending, REFUSED)


def _is_under_way(state: Paying) -> bool:
    """Whether it was asked for and broadcast, or something else that is seen competes with it."""
    if not isinstance(state, sender.Monitor):
        return False
    return state.expected == state.fallback.txid or (state.requested and not state.released)


async def _ask_once(services: Services, session_id: SessionId, state: Paying) -> None:
    """Raise `UsageError` where this would be a second payment, which the user may not know (M4).

    What was told of it is kept, so that the same word said again is for a second payment.
    """
    watch, told = ChainWatch(), services.store.row(session_id).sighting
    if getattr(state, "requested", False) or not await is_paid_beside(state, services, watch):
        return
    if watch.sighting is None or (
        told is not None and told.kind is SpendKind.DIRECT and not told.gone
    ):
        return
    await asyncio.to_thread(services.store.saw, session_id, watch.sighting)
    raise UsageError(PAID_ALREADY)


async def _raise_fee(
    services: Services, session_id: SessionId, state: Paying, fee_rate: FeeRate
) -> SenderSession:
    log = services.store.sender(session_id)
    spend = await _spend(services, state)
    if spend is None:
        await _ask_once(services, session_id, state)
    prepared = await raised(state, spend, services, fee_rate=fee_rate)
    settling = (
        state
        if isinstance(state, sender.PendingFallback | sender.Monitor)
        else await state.request_fallback().save_async(log)
    )
    pending = await settling.bump(prepared.original).save_async(log)
    return await _broadcast(services, session_id, pending, _NOT_RAISED)


async def _broadcast(
    services: Services, session_id: SessionId, pending: sender.PendingFallback, refused: str
) -> SenderSession:
    log = services.store.sender(session_id)
    if await asyncio.to_thread(taken, services.chain, pending.fallback):
        with suppress(StaleSession):
            return await pending.record_broadcast(pending.fallback.txid).save_async(log)
        # An agent saw it on the chain before we could say so.
        return sender.replay(await asyncio.to_thread(log.load))
    spend = await _spend(services, pending)
    if spend is None:
        raise WalletError(refused)
    watched = await pending.record_spend(spend.transaction).save_async(log)
    if pending.bumped is not None:
        raise WalletError(refused)
    return watched


async def _look(services: Services, state: Paying) -> Spend | None:
    """A chain source that is away takes nobody's right to decide."""
    try:
        return await _spend(services, state)
    except ChainError:
        return None


async def _spend(services: Services, state: Paying) -> Spend | None:
    return await asyncio.to_thread(deepest_spend, services.chain, state.contested)
