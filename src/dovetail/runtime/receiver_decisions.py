"""The user's decisions about a receiver's session; `decisions` loads it and calls these."""

from contextlib import suppress
from typing import TypeAlias

from dovetail.actions import Action
from dovetail.bitcoin import FeeRate, Sats, Transaction
from dovetail.errors import ChainError, StaleSession, UsageError, WalletError
from dovetail.runtime.async_ports import compute
from dovetail.runtime.chain_queries import Look
from dovetail.runtime.chain_snapshot import Watchable, look, payload_of
from dovetail.runtime.chain_snapshot import received as look_at_address
from dovetail.runtime.chain_watch import FALLBACK_REFUSED
from dovetail.runtime.settlement_steps import fee_of
from dovetail.runtime.turn import ReceiverTurn
from dovetail.sessions import receiver
from dovetail.sessions.other_payments import Receipts
from dovetail.sessions.receiver import ReceiverSession

Early: TypeAlias = receiver.Initialized | receiver.UncheckedOriginalPayload
Settling: TypeAlias = receiver.PendingFallback | receiver.Monitor

WAITS = (
    "A plain payment to this session is not confirmed yet: the session closes as paid once it is"
    " confirmed."
)
PAID_ALREADY = (
    "The address was paid in full by another transaction: the ordinary payment would charge the"
    " sender twice. Request it again only if they know and want that."
)


async def cancel_early(state: Early, turn: ReceiverTurn) -> ReceiverSession:
    """End a session that holds no payment, as paid where the address was paid in full."""
    received = await _received(state, turn)
    if received is None or not received.full:
        return await state.cancel(received=received).save_async(turn.log)
    if received.depth < state.created.depth:
        raise UsageError(WAITS)
    return await state.record_payment(received).save_async(turn.log)


async def _received(state: Early, turn: ReceiverTurn) -> Receipts | None:
    try:
        return await look_at_address(state, turn.chain)
    except ChainError:
        return None  # if the chain source is away, the user may still cancel


async def fallback(state: ReceiverSession, turn: ReceiverTurn) -> ReceiverSession:
    """Broadcast the fallback, in every state that holds one; if it is out already, do nothing."""
    match state:
        case receiver.Closed():
            raise UsageError("The session is closed: there is nothing left to pay.")
        case (
            receiver.Initialized()
            | receiver.UncheckedOriginalPayload()
            | receiver.HasReplyableError(held=None)
        ):
            raise UsageError("No payment is held here that could be broadcast: wait for one.")
        case _:
            pass
    seen = await look(state, turn.chain)
    spend = seen.spend
    if spend is not None and (spend.depth or spend.transaction.txid == _fallback(state).txid):
        return await _note_spend(state, seen, turn)
    if seen.received.full and not _knows(state):
        return await _note_payment(state, seen.received, turn)
    if not (isinstance(state, receiver.Monitor) and state.requested):
        # Saved before the broadcast (M4), with the end of the payjoin in the same step.
        state = await _request(state, turn)
    if await turn.chain.taken(_fallback(state)):
        return await _note_broadcast(state, turn)
    if spend is None:
        raise ChainError(FALLBACK_REFUSED)
    return await _note_spend(state, seen, turn)


async def release(state: receiver.PendingFallback, turn: ReceiverTurn) -> ReceiverSession:
    """Decline the fallback; news from the chain is recorded instead, or before."""
    seen = await look(state, turn.chain)
    spends = () if seen.spend is None else (seen.spend.transaction,)
    held: receiver.PendingFallback | receiver.Closed = state
    if seen.received.full and not spends:
        held = await state.record_payment(seen.received, now=turn.now()).save_async(turn.log)
    if isinstance(held, receiver.Closed):
        return held
    return await held.release(spends=spends, received=seen.received).save_async(turn.log)


async def free_coins(
    state: ReceiverSession, turn: ReceiverTurn, *, fee_rate: FeeRate
) -> tuple[Transaction, Sats | None, bool]:
    """A transaction to our wallet that spends a coin of ours which a sender was shown.

    It is signed and not broadcast; with its fee, and whether it replaces an unconfirmed spend.
    Once it confirms the payjoin cannot be made; the fallback stays valid. Raises `UsageError`
    where no coin was shown, or where the payment is made or is in the mempool.
    """
    if not isinstance(state, Settling) or not state.exposed:
        raise UsageError("No coin of yours is out in a payjoin of this session.")
    seen = await look(state, turn.chain)
    for spend in (seen.spend, seen.revoked):
        if spend is not None and (spend.depth or state.settles(spend.transaction)):
            raise UsageError("The coins are spent already, or about to be.", actions=(Action.SHOW,))
    await turn.wallet.sync()
    coin = state.exposed[0]
    transaction = await turn.wallet.revoke(coin, fee_rate=fee_rate)
    scripts = [output.script_pubkey for output in transaction.outputs]
    owned = await turn.wallet.owned(scripts)
    if transaction.spends(coin) is None or not set(scripts) <= owned:
        raise WalletError("The wallet did not spend the coin back to itself: nothing was done.")
    return transaction, _fee(state, transaction), seen.revoked is not None


def _fee(state: Settling, transaction: Transaction) -> Sats | None:
    proposal = state.proposal
    if proposal is None:
        return None
    ours = {
        outpoint: proposal.utxo(index)
        for index, outpoint in enumerate(proposal.unsigned_transaction.contested())
        if outpoint in state.exposed
    }
    return fee_of(transaction, ours)


async def _note_spend(state: Watchable, seen: Look, turn: ReceiverTurn) -> ReceiverSession:
    """Record the spend of the coins: nothing is left to broadcast."""
    if isinstance(state, receiver.Monitor) or seen.spend is None:
        return state
    watched = await state.record_spend(seen.spend.transaction).save_async(turn.log)
    await _give_back(watched, turn)
    return watched


async def _note_payment(
    state: Watchable, received: Receipts, turn: ReceiverTurn
) -> ReceiverSession:
    """Record that the address was paid, and ask: the user may not have known."""
    noted: ReceiverSession
    if isinstance(state, receiver.PendingFallback | receiver.Monitor):
        noted = await state.record_payment(received, now=turn.now()).save_async(turn.log)
    else:
        noted = await state.record_payment(received).save_async(turn.log)
    if isinstance(noted, receiver.Closed):
        return noted
    await _give_back(noted, turn)
    raise UsageError(PAID_ALREADY, actions=(Action.FALLBACK,))


async def _request(state: Watchable, turn: ReceiverTurn) -> receiver.PendingFallback:
    pending = await state.request_fallback().save_async(turn.log)
    await _give_back(pending, turn)
    return pending


async def _give_back(after: ReceiverSession, turn: ReceiverTurn) -> None:
    """Let other sessions offer our coins, where no sender was shown them (P3)."""
    if isinstance(after, Settling) and not after.proposal_out:
        await turn.store.release(turn.session_id)


async def _note_broadcast(state: Watchable, turn: ReceiverTurn) -> ReceiverSession:
    if not isinstance(state, receiver.PendingFallback):
        return state
    with suppress(StaleSession):
        return await state.record_broadcast(state.fallback_transaction.txid).save_async(turn.log)
    # An agent recorded it first.
    return await compute(lambda: receiver.replay(turn.log.load()))


def _knows(state: Watchable) -> bool:
    return isinstance(state, Settling) and bool(state.paid_by)


def _fallback(state: Watchable) -> Transaction:
    return payload_of(state).fallback_transaction
