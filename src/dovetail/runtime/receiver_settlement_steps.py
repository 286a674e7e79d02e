"""The receiver's last two states: a fallback that is held, and a payment under way."""

from typing import TypeAlias

from dovetail.errors import ChainError
from dovetail.protocol.original import fee_rate as paid_rate
from dovetail.protocol.verification import Verdict
from dovetail.runtime.async_ports import compute
from dovetail.runtime.chain_queries import Look
from dovetail.runtime.chain_snapshot import look
from dovetail.runtime.chain_watch import FALLBACK_REFUSED, Rival
from dovetail.runtime.fallback_policy import is_due
from dovetail.runtime.fees import tell_fee
from dovetail.runtime.settlement_steps import broadcast_fallback
from dovetail.runtime.turn import ReceiverTurn
from dovetail.runtime.vanished_coins import are_gone, noted
from dovetail.sessions import receiver
from dovetail.sessions.receiver import ReceiverSession
from dovetail.wallets.ports import Spend

Settling: TypeAlias = receiver.PendingFallback | receiver.Monitor

AGAIN_AFTER = 600
"""Seconds between two broadcasts against a rival in the mempool."""


async def settle(session: Settling, turn: ReceiverTurn) -> ReceiverSession:
    """Take one step towards the settlement.

    A crash after the end of a negotiation and before its coins are given back would hold them
    until the close. So each process gives them back once, where no sender was shown them (P3).
    """
    if not session.proposal_out and not turn.watch.gave_back:
        await turn.store.release(turn.session_id)
        turn.watch.gave_back = True
    if isinstance(session, receiver.PendingFallback):
        return await _settle_by_fallback(session, turn)
    return await _watch_payment(session, turn)


async def _settle_by_fallback(
    session: receiver.PendingFallback, turn: ReceiverTurn
) -> ReceiverSession:
    """Check the chain before every broadcast: the payment may have been made already (M4)."""
    seen = await look(session, turn.chain)
    await note(session, turn, seen)
    looked = await noted(session, turn, missing=seen.missing_at)
    if looked is not session:
        return looked
    spend = seen.spend
    if spend is not None:
        turn.watch.see(session, spend, received=seen.received)
    if spend is not None and _is_answer(session, spend):
        return await session.record_spend(spend.transaction).save_async(turn.log)
    ended = await _end_without_it(session, turn, seen)
    if ended is not session or not is_due(session, turn.services):
        return ended
    if session.may_end_unpaid:
        return await session.request_fallback().save_async(turn.log)
    watched = await broadcast_fallback(session, turn, rival=spend)
    return await _refused(session, turn, seen) if watched is None else watched


def _is_answer(session: receiver.PendingFallback, spend: Spend) -> bool:
    """Whether the chain has decided, or waits to confirm what the fallback would pay.

    An unconfirmed transaction that is not the payment does not prevent the fallback. A fallback
    that the user requested is broadcast against a payjoin too.
    """
    if spend.depth or spend.transaction.txid == session.fallback_transaction.txid:
        return True
    return session.settles(spend.transaction) and not session.requested


async def _watch_payment(session: receiver.Monitor, turn: ReceiverTurn) -> ReceiverSession:
    """Follow the spends of the contested outpoints, and rebroadcast what was dropped (M3)."""
    seen = await look(session, turn.chain)
    spend = seen.spend
    if session.fallback_broadcast and (spend is None or not spend.depth):
        await tell_fee(session, turn)
    turn.watch.see(session, spend, received=seen.received)
    await note(session, turn, seen)
    looked = await noted(session, turn, missing=seen.missing_at)
    if looked is not session:
        return looked
    if spend is not None and (spend.depth or session.settles(spend.transaction)):
        settled = session.record_settlement(
            spend.transaction, depth=spend.depth, received=seen.received
        )
        return await settled.save_async(turn.log)
    if session.released and seen.revoked is not None:
        revoked = session.record_revoked(
            seen.revoked.transaction, depth=seen.revoked.depth, received=seen.received
        )
        return await revoked.save_async(turn.log)
    ended = await _end_without_it(session, turn, seen)
    if ended is not session:
        return ended
    return await _bring_back(session, turn, seen)


async def _bring_back(session: receiver.Monitor, turn: ReceiverTurn, seen: Look) -> ReceiverSession:
    """Broadcast again a transaction that was dropped, or that a rival in the mempool keeps out.

    This is no new decision, so it adds no event when a mempool or a reorganisation drops a
    transaction that was seen or broadcast before.
    """
    rival = seen.spend
    payjoin = None if session.fallback_broadcast or rival else turn.watch.payjoin
    if payjoin is not None and await turn.chain.taken(payjoin):
        return session
    due = is_due(session, turn.services)
    decided = session.seen_spent and session.reason is not None
    if not ((session.fallback_broadcast and not session.paid_twice) or (due and decided)):
        return await session.fallback_due(turn.now()).save_async(turn.log) if due else session
    if rival is not None and not _again(turn):
        return session
    if await turn.chain.taken(session.fallback_transaction) or rival is not None:
        return session
    return await _refused(session, turn, seen)


async def _refused(session: Settling, turn: ReceiverTurn, seen: Look) -> ReceiverSession:
    """End a fallback that no network can ever take; raises `ChainError` for any other."""
    now = turn.now()
    waits = session.proposal_out and now < session.watched_until
    if waits or not await compute(_is_invalid, session):
        raise ChainError(FALLBACK_REFUSED)
    ended = session.record_invalid(now=now, received=seen.received)
    return await ended.save_async(turn.log)


def _is_invalid(session: Settling) -> bool:
    return session.payload.signatures is Verdict.INVALID


def _again(turn: ReceiverTurn) -> bool:
    now = turn.now()
    if turn.watch.tried_at is not None and now < turn.watch.tried_at + AGAIN_AFTER:
        return False
    turn.watch.tried_at = now
    return True


async def _end_without_it(session: Settling, turn: ReceiverTurn, seen: Look) -> ReceiverSession:
    """End or hold back the fallback where the payment was made otherwise, or cannot be made."""
    now = turn.now()
    if seen.received.full:
        return await session.record_payment(seen.received, now=now).save_async(turn.log)
    if seen.spend is not None:
        return session
    height = seen.missing_at
    if height is not None and await are_gone(session, turn, missing=height):
        gone = session.record_gone(height=height, received=seen.received)
        return await gone.save_async(turn.log)
    if session.may_expire and now >= session.watched_until:
        return await session.expire(now, received=seen.received).save_async(turn.log)
    return session


async def note(session: Settling, turn: ReceiverTurn, seen: Look) -> None:
    """Note the result of one check of the chain, for updates and lists."""
    turn.watch.received = seen.received
    if seen.spend is None:
        turn.watch.see_received(seen.received, wanted=session.depth, asked=session.created.amount)
    spend = seen.spend
    rival = spend is not None and not spend.depth and not session.settles(spend.transaction)
    if spend is None or not rival:
        turn.watch.see_rival(None)
    elif turn.watch.rival is None or turn.watch.rival.txid != spend.transaction.txid:
        rate = await turn.chain.fee_rate_of(spend.transaction)
        turn.watch.see_rival(Rival(spend.transaction.txid, rate, paid_rate(session.original)))
