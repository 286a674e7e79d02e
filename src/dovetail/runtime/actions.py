"""What a person decides about a session: cancel, pay by the fallback, release, revoke.

Each loads the session, saves what was decided and broadcasts what has to be. Where the state
does not allow it, `UsageError` says why and nothing is changed. An agent that has the same
session under way notices and goes on from there.
"""

import asyncio
from typing import TypeAlias

from dovetail.bitcoin import FeeRate, Transaction
from dovetail.errors import UsageError, WalletError
from dovetail.runtime.sending import broadcast_fallback
from dovetail.runtime.services import Services
from dovetail.runtime.watching import deepest_spend
from dovetail.sessions import receiver, sender
from dovetail.sessions.receiver import ReceiverSession
from dovetail.sessions.sender import SenderSession
from dovetail.stores.ports import Role, SessionId, Store
from dovetail.wallets.ports import Accepted

State: TypeAlias = ReceiverSession | SenderSession


def load(store: Store, session_id: SessionId) -> State:
    """The session as its log has it; raises `SessionNotFound` and `ReplayError`."""
    if store.row(session_id).role is Role.RECEIVER:
        return receiver.replay(store.receiver(session_id).load())
    return sender.replay(store.sender(session_id).load())


async def cancel(services: Services, session_id: SessionId) -> State:
    """Stop the payjoin, not the payment: where a fallback is held, it is still to be decided."""
    match await asyncio.to_thread(load, services.store, session_id):
        case (
            receiver.PendingFallback()
            | receiver.Monitor()
            | receiver.Closed()
            | sender.PendingBroadcast()
            | sender.PendingFallback()
            | sender.Monitor()
            | sender.Closed() as settled
        ):
            raise UsageError(_too_late(settled))
        case (
            sender.WithReplyKey()
            | sender.PostingOriginal()
            | sender.PollingForProposal()
            | sender.ProposalReceived() as paying
        ):
            return await paying.cancel().save_async(services.store.sender(session_id))
        case receiving:
            return await receiving.cancel().save_async(services.store.receiver(session_id))


async def fallback(services: Services, session_id: SessionId) -> State:
    """Pay by the fallback now, on the user's word.

    Where a payjoin may be under way the two compete, and exactly one of them confirms (M4).
    Raises `UsageError` where nothing can be broadcast, or where the network refuses it.
    """
    match await asyncio.to_thread(load, services.store, session_id):
        case receiver.PendingFallback() | receiver.Monitor() as receiving:
            return await _receiver_fallback(services, session_id, receiving)
        case sender.PendingFallback() | sender.Monitor() as paying:
            return await _sender_fallback(services, session_id, paying)
        case receiver.Closed() | sender.Closed():
            raise UsageError("The session is closed: there is nothing left to pay.")
        case _:
            raise UsageError("The payjoin is still being negotiated: cancel the session first.")


async def release(services: Services, session_id: SessionId) -> State:
    """Decline the fallback, on the record. What has left can still be broadcast by others."""
    match await asyncio.to_thread(load, services.store, session_id):
        case receiver.PendingFallback() as receiving:
            return await receiving.release().save_async(services.store.receiver(session_id))
        case sender.PendingFallback() as paying:
            spend = await asyncio.to_thread(deepest_spend, services.chain, paying.contested)
            spends = () if spend is None else (spend.transaction,)
            log = services.store.sender(session_id)
            return await paying.release(spends=spends).save_async(log)
        case _:
            raise UsageError(
                "Only a pending fallback can be released: cancel the session first if it is open."
            )


async def revoke(
    services: Services, session_id: SessionId, *, fee_rate: FeeRate
) -> tuple[State, Transaction]:
    """Take a released payment back: spend one of its coins to ourselves.

    A race, if the receiver broadcasts the fallback at the same time. Raises `UsageError` for a
    session that was not released or is spent already, and where the network refuses.
    """
    state = await asyncio.to_thread(load, services.store, session_id)
    if not isinstance(state, sender.Monitor) or not state.released:
        raise UsageError("Only a released payment can be revoked: cancel and release it first.")
    if await asyncio.to_thread(deepest_spend, services.chain, state.contested) is not None:
        raise UsageError("The payment's coins are spent already: `show` says by what.")
    await asyncio.to_thread(services.wallet.sync)
    transaction = await asyncio.to_thread(
        lambda: services.wallet.revoke(state.contested[0], fee_rate=fee_rate)
    )
    scripts = [output.script_pubkey for output in transaction.outputs]
    owned = await asyncio.to_thread(services.wallet.owned, scripts)
    state.check_revocation(transaction, owned=owned)
    answer = await asyncio.to_thread(services.chain.broadcast, transaction)
    if not isinstance(answer, Accepted):
        raise WalletError("The network refused the revocation: try a higher fee rate.")
    return state, transaction


async def _receiver_fallback(
    services: Services,
    session_id: SessionId,
    state: receiver.PendingFallback | receiver.Monitor,
) -> State:
    log = services.store.receiver(session_id)
    if isinstance(state, receiver.Monitor):
        state = await state.request_fallback().save_async(log)
    answer = await asyncio.to_thread(services.chain.broadcast, state.fallback)
    if isinstance(answer, Accepted):
        return await state.record_broadcast(state.fallback.txid).save_async(log)
    spend = await asyncio.to_thread(deepest_spend, services.chain, state.contested)
    if spend is None:
        raise WalletError(_REFUSED)
    return await state.record_spend(spend.transaction).save_async(log)


async def _sender_fallback(
    services: Services, session_id: SessionId, state: sender.PendingFallback | sender.Monitor
) -> State:
    log = services.store.sender(session_id)
    if isinstance(state, sender.Monitor):
        state = await state.request_fallback().save_async(log)
    after = await broadcast_fallback(state, log, services)
    if after is not state:
        return after
    spend = await asyncio.to_thread(deepest_spend, services.chain, state.contested)
    if spend is None:
        raise WalletError(_REFUSED)
    return await state.record_spend(spend.transaction).save_async(log)


_REFUSED = (
    "The network refused the fallback for now: it stays pending, so try again later"
    " or see the debug log."
)


def _too_late(state: State) -> str:
    match state:
        case receiver.Closed() | sender.Closed():
            return "The session is closed: there is nothing left to cancel."
        case receiver.PendingFallback() | sender.PendingFallback():
            return "The payjoin has ended already: pay by `fallback`, or decline with `release`."
        case _:
            return (
                "A payment is on its way already: `fallback` competes with it, and nothing can"
                " stop it."
            )
