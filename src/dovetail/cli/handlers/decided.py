"""A decision about a session, carried out and told: `cancel`, `fallback` and `release`."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias, get_args

from dovetail.cli.clock import clock
from dovetail.cli.context import Home
from dovetail.cli.exits import Exit
from dovetail.cli.json_keys import SESSION
from dovetail.cli.live.follow import row_values
from dovetail.cli.live.follow_all import tell_deadline
from dovetail.cli.output import Screen, sats
from dovetail.cli.service import next_words
from dovetail.errors import ChainError
from dovetail.explain.chain import low_fee_words
from dovetail.explain.session import explain
from dovetail.runtime.agent import Agent
from dovetail.runtime.chain_watch import LowFee
from dovetail.runtime.fees import low_fee
from dovetail.runtime.services import Services
from dovetail.sessions import receiver, sender
from dovetail.sessions.standing import AnySession
from dovetail.stores.integrity import load_session
from dovetail.stores.ports import SessionId, SessionRow

Decision: TypeAlias = Callable[[Agent, SessionId], Awaitable[AnySession]]
RECEIVING = get_args(receiver.ReceiverSession)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The result of a decision; `trouble` kept the rest of it from being done."""

    row: SessionRow
    state: AnySession
    trouble: ChainError | None
    poor: LowFee | None


async def carry_out(
    decision: Decision, agent: Agent, session_id: SessionId, *, saved: bool = False
) -> Decided:
    """Carry out a decision. One that is `saved` already stands though the chain source is away."""
    try:
        return await decided(agent, session_id, await decision(agent, session_id))
    except ChainError as error:
        state = await asyncio.to_thread(load_session, agent.services.store, session_id)
        if not saved and not getattr(state, "requested", False):
            raise
        return await decided(agent, session_id, state, error)


async def decided(
    agent: Agent, session_id: SessionId, state: AnySession, trouble: ChainError | None = None
) -> Decided:
    """Return the result of a decision that led to `state`."""
    return Decided(
        row=agent.services.store.row(session_id),
        state=state,
        trouble=trouble,
        poor=None if trouble else await _low_fee(state, agent.services),
    )


async def _low_fee(state: AnySession, services: Services) -> LowFee | None:
    waits = isinstance(state, sender.Monitor) and state.expected == state.fallback_transaction.txid
    takes = isinstance(state, receiver.Monitor) and state.fallback_broadcast
    if isinstance(state, sender.Monitor | receiver.Monitor) and (waits or takes):
        return await low_fee(state, services)
    return None


def tell(decided: Decided, place: Home, screen: Screen) -> int:
    """Say what became of it, and what to do next; the exit code."""
    row, state, running = decided.row, decided.state, place.running
    found = explain(state, clock(), ask=place.asks, seen=row.sighting)
    screen.say(found.words, bold=True)
    if decided.trouble is not None:
        words = f"Your decision is saved. The rest could not be done yet: {decided.trouble}"
        screen.say(words, fg="yellow")
    if isinstance(state, sender.Monitor) and state.bumped is not None:
        screen.say(f"Its fee is now {sats(state.original.fee)}.")
    if found.txid is not None:
        screen.result(found.txid)
    if decided.poor is not None:
        screen.say(low_fee_words(decided.poor), fg="yellow")
    screen.say(next_words(row.session_id, found, running=running))
    if found.needs_decision:
        tell_deadline(found, screen)
    screen.emit(SESSION, row_values(row, found, running=running))
    if found.needs_decision:
        return Exit.FALLBACK_PENDING
    left = decided.trouble is not None and found.outcome is None
    return Exit.IN_PROGRESS if left else Exit.DONE
