"""The sender's last two states: a fallback that is held, and a payment under way."""

from typing import TypeAlias

from dovetail.bitcoin import Transaction
from dovetail.errors import ChainError
from dovetail.runtime.chain_watch import FALLBACK_REFUSED
from dovetail.runtime.fallback_policy import is_due
from dovetail.runtime.fees import tell_fee
from dovetail.runtime.settlement_steps import broadcast_fallback
from dovetail.runtime.turn import SenderTurn
from dovetail.runtime.unmade_fallback import require_unpaid
from dovetail.runtime.vanished_coins import are_gone, noted
from dovetail.sessions import sender
from dovetail.sessions.sender import SenderSession

Settling: TypeAlias = sender.PendingFallback | sender.Monitor


async def settle(session: Settling, turn: SenderTurn) -> SenderSession:
    """Take one step towards the settlement."""
    if isinstance(session, sender.PendingFallback):
        return await _settle_by_fallback(session, turn)
    return await _watch_payment(session, turn)


async def _settle_by_fallback(session: sender.PendingFallback, turn: SenderTurn) -> SenderSession:
    """Check the chain before every broadcast: the payment may have been made already (M4).

    A fallback that the user requested competes with an unconfirmed spend.
    """
    spend = await turn.chain.deepest_spend(session.contested)
    missing = await turn.chain.missing_at(session.contested) if spend is None else None
    looked = await noted(session, turn, missing=missing)
    if looked is not session:
        return looked
    if spend is not None and (spend.depth or not session.requested):
        return await session.record_spend(spend.transaction).save_async(turn.log)
    if missing is not None and await are_gone(session, turn, missing=missing):
        return await session.record_gone(height=missing).save_async(turn.log)
    if not is_due(session, turn.services):
        return session
    if not session.requested:
        await require_unpaid(session, turn)
    if session.may_end_unpaid:
        return await session.request_fallback().save_async(turn.log)
    watched = await broadcast_fallback(session, turn, rival=spend)
    if watched is None:
        raise ChainError(FALLBACK_REFUSED)
    return watched


async def _watch_payment(session: sender.Monitor, turn: SenderTurn) -> SenderSession:
    spend = await turn.chain.deepest_spend(session.contested)
    missing = await turn.chain.missing_at(session.contested) if spend is None else None
    looked = await noted(session, turn, missing=missing)
    if looked is not session:
        return looked
    if session.expected == session.fallback_transaction.txid and (spend is None or not spend.depth):
        await tell_fee(session, turn)
    if spend is not None:
        scripts = [output.script_pubkey for output in spend.transaction.outputs]
        owned = await turn.wallet.owned(scripts)
        turn.watch.see(session, spend, owned=owned)
        return await session.record_settlement(
            spend.transaction, depth=spend.depth, owned=owned
        ).save_async(turn.log)
    turn.watch.see(session, None)
    if missing is not None and await are_gone(session, turn, missing=missing):
        return await session.record_gone(height=missing).save_async(turn.log)
    if session.released or await _rebroadcast(session, turn) or missing is not None:
        return session  # its coins are missing: it can only wait for them
    if await turn.chain.deepest_spend(session.contested) is not None:
        return session  # it was seen meanwhile
    if _awaited_payjoin(session) is not None:
        return await session.payjoin_dropped(now=turn.now()).save_async(turn.log)
    if session.expected == session.fallback_transaction.txid:
        raise ChainError(FALLBACK_REFUSED)
    return await session.spend_dropped().save_async(turn.log)


async def _rebroadcast(session: sender.Monitor, turn: SenderTurn) -> bool:
    """Whether the network takes, or still has, the transaction that was broadcast last.

    So a source that forgets it, or shows a mempool late, causes no event in the log.
    """
    payjoin = _awaited_payjoin(session)
    if payjoin is not None:
        transaction = payjoin
    elif session.expected == session.fallback_transaction.txid:
        transaction = session.fallback_transaction
    else:
        return False
    return await turn.chain.taken(transaction)


def _awaited_payjoin(session: sender.Monitor) -> Transaction | None:
    # A reason means that the negotiation was given up: its payjoin is not broadcast again.
    if session.payjoin is None or session.reason is not None:
        return None
    return session.payjoin if session.expected == session.payjoin.txid else None
