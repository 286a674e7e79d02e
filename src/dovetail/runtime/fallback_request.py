"""A payer's request to pay without the payjoin, in any state of the session."""

from contextlib import suppress

from dovetail.actions import Action
from dovetail.bitcoin import FeeRate
from dovetail.errors import ChainError, StaleSession, UsageError, WalletError
from dovetail.runtime.async_ports import compute
from dovetail.runtime.chain_watch import FALLBACK_REFUSED
from dovetail.runtime.fee_bump import Paying, raised
from dovetail.runtime.turn import SenderTurn
from dovetail.runtime.unmade_fallback import is_paid_beside
from dovetail.sessions import sender
from dovetail.sessions.sender import SenderSession
from dovetail.sessions.sightings import SpendKind
from dovetail.wallets.ports import Spend

PAID_ALREADY = (
    "The address was paid that amount already, by another transaction: the ordinary payment would"
    " pay it a second time. Request it again only if you want that."
)
_NOT_RAISED = (
    "The network refused the payment with its fee raised: the earlier one stays until it is"
    " replaced or mined. Try a higher `fee_rate`."
)


async def pay(state: Paying, turn: SenderTurn, *, fee_rate: FeeRate | None) -> SenderSession:
    """Broadcast the fallback, once; with `fee_rate` made anew at a higher fee.

    The decision is saved before anything is broadcast (M4). A payment already on its way, or in a
    block, is left alone. Where others have paid the invoice the user has to request it twice.
    """
    if fee_rate is not None:
        return await _raise_fee(state, turn, fee_rate)
    if _is_under_way(state):
        return state
    spend = await _look(state, turn)
    if isinstance(state, sender.Monitor) and spend is not None and spend.depth:
        return state
    if spend is None:
        await _ask_once(state, turn)
    pending = await state.request_fallback().save_async(turn.log)
    return await _broadcast(pending, turn)


def _is_under_way(state: Paying) -> bool:
    """Whether it was requested and broadcast, or another transaction competes with it."""
    if not isinstance(state, sender.Monitor):
        return False
    return state.expected == state.fallback_transaction.txid or (
        state.requested and not state.released
    )


async def _ask_once(state: Paying, turn: SenderTurn) -> None:
    """Raise `UsageError` where this would be a second payment, which the user may not know (M4).

    The payment that was reported is recorded, so that a repeated request is for a second payment.
    """
    watch, told = turn.watch, (await turn.store.row(turn.session_id)).sighting
    if getattr(state, "requested", False) or not await is_paid_beside(state, turn):
        return
    if watch.sighting is None or (
        told is not None and told.kind is SpendKind.DIRECT and not told.gone
    ):
        return
    await turn.store.saw(turn.session_id, watch.sighting)
    raise UsageError(PAID_ALREADY, actions=(Action.FALLBACK,))


async def _raise_fee(state: Paying, turn: SenderTurn, fee_rate: FeeRate) -> SenderSession:
    spend = await _spend(state, turn)
    if spend is None:
        await _ask_once(state, turn)
    prepared = await raised(state, spend, turn.wallet, fee_rate=fee_rate)
    settling = (
        state
        if isinstance(state, sender.PendingFallback | sender.Monitor)
        else await state.request_fallback().save_async(turn.log)
    )
    pending = await settling.bump(prepared.original).save_async(turn.log)
    return await _broadcast(pending, turn)


async def _broadcast(pending: sender.PendingFallback, turn: SenderTurn) -> SenderSession:
    if await turn.chain.taken(pending.fallback_transaction):
        with suppress(StaleSession):
            return await pending.record_broadcast(pending.fallback_transaction.txid).save_async(
                turn.log
            )
        # An agent recorded it first.
        return sender.replay(await compute(turn.log.load))
    spend = await _spend(pending, turn)
    if spend is None and pending.bumped is None:
        raise ChainError(FALLBACK_REFUSED)
    if spend is None:
        raise WalletError(_NOT_RAISED)
    watched = await pending.record_spend(spend.transaction).save_async(turn.log)
    if pending.bumped is not None:
        raise WalletError(_NOT_RAISED)
    return watched


async def _look(state: Paying, turn: SenderTurn) -> Spend | None:
    """Check the chain; if the source is away, the user may still decide."""
    try:
        return await _spend(state, turn)
    except ChainError:
        return None


async def _spend(state: Paying, turn: SenderTurn) -> Spend | None:
    return await turn.chain.deepest_spend(state.contested)
