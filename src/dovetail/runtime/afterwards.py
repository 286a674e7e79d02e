"""What came to the addresses of sessions that had ended without their payment."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from dovetail.bitcoin import Sats
from dovetail.errors import ReplayError
from dovetail.runtime.actions import load
from dovetail.runtime.services import Services
from dovetail.sessions import outcomes, receiver
from dovetail.sessions.receipts import Receipt, Receipts
from dovetail.sessions.sightings import Kind, Sighting
from dovetail.stores.ports import Role, SessionId, SessionRow

LOOKED_BACK = 30 * 86_400
"""Seconds after the expiration for which the address of an ended session is looked at."""
_UNPAID = (outcomes.Cancelled, outcomes.Expired)
MOST = 20
"""How many sessions are looked at, the newest first: a public server is spared (ADR 0028)."""


@dataclass(frozen=True, slots=True)
class Late:
    """What an address has received in all, though its session had ended without its payment."""

    session_id: SessionId
    received: Sats
    asked: int | None
    sighting: Sighting

    @property
    def words(self) -> str:
        """The same in a sentence."""
        whole = "" if self.asked is None else f" of {self.asked:,}"
        waits = "" if self.sighting.depth else ", not confirmed yet"
        return (
            f"Session {self.session_id} had ended, and {self.received:,}{whole} sats have come to"
            f" its address all the same{waits}."
        )


async def look_back(services: Services) -> tuple[Late, ...]:
    """What came to receivers' addresses after the end, in one look; it is kept for the lists.

    A session whose payment was found to be final is not looked at again. Raises `ChainError` and
    `StoreUnavailable`.
    """
    return await asyncio.to_thread(lambda: tuple(_found(services)))


def _found(services: Services) -> Iterator[Late]:
    store = services.store
    since = services.clock() - LOOKED_BACK
    rows = [row for row in store.history(limit=MOST) if _may_have_come(row, since)]
    ended = [(row, *each) for row in rows if (each := _unpaid(services, row.session_id))]
    told = services.chain.payments_to_each({state.address.script_pubkey for _, state, _ in ended})
    for row, state, known in ended:
        script, asked = state.address.script_pubkey, state.created.amount
        # One that could not be told among others says why when it is asked for alone.
        paid = told[script] if script in told else services.chain.payments_to(script)
        all_of_it = (Receipt(each.txid, each.amount, each.depth) for each in paid)
        received = Receipts.of(all_of_it, asked=asked)
        if received.amount <= known:
            continue
        depth, wanted = received.depth if received.full else received.rest, state.created.depth
        seen = Sighting(kind=Kind.DIRECT, txid=received.txids[0], depth=depth, wanted=wanted)
        if seen != row.sighting:
            store.saw(row.session_id, seen)
        yield Late(row.session_id, received.amount, asked, seen)


def _may_have_come(row: SessionRow, since: int) -> bool:
    final = row.sighting is not None and row.sighting.depth >= row.sighting.wanted
    ended = row.closed_at is not None and row.expires_at >= since
    unpaid = row.ending is None or isinstance(row.ending.outcome, _UNPAID)
    return row.role is Role.RECEIVER and ended and unpaid and not final


def _unpaid(services: Services, session_id: SessionId) -> tuple[receiver.Closed, int] | None:
    """A session that ended without its payment, and what had come by then."""
    try:
        state = load(services.store, session_id)
    except ReplayError:
        return None
    match state:
        case receiver.Closed(
            outcome=outcomes.Cancelled(received=known) | outcomes.Expired(received=known)
        ):
            return state, known or 0
        case _:
            return None
