"""The user's decisions about a session: cancel, pay by the fallback, release, revoke.

Each loads the session, saves the decision and broadcasts if it has to. Where the state
does not allow it, `UsageError` says why and nothing is changed. An agent that has the same
session under way notices and goes on from there.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from dovetail.actions import Action
from dovetail.bitcoin import FeeRate, Sats, Transaction
from dovetail.errors import (
    ChainError,
    InfrastructureError,
    StaleSession,
    UsageError,
    WalletError,
)
from dovetail.runtime import fallback_request, receiver_decisions
from dovetail.runtime.async_ports import compute
from dovetail.runtime.chain_watch import ChainWatch
from dovetail.runtime.coin_locks import hold_coins
from dovetail.runtime.fees import estimated_rate
from dovetail.runtime.services import Services
from dovetail.runtime.settlement_steps import fee_of
from dovetail.runtime.turn import Turn
from dovetail.sessions import receiver, sender
from dovetail.sessions.settlement import REQUESTED
from dovetail.sessions.standing import AnySession
from dovetail.stores.ports import SessionId


async def cancel(services: Services, session_id: SessionId) -> AnySession:
    """Stop the payjoin, not the payment: where a fallback is held, it is still to be decided.

    A receiver whose address was paid by a plain payment is closed as paid instead, and one whose
    proposal is out looks for the payjoin first: the sender can still broadcast it.
    """
    return await _decide(_cancel, services, session_id)


async def fallback(
    services: Services, session_id: SessionId, *, fee_rate: FeeRate | None = None
) -> AnySession:
    """Pay by the fallback now, as the user decided; a second call changes nothing.

    Where a payjoin may be under way the two compete, and exactly one of them confirms (M4). With
    `fee_rate` a payer's fallback is made anew: the same payment from the same coins, out of the
    change, at this rate or one that replaces an unconfirmed spend (BIP 125). Raises `UsageError`
    where nothing can be broadcast, `WalletError` where the network refuses, and
    `InsufficientFunds` where the change is too small.
    """
    return await _decide(partial(_fallback, fee_rate=fee_rate), services, session_id)


async def release(services: Services, session_id: SessionId) -> AnySession:
    """Decline the fallback, and save that. Others can still broadcast what was sent to them.

    Where the chain shows that it was paid meanwhile, that is recorded instead.
    """
    return await _decide(_release, services, session_id)


def require_releasable(state: AnySession) -> None:
    """Raise `UsageError` where there is nothing to decline, or it cannot be declined any more."""
    match state:
        case receiver.PendingFallback(requested=True) | sender.PendingFallback(requested=True):
            raise UsageError(REQUESTED, actions=(Action.RESUME,))
        case receiver.PendingFallback() | sender.PendingFallback():
            return
        case receiver.Closed() | sender.Closed():
            raise UsageError("The session is closed: there is nothing left to release.")
        case receiver.Monitor() | sender.Monitor():
            raise UsageError("A payment may be on its way already: only the chain can end it.")
        case _:
            raise UsageError(
                "Only an ordinary payment that waits can be released: cancel the session first."
            )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Revocation:
    """A transaction that takes a released payment back, signed and not broadcast yet."""

    session_id: SessionId
    state: AnySession
    transaction: Transaction
    fee: Sats | None
    """The fee in satoshis; None where it spends coins that the session does not know."""
    replaces: bool
    """Whether it replaces an unconfirmed spend in the mempool."""

    def __repr__(self) -> str:
        return "<Revocation>"


async def prepare_revocation(
    services: Services, session_id: SessionId, *, fee_rate: FeeRate | None = None
) -> Revocation:
    """The transaction that `revoke` would broadcast, so that a person can review its cost.

    A payer takes a released payment back: one of its coins is spent to ourselves. A receiver frees
    the coins that a sender was shown in a payjoin that was never made. Raises `UsageError` for a
    session that was not released, or is spent already.
    """
    state = await services.async_store.load(session_id)
    rate = await compute(estimated_rate, services) if fee_rate is None else fee_rate
    if isinstance(state, receiver.PendingFallback | receiver.Monitor):
        freeing, fee, replaces = await receiver_decisions.free_coins(
            state, Turn(services.store.receiver(session_id), services), fee_rate=rate
        )
        return Revocation(
            session_id=session_id, state=state, transaction=freeing, fee=fee, replaces=replaces
        )
    if not isinstance(state, sender.Monitor) or not state.released:
        raise UsageError("Only a released payment can be revoked: cancel and release it first.")
    spend = await services.async_chain.deepest_spend(state.contested)
    if spend is not None and spend.depth > 0:
        raise UsageError("The payment's coins are spent already.", actions=(Action.SHOW,))
    await services.async_wallet.sync()
    transaction = await services.async_wallet.revoke(state.contested[0], fee_rate=rate)
    scripts = [output.script_pubkey for output in transaction.outputs]
    owned = await services.async_wallet.owned(scripts)
    state.check_revocation(transaction, owned=owned)
    return Revocation(
        session_id=session_id,
        state=state,
        transaction=transaction,
        fee=fee_of(transaction, dict(zip(state.contested, state.original.utxos(), strict=True))),
        replaces=spend is not None,
    )


async def revoke(services: Services, revocation: Revocation) -> None:
    """Broadcast it; it competes with the payment if the other party broadcasts at the same time.

    An unconfirmed spend is replaced. Raises `WalletError` where the network refuses.
    """
    if not await services.async_chain.taken(revocation.transaction):
        raise WalletError("The network refused the revocation: try a higher fee rate.")


Decision: TypeAlias = Callable[[Services, SessionId, AnySession], Awaitable[AnySession]]


async def _decide(decision: Decision, services: Services, session_id: SessionId) -> AnySession:
    """Decide on the current state; on the newer one where an agent was faster (M5)."""
    decided = await _decided(decision, services, session_id)
    await hold_coins(services)
    with suppress(InfrastructureError):  # the decision is saved already
        await _keep_sight(services, session_id, decided)
    return decided


async def _keep_sight(services: Services, session_id: SessionId, state: AnySession) -> None:
    """Update the sighting after a broadcast, so that lists do not name a replaced transaction."""
    if not isinstance(state, receiver.Monitor | sender.Monitor) or state.expected is None:
        return
    row, watch = await services.async_store.row(session_id), ChainWatch()
    kept = row.sighting
    if kept is not None and kept.txid == state.expected:
        return
    spend = await services.async_chain.deepest_spend(state.contested)
    watch.see(state, spend)
    if watch.sighting is not None:
        await services.async_store.saw(session_id, watch.sighting)


async def _decided(decision: Decision, services: Services, session_id: SessionId) -> AnySession:
    for _ in range(_TURNS - 1):
        state = await services.async_store.load(session_id)
        with suppress(StaleSession):
            return await decision(services, session_id, state)
    state = await services.async_store.load(session_id)
    return await decision(services, session_id, state)


_TURNS = 5


async def _cancel(services: Services, session_id: SessionId, state: AnySession) -> AnySession:
    match state:
        case receiver.Monitor(seen_spent=False, released=False):
            with suppress(ChainError):  # the user may still cancel
                if await services.async_chain.deepest_spend(state.contested):
                    raise _too_late(state)
            return await state.cancel().save_async(services.store.receiver(session_id))
        case (
            receiver.PendingFallback()
            | receiver.Monitor()
            | receiver.Closed()
            | sender.PendingBroadcast()
            | sender.PendingFallback()
            | sender.Monitor()
            | sender.Closed()
        ):
            raise _too_late(state)
        case (
            sender.WithReplyKey()
            | sender.PostingOriginal()
            | sender.PollingForProposal()
            | sender.ProposalReceived()
        ):
            return await state.cancel().save_async(services.store.sender(session_id))
        case receiver.Initialized() | receiver.UncheckedOriginalPayload():
            turn = Turn(services.store.receiver(session_id), services)
            return await receiver_decisions.cancel_early(state, turn)
        case _:
            cancelled = await state.cancel().save_async(services.store.receiver(session_id))
            if not isinstance(state, receiver.PayjoinProposal):
                # No sender saw our coins, so other sessions may offer them (P3).
                await services.async_store.release(session_id)
            return cancelled


async def _fallback(
    services: Services, session_id: SessionId, state: AnySession, *, fee_rate: FeeRate | None
) -> AnySession:
    match state:
        case sender.Closed():
            raise UsageError("The session is closed: there is nothing left to pay.")
        case (
            sender.WithReplyKey()
            | sender.PostingOriginal()
            | sender.PollingForProposal()
            | sender.ProposalReceived()
            | sender.PendingBroadcast()
            | sender.PendingFallback()
            | sender.Monitor()
        ):
            turn = Turn(services.store.sender(session_id), services)
            return await fallback_request.pay(state, turn, fee_rate=fee_rate)
        case _ if fee_rate is not None:
            raise UsageError("Only the payer can raise the fee: leave `fee_rate` out.")
        case _:
            receiving = Turn(services.store.receiver(session_id), services)
            return await receiver_decisions.fallback(state, receiving)


async def _release(services: Services, session_id: SessionId, state: AnySession) -> AnySession:
    match state:
        case receiver.PendingFallback():
            receiving = Turn(services.store.receiver(session_id), services)
            return await receiver_decisions.release(state, receiving)
        case sender.PendingFallback():
            spend = await services.async_chain.deepest_spend(state.contested)
            released = state.release(spends=() if spend is None else (spend.transaction,))
            return await released.save_async(services.store.sender(session_id))
        case _:
            require_releasable(state)
            return state


def _too_late(state: AnySession) -> UsageError:
    match state:
        case receiver.Closed() | sender.Closed():
            return UsageError("The session is closed: there is nothing left to cancel.")
        case receiver.PendingFallback(requested=True) | sender.PendingFallback(requested=True):
            return UsageError(
                "You requested the ordinary payment already.", actions=(Action.RESUME,)
            )
        case receiver.PendingFallback() | sender.PendingFallback():
            return UsageError(
                "The payjoin has ended already: decide about the ordinary payment.",
                actions=(Action.FALLBACK, Action.RELEASE),
            )
        case _:
            return UsageError(
                "A payment is on its way already and cannot be stopped, but the ordinary payment"
                " can compete with it.",
                actions=(Action.FALLBACK,),
            )
