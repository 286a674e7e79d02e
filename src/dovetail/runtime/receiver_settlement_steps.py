"""The receiver's last two states: the fallback, and the watch over what was sent or broadcast."""

import asyncio
from typing import TypeAlias

from dovetail.bitcoin import Transaction
from dovetail.errors import ChainError
from dovetail.protocol.original import fee_rate as paid_rate
from dovetail.protocol.verification import Verdict
from dovetail.runtime.chain_snapshot import Look, fee_rate_of, look
from dovetail.runtime.chain_watch import FALLBACK_REFUSED, ChainWatch, Rival, taken
from dovetail.runtime.fallback_policy import is_due
from dovetail.runtime.fees import tell_fee
from dovetail.runtime.services import Services
from dovetail.runtime.vanished_coins import are_gone, noted
from dovetail.sessions import receiver
from dovetail.sessions.receiver import ReceiverEvent, ReceiverSession
from dovetail.stores.ports import SessionLog
from dovetail.wallets.ports import Spend

Log: TypeAlias = SessionLog[ReceiverEvent]
Settling: TypeAlias = receiver.PendingFallback | receiver.Monitor

AGAIN_AFTER = 600
"""Seconds between two tries against a transaction that waits in the mempool."""


async def settle(
    session: Settling, log: Log, services: Services, watch: ChainWatch
) -> ReceiverSession:
    """Take one step towards the end of what was sent or is owed.

    A crash between the end of a negotiation and the giving back would hold the coins until the
    close. So each process gives them back once, where no sender was shown them (P3).
    """
    if not session.proposal_out and not watch.gave_back:
        await asyncio.to_thread(services.store.release, log.session_id)
        watch.gave_back = True
    if isinstance(session, receiver.PendingFallback):
        return await _settle_by_fallback(session, log, services, watch)
    return await _watch_payment(session, log, services, watch)


async def _settle_by_fallback(
    session: receiver.PendingFallback, log: Log, services: Services, watch: ChainWatch
) -> ReceiverSession:
    """Look before every broadcast: the payment may have been made already (M4)."""
    seen = await look(session, services)
    await note(watch, session, seen, services)
    looked = await noted(session, log, services, missing=seen.missing_at)
    if looked is not session:
        return looked
    spend = seen.spend
    if spend is not None:
        watch.see(session, spend, received=seen.received)
    if spend is not None and _is_answer(session, spend):
        return await session.record_spend(spend.transaction).save_async(log)
    ended = await _end_without_it(session, log, services, seen)
    if ended is not session or not is_due(session, services):
        return ended
    if session.may_end_unpaid:
        return await session.request_fallback().save_async(log)
    await tell_fee(session, services, watch)
    watch.tried_at = services.clock()
    if await _taken(session.fallback, services):
        return await session.record_broadcast(session.fallback.txid).save_async(log)
    if spend is not None:
        return await session.record_spend(spend.transaction).save_async(log)
    return await _refused(session, log, services, seen)


def _is_answer(session: receiver.PendingFallback, spend: Spend) -> bool:
    """Whether the chain has decided, or waits to confirm what the fallback would pay.

    A transaction that is neither the payment nor confirmed keeps nobody from the fallback. The
    user's word for the fallback stands against a payjoin too.
    """
    if spend.depth or spend.transaction.txid == session.fallback.txid:
        return True
    return session.settles(spend.transaction) and not session.requested


async def _watch_payment(
    session: receiver.Monitor, log: Log, services: Services, watch: ChainWatch
) -> ReceiverSession:
    """Follow what spends the contested outpoints, and bring back what fell out (M3)."""
    seen = await look(session, services)
    spend = seen.spend
    if session.fallback_broadcast and (spend is None or not spend.depth):
        await tell_fee(session, services, watch)
    watch.see(session, spend, received=seen.received)
    await note(watch, session, seen, services)
    looked = await noted(session, log, services, missing=seen.missing_at)
    if looked is not session:
        return looked
    if spend is not None and (spend.depth or session.settles(spend.transaction)):
        settled = session.record_settlement(
            spend.transaction, depth=spend.depth, received=seen.received
        )
        return await settled.save_async(log)
    if session.released and seen.revoked is not None:
        revoked = session.record_revoked(
            seen.revoked.transaction, depth=seen.revoked.depth, received=seen.received
        )
        return await revoked.save_async(log)
    ended = await _end_without_it(session, log, services, seen)
    if ended is not session:
        return ended
    return await _bring_back(session, log, services, watch, seen)


async def _bring_back(
    session: receiver.Monitor, log: Log, services: Services, watch: ChainWatch, seen: Look
) -> ReceiverSession:
    """Broadcast again what was dropped, or what a rival in the mempool keeps out.

    What was seen or broadcast before is no new decision, and fills no log when a mempool or a
    reorganisation drops it.
    """
    rival = seen.spend
    payjoin = None if session.fallback_broadcast or rival else watch.payjoin
    if payjoin is not None and await _taken(payjoin, services):
        return session
    due = is_due(session, services)
    decided = session.seen_spent and session.reason is not None
    if not ((session.fallback_broadcast and not session.paid_twice) or (due and decided)):
        return await session.fallback_due(services.clock()).save_async(log) if due else session
    if rival is not None and not _again(watch, services):
        return session
    if await _taken(session.fallback, services) or rival is not None:
        return session
    return await _refused(session, log, services, seen)


async def _refused(session: Settling, log: Log, services: Services, seen: Look) -> ReceiverSession:
    """End a fallback that no network can ever take; raises `ChainError` for any other."""
    now = services.clock()
    waits = session.proposal_out and now < session.watched_until
    if waits or not await asyncio.to_thread(_is_invalid, session):
        raise ChainError(FALLBACK_REFUSED)
    ended = session.record_invalid(now=now, received=seen.received)
    return await ended.save_async(log)


def _is_invalid(session: Settling) -> bool:
    return session.payload.signatures is Verdict.INVALID


def _again(watch: ChainWatch, services: Services) -> bool:
    now = services.clock()
    if watch.tried_at is not None and now < watch.tried_at + AGAIN_AFTER:
        return False
    watch.tried_at = now
    return True


async def _end_without_it(
    session: Settling, log: Log, services: Services, seen: Look
) -> ReceiverSession:
    """End or hold back the fallback where it was paid otherwise, or can never be."""
    now = services.clock()
    if seen.received.full:
        return await session.record_payment(seen.received, now=now).save_async(log)
    if seen.spend is not None:
        return session
    height = seen.missing_at
    if height is not None and await are_gone(session, services, missing=height):
        gone = session.record_gone(height=height, received=seen.received)
        return await gone.save_async(log)
    if session.may_expire and now >= session.watched_until:
        return await session.expire(now, received=seen.received).save_async(log)
    return session


async def note(watch: ChainWatch, session: Settling, seen: Look, services: Services) -> None:
    """Keep what one look showed, for whoever follows the session."""
    watch.received = seen.received
    if seen.spend is None:
        watch.see_received(seen.received, wanted=session.depth, asked=session.created.amount)
    spend = seen.spend
    rival = spend is not None and not spend.depth and not session.settles(spend.transaction)
    if spend is None or not rival:
        watch.see_rival(None)
    elif watch.rival is None or watch.rival.txid != spend.transaction.txid:
        rate = await asyncio.to_thread(fee_rate_of, services.chain, spend.transaction)
        watch.see_rival(Rival(spend.transaction.txid, rate, paid_rate(session.original)))


async def _taken(transaction: Transaction, services: Services) -> bool:
    return await asyncio.to_thread(taken, services.chain, transaction)
