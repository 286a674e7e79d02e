"""The receiver's first state: it waits at its mailbox, and watches its address meanwhile."""

import asyncio

from dovetail.runtime.address_watch import Paid
from dovetail.runtime.chain_snapshot import receipts
from dovetail.runtime.mailbox_wait import attended_until
from dovetail.runtime.ohttp_request import exchange, unreachable
from dovetail.runtime.turn import ReceiverTurn
from dovetail.sessions import receiver
from dovetail.sessions.other_payments import Receipts
from dovetail.sessions.receiver import ReceiverSession
from dovetail.sessions.receiver.events import Web


async def wait_for_original(session: receiver.Initialized, turn: ReceiverTurn) -> ReceiverSession:
    """Poll the mailbox; past the expiration watch the address alone, as long as the grace.

    A sender whose Original was lost makes the ordinary payment at the expiration.
    """
    now = turn.now()
    fresh = turn.watch.paid is not None and turn.services.addresses.is_fresh(turn.watch.looked_at)
    if now >= session.expires_at or not fresh or not _polls(session):
        received = await _look(session, turn)
        if received.full and received.depth >= session.created.depth:
            return await session.record_payment(received).save_async(turn.log)
        now = turn.now()
        if now >= session.expires_at:
            return await _expire(session, turn, received)
    if not _polls(session):
        return session  # the server of its URL brings the Original
    return await _poll(session, turn)


def _polls(session: receiver.Initialized) -> bool:
    return session.takes_originals and not isinstance(session.created.endpoint, Web)


async def _expire(
    session: receiver.Initialized,
    turn: ReceiverTurn,
    received: Receipts,
) -> ReceiverSession:
    now = turn.now()
    turn.watch.unreachable = turn.watch.unreachable or unreachable(turn)
    if received.full or now < session.watched_until:
        return session  # the payment closes it once it is deep enough
    why = turn.watch.unreachable
    return await session.expire(now, why=why, received=received).save_async(turn.log)


async def _poll(session: receiver.Initialized, turn: ReceiverTurn) -> ReceiverSession:
    """Poll the mailbox, unless the address is found to be paid.

    The last check of the address holds for the next poll if this one found nothing and the address
    was followed meanwhile, but only as long as the check is fresh: a mailbox that answers at once
    must not keep us from checking. Otherwise the address is checked again, which decides (M4).
    """
    seen, turn.watch.paid = turn.watch.paid or (), None
    now, script = turn.now(), session.address.script_pubkey
    paid_in_full: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    known = True

    def tell(paid: Paid | None) -> None:
        nonlocal seen, known
        known = paid is not None
        if paid is None:
            return
        seen, received = paid, receipts(session, paid)
        turn.watch.see_received(
            received, wanted=session.created.depth, asked=session.created.amount
        )
        if received.full and received.depth >= session.created.depth and not paid_in_full.done():
            paid_in_full.set_result(None)

    addresses = turn.services.addresses
    with addresses.following(script, seen, tell, looked_at=turn.watch.looked_at) as followed:
        answer = await attended_until(
            lambda: exchange(lambda relay: session.poll(relay, now=now), session, turn.services),
            turn.watch,
            paid_in_full,
        )
    if answer is None:
        return session
    after = await session.process_poll(*answer, now=turn.now()).save_async(turn.log)
    if after is session and known:
        turn.watch.paid, turn.watch.looked_at = seen, followed.looked_at
    return after


async def _look(session: receiver.Initialized, turn: ReceiverTurn) -> Receipts:
    """Query what the address has received; a sighting is published at once."""
    turn.watch.looked_at = asyncio.get_running_loop().time()
    turn.watch.paid = await turn.services.addresses.look(session.address.script_pubkey)
    received = receipts(session, turn.watch.paid)
    turn.watch.see_received(received, wanted=session.created.depth, asked=session.created.amount)
    return received
