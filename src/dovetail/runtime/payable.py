"""Whether a payer's fallback is still to be made, and whether it still can be."""

import asyncio
from typing import TypeAlias

from dovetail.errors import ChainError, UsageError
from dovetail.runtime.services import Services
from dovetail.runtime.watching import Watch
from dovetail.sessions import sender
from dovetail.sessions.receipts import Receipt, Receipts

Settling: TypeAlias = sender.PendingFallback | sender.Monitor

PAID_BESIDE = (
    "The address was paid that amount already, by another transaction: the ordinary payment is not"
    " made by itself. Pay all the same by `fallback`, or decline by `release`."
)


async def require_unpaid(session: sender.PendingFallback, services: Services, watch: Watch) -> None:
    """Raise `UsageError` where the policy would pay an invoice that is paid already (M4).

    By another wallet of the payer's, or by whomever: only the user can tell. A chain source that
    does not answer this keeps nobody from paying.
    """
    created, asked = session.created, session.payment.request.amount
    if asked is None or getattr(created, "again", False):
        return
    own = {session.fallback.txid, session.payment.fallback.txid}
    if session.payjoin is not None:
        own.add(session.payjoin.txid)
    script = session.payment.due.payee
    try:
        found = await asyncio.to_thread(services.chain.payments_to, script)
    except ChainError:
        return
    beside = (Receipt(each.txid, each.amount, each.depth) for each in found if each.txid not in own)
    received = Receipts.of(beside, asked=asked)
    if received.full:
        watch.see_received(received, wanted=created.depth)
        raise UsageError(PAID_BESIDE)


BLOCKS_WITHOUT = 6
"""For so many blocks, or the session's depth if that is more, a coin has to be missing."""


async def are_gone(session: Settling, services: Services, watch: Watch) -> bool:
    """Whether a coin of the payment has not existed for long, neither spent nor unspent.

    A reorganisation or a replacement took away what had made it. What is merely out of sight for
    a while, or comes back, ends nothing (M3).
    """
    found = await asyncio.to_thread(services.chain.outputs, session.contested)
    if all(outpoint in found for outpoint in session.contested):
        watch.missing_since = None
        return False
    height = await asyncio.to_thread(services.chain.height)
    watch.missing_since = height if watch.missing_since is None else watch.missing_since
    return height - watch.missing_since >= max(session.created.depth, BLOCKS_WITHOUT)
