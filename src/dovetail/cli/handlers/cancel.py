"""`dovetail cancel`: stop the payjoin, and decide about the payment."""

import sys

import click

from dovetail.cli import context, open_parts, signals
from dovetail.cli.actions import about
from dovetail.cli.handlers import decided
from dovetail.cli.handlers.decided import RECEIVING, Decision
from dovetail.cli.live.agent import open_agent
from dovetail.cli.output import Screen
from dovetail.cli.signals import Stop
from dovetail.runtime.agent import Agent
from dovetail.sessions import receiver, sender
from dovetail.sessions.standing import AnySession
from dovetail.stores.integrity import load_session
from dovetail.stores.ports import SessionId

_CHOICES: dict[str | None, Decision] = {"now": Agent.fallback, "never": Agent.release}


@signals.interruptible
async def cancel(stop: Stop, screen: Screen, *, session_id: SessionId, choice: str | None) -> int:
    """Cancel, then pay, keep or decline the fallback: each a decision that is saved by itself."""
    place = context.home()
    with about(session_id):
        async with open_agent(open_parts.start(place, signs=False)) as agent:
            store = agent.services.store
            store.row(session_id)
            before = load_session(store, session_id)
            if choice is None and _will_hold(before):
                choice = _ask(before, screen, stop, asks=place.asks)
            stop.guarded = True
            state = await agent.cancel(session_id)
            pending = isinstance(state, receiver.PendingFallback | sender.PendingFallback)
            if pending and choice in _CHOICES:
                decision = _CHOICES[choice]
                found = await decided.carry_out(decision, agent, session_id, saved=True)
            else:
                found = await decided.decided(agent, session_id, state)
    return decided.tell(found, place, screen)


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
    """Ask what to do with the payment; `later` where nobody can be asked."""
    if not sys.stdin.isatty():
        return "later"
    paying = not isinstance(state, RECEIVING)
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


def _risk(state: AnySession) -> str:
    """Say in one sentence what cancelling cannot prevent."""
    match state:
        case sender.WithReplyKey():
            return "Nothing has been sent yet: you can still pay or not."
        case receiver.PayjoinProposal() | receiver.Monitor():
            return (
                "The sender may hold the proposal and can still broadcast the payjoin: an ordinary"
                " payment competes with it, and exactly one of the two confirms."
            )
        case _ if isinstance(state, RECEIVING):
            return "The sender can make the ordinary payment too, whatever you choose."
        case _:
            return (
                "The receiver holds the ordinary payment and can still take it, whatever you"
                " choose; only `revoke` after `never` prevents that."
            )
