"""`dovetail cancel`, `fallback`, `release` and `revoke`: what a person decides."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, get_args

import click

from dovetail.bitcoin import FeeRate
from dovetail.cli import context, open_parts, signals
from dovetail.cli.actions import about
from dovetail.cli.clock import clock
from dovetail.cli.context import Home
from dovetail.cli.exits import Exit
from dovetail.cli.fee_checks import require_fair_rate
from dovetail.cli.json_keys import REVOKE, SESSION
from dovetail.cli.live.agent import open_agent
from dovetail.cli.live.follow import Seen, session_values
from dovetail.cli.live.follow_all import tell_deadline
from dovetail.cli.output import Screen, confirm, sats
from dovetail.cli.service import go_on, next_words
from dovetail.cli.signals import Stop
from dovetail.errors import ChainError, UsageError
from dovetail.explain.chain import low_fee_words
from dovetail.explain.explanation import Explanation
from dovetail.explain.session import explain
from dovetail.runtime import decisions
from dovetail.runtime.agent import Agent
from dovetail.runtime.chain_watch import LowFee
from dovetail.runtime.decisions import Revocation
from dovetail.runtime.fees import low_fee
from dovetail.runtime.policy import AtExpiry
from dovetail.runtime.services import Services
from dovetail.sessions import receiver, sender
from dovetail.sessions.standing import AnySession
from dovetail.stores.integrity import load_session
from dovetail.stores.ports import Role, SessionId

Decision: TypeAlias = Callable[[Agent, SessionId], Awaitable[AnySession]]


def cancel(number: int, choice: str | None, screen: Screen) -> int:
    """Stop the payjoin, and decide about the payment."""
    with about(number):
        return signals.run(lambda stop: _cancel(number, choice, screen, stop))


def fallback(number: int, screen: Screen, *, fee_rate: str | None, allow_high_fee: bool) -> int:
    """Pay by the ordinary payment, with its fee raised where a rate is given."""
    rate = None if fee_rate is None else FeeRate.from_sat_per_vb(fee_rate)
    if rate is not None and not allow_high_fee:
        require_fair_rate(rate)
    decision = partial(Agent.fallback, fee_rate=rate)
    signs = rate is not None
    with about(number):
        return signals.run(lambda stop: _decide(number, decision, None, screen, stop, signs=signs))


def release(number: int, screen: Screen, *, yes: bool) -> int:
    """Decline the fallback."""
    question = None if yes else "Decline the ordinary payment of this session?"
    with about(number):
        return signals.run(lambda stop: _decide(number, Agent.release, question, screen, stop))


def revoke(
    number: int, screen: Screen, *, fee_rate: str | None, allow_high_fee: bool, yes: bool
) -> int:
    """Take a released payment back."""
    rate = None if fee_rate is None else FeeRate.from_sat_per_vb(fee_rate)
    if rate is not None and not allow_high_fee:
        require_fair_rate(rate)
    with about(number):
        return signals.run(lambda stop: _revoke(number, rate, screen, stop, yes=yes))


async def _decide(
    number: int,
    decision: Decision,
    question: str | None,
    screen: Screen,
    stop: Stop,
    *,
    signs: bool = False,
) -> int:
    session_id, place = SessionId(number), context.home()
    async with _asked(place, session_id, question, stop, signs=signs) as agent:
        state, trouble = await _carried_out(decision, agent, session_id)
        decided = await _decided(state, trouble, agent.services, session_id)
    return _tell(decided, place, screen)


async def _cancel(number: int, choice: str | None, screen: Screen, stop: Stop) -> int:
    """Cancel, then pay, keep or decline the fallback: each a decision that is saved by itself."""
    session_id, place, trouble = SessionId(number), context.home(), None
    async with open_agent(open_parts.start(place, signs=False)) as agent:
        services = agent.services
        services.store.row(session_id)
        asks = services.policy.at_expiry is AtExpiry.ASK
        before = load_session(services.store, session_id)
        if choice is None and _will_hold(before):
            choice = _ask(before, screen, stop, asks=asks)
        stop.guarded = True
        state = await agent.cancel(session_id)
        pending = isinstance(state, receiver.PendingFallback | sender.PendingFallback)
        if pending and choice in _CHOICES:
            decision = _CHOICES[choice]
            state, trouble = await _carried_out(decision, agent, session_id, saved=True)
        decided = await _decided(state, trouble, services, session_id)
    return _tell(decided, place, screen)


_CHOICES: dict[str | None, Decision] = {"now": Agent.fallback, "never": Agent.release}


async def _carried_out(
    decision: Decision, agent: Agent, session_id: SessionId, *, saved: bool = False
) -> tuple[AnySession, ChainError | None]:
    """Carry out a decision: the state, and what kept the rest of it from being done.

    What was `saved` stays decided though the chain source is away.
    """
    try:
        return await decision(agent, session_id), None
    except ChainError as error:
        state = await asyncio.to_thread(load_session, agent.services.store, session_id)
        if not saved and not getattr(state, "requested", False):
            raise
        return state, error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decided:
    """What became of a decision."""

    session_id: SessionId
    role: Role
    state: AnySession
    asks: bool
    trouble: ChainError | None
    poor: LowFee | None
    seen: Seen | None


async def _decided(
    state: AnySession, trouble: ChainError | None, services: Services, session_id: SessionId
) -> _Decided:
    row = services.store.row(session_id)
    return _Decided(
        session_id=session_id,
        role=row.role,
        state=state,
        asks=services.policy.at_expiry is AtExpiry.ASK,
        trouble=trouble,
        poor=None if trouble else await _low_fee(state, services),
        seen=Seen.in_row(row),
    )


def _will_hold(state: AnySession) -> bool:
    """Whether a fallback is left to decide on when `state` is cancelled."""
    match state:
        case receiver.HasReplyableError(held=held):
            return held is not None
        case (
            receiver.Initialized()
            | receiver.UncheckedOriginalPayload()
            | receiver.PendingFallback()
            | receiver.Closed()
            | sender.PendingBroadcast()
            | sender.PendingFallback()
            | sender.Monitor()
            | sender.Closed()
        ):
            return False
        case _:
            return True


def _ask(state: AnySession, screen: Screen, stop: Stop, *, asks: bool) -> str:
    """What becomes of the payment; `later` where nobody is there to be asked."""
    if not sys.stdin.isatty():
        return "later"
    paying = not isinstance(state, _RECEIVING)
    screen.say(_risk(state))
    verb = "pay with the ordinary payment" if paying else "take the ordinary payment"
    kept = "until you decide" if asks else "until the session would have expired, then make it"
    screen.say(f"  now    {verb}")
    screen.say(f"  later  keep it {kept}")
    screen.say("  never  decline it")
    with stop.paused():
        chosen: str = click.prompt(
            "The ordinary payment",
            type=click.Choice(["now", "later", "never"]),
            default="later",
            err=True,
        )
    return chosen


_RECEIVING = get_args(receiver.ReceiverSession)


def _risk(state: AnySession) -> str:
    """What cancelling cannot prevent, in one sentence."""
    match state:
        case sender.WithReplyKey():
            return "Nothing has been sent yet: you can still pay or not."
        case receiver.PayjoinProposal() | receiver.Monitor():
            return (
                "The sender may hold the proposal and can still broadcast the payjoin: an ordinary"
                " payment competes with it, and exactly one of the two confirms."
            )
        case _ if isinstance(state, _RECEIVING):
            return "The sender can make the ordinary payment too, whatever you choose."
        case _:
            return (
                "The receiver holds the ordinary payment and can still take it, whatever you"
                " choose; only `revoke` after `never` prevents that."
            )


async def _low_fee(state: AnySession, services: Services) -> LowFee | None:
    waits = isinstance(state, sender.Monitor) and state.expected == state.fallback_transaction.txid
    takes = isinstance(state, receiver.Monitor) and state.fallback_broadcast
    if isinstance(state, sender.Monitor | receiver.Monitor) and (waits or takes):
        return await low_fee(state, services)
    return None


def _tell(decided: _Decided, place: Home, screen: Screen) -> int:
    session_id, state, seen = decided.session_id, decided.state, decided.seen
    sighting = None if seen is None else seen.sighting
    running = place.running
    explanation = explain(state, clock(), ask=decided.asks, seen=sighting)
    screen.say(explanation.words, bold=True)
    if decided.trouble is not None:
        words = f"Your decision is saved. The rest could not be done yet: {decided.trouble}"
        screen.say(words, fg="yellow")
    if isinstance(state, sender.Monitor) and state.bumped is not None:
        screen.say(f"Its fee is now {sats(state.original.fee)}.")
    if explanation.txid is not None:
        screen.result(explanation.txid)
    if decided.poor is not None:
        screen.say(low_fee_words(decided.poor), fg="yellow")
    screen.say(next_words(session_id, explanation, running=running))
    if explanation.needs_decision:
        tell_deadline(explanation, screen)
    expires_at = int(state.expires_at)
    values = session_values(
        session_id, decided.role, explanation, expires_at, seen, running=running
    )
    screen.emit(SESSION, values)
    waits = explanation.needs_decision
    left = decided.trouble is not None and explanation.outcome is None and not waits
    return Exit.IN_PROGRESS if left else _code(explanation)


async def _revoke(
    number: int, fee_rate: FeeRate | None, screen: Screen, stop: Stop, *, yes: bool
) -> int:
    session_id = SessionId(number)
    place = context.home()
    async with open_agent(open_parts.start(place)) as agent:
        services = agent.services
        role = services.store.row(session_id).role
        prepared = await agent.prepare_revocation(session_id, fee_rate=fee_rate)
        _explain_revocation(prepared, screen)
        if not yes:
            _require_somebody()
            with stop.paused():
                confirm("Spend the coin back to your wallet?")
        stop.guarded = True
        await agent.revoke(prepared)
        seen = Seen.in_row(services.store.row(session_id))
    state, txid = prepared.state, str(prepared.transaction.txid)
    other = "sender" if isinstance(state, _RECEIVING) else "receiver"
    screen.say(f"The coins are on their way back; until that confirms, the {other} may be faster.")
    screen.result(txid)
    running = place.running
    found = explain(state, clock())
    screen.say(go_on(session_id, found, running=running))
    expires_at = int(state.expires_at)
    values = session_values(session_id, role, found, expires_at, seen, running=running)
    fee = None if prepared.fee is None else int(prepared.fee)
    screen.emit(REVOKE, values | {"revocation_txid": txid, "revocation_fee_sats": fee})
    return Exit.DONE


def _explain_revocation(prepared: Revocation, screen: Screen) -> None:
    if prepared.fee is not None:
        screen.say(f"Fee           {sats(prepared.fee)}, paid by your wallet")
    if prepared.replaces:
        screen.say("Replaces      your payment that waits to be mined")
    screen.say(_race(prepared.state))


def _race(state: AnySession) -> str:
    """What the revocation competes with."""
    if isinstance(state, _RECEIVING):
        return (
            "It is a race: whichever is mined first counts, this or the payjoin that the sender can"
            " still broadcast; a higher fee rate makes yours likelier. Their ordinary payment is"
            " as good as before."
        )
    return (
        "It is a race: whichever is mined first counts, this or the payment that the receiver can"
        " still broadcast; a higher fee rate makes yours likelier."
    )


def _require_somebody() -> None:
    if not sys.stdin.isatty():
        raise UsageError(_NOBODY)


_NOBODY = "Can't ask for confirmation (no terminal). Add --yes."


@asynccontextmanager
async def _asked(
    place: Home, session_id: SessionId, question: str | None, stop: Stop, *, signs: bool
) -> AsyncGenerator[Agent]:
    """The agent for a decision, once the session is known and the person has agreed."""
    async with open_agent(open_parts.start(place, signs=signs)) as agent:
        agent.services.store.row(session_id)
        if question is not None:
            decisions.require_releasable(load_session(agent.services.store, session_id))
            _require_somebody()
            with stop.paused():
                confirm(question)
        # From here on a signal waits: what was decided is also carried out.
        stop.guarded = True
        yield agent


def _code(explanation: Explanation) -> int:
    return Exit.FALLBACK_PENDING if explanation.needs_decision else Exit.DONE
