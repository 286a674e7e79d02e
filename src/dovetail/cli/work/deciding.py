"""`dovetail cancel`, `fallback`, `release` and `revoke`: what a person decides."""

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import click

from dovetail.bitcoin import FeeRate
from dovetail.cli.exits import Exit
from dovetail.cli.keys import REVOKE, SESSION
from dovetail.cli.output import Screen
from dovetail.cli.work import opening, stopping
from dovetail.cli.work.following import clock, session_values
from dovetail.cli.work.stopping import Stop
from dovetail.errors import UsageError
from dovetail.runtime import actions
from dovetail.runtime.explain import Explanation, State, explain
from dovetail.runtime.services import Services
from dovetail.stores.ports import Role, SessionId

Decision: TypeAlias = Callable[[Services, SessionId], Awaitable[State]]


def cancel(number: int, screen: Screen) -> int:
    """Stop the payjoin."""
    return stopping.run(lambda stop: _decide(number, actions.cancel, None, screen, stop))


def fallback(number: int, screen: Screen) -> int:
    """Pay by the ordinary transaction."""
    return stopping.run(lambda stop: _decide(number, actions.fallback, None, screen, stop))


def release(number: int, screen: Screen, *, yes: bool) -> int:
    """Decline the fallback."""
    question = None if yes else "Decline the ordinary payment of this session?"
    return stopping.run(lambda stop: _decide(number, actions.release, question, screen, stop))


def revoke(number: int, screen: Screen, *, fee_rate: str | None, yes: bool) -> int:
    """Take a released payment back."""
    question = None if yes else "Spend one of the payment's coins back to your wallet?"
    return stopping.run(lambda stop: _revoke(number, fee_rate, question, screen, stop))


async def _decide(
    number: int, decision: Decision, question: str | None, screen: Screen, stop: Stop
) -> int:
    session_id = SessionId(number)
    async with _asked(session_id, question, stop) as (services, role):
        state = await decision(services, session_id)
    explanation = explain(state, clock())
    screen.say(explanation.words, bold=True)
    if explanation.txid is not None:
        screen.result(explanation.txid)
    if explanation.outcome is None and not explanation.asks:
        screen.say(f"Watch it by: dovetail resume {number}")
    else:
        screen.say(explanation.next)
    screen.emit(SESSION, session_values(session_id, role, explanation, int(state.expires_at)))
    return _code(explanation)


async def _revoke(
    number: int, fee_rate: str | None, question: str | None, screen: Screen, stop: Stop
) -> int:
    session_id = SessionId(number)
    async with _asked(session_id, question, stop) as (services, role):
        rate = (
            services.chain.fee_rate(target=services.policy.fee_target)
            if fee_rate is None
            else FeeRate.from_sat_per_vb(fee_rate)
        )
        state, transaction = await actions.revoke(services, session_id, fee_rate=rate)
    screen.say("The coins are on their way back; until that confirms, the receiver may be faster.")
    screen.result(str(transaction.txid))
    screen.say(f"Watch it by: dovetail resume {number}")
    values = session_values(session_id, role, explain(state, clock()), int(state.expires_at))
    screen.emit(REVOKE, values | {"revocation_txid": str(transaction.txid)})
    return Exit.DONE


@asynccontextmanager
async def _asked(
    session_id: SessionId, question: str | None, stop: Stop
) -> AsyncGenerator[tuple[Services, Role]]:
    """What a decision works with, once the session is known and the person has agreed."""
    if question is not None and not sys.stdin.isatty():
        raise UsageError("Nobody is there to confirm this: add --yes to do it without asking.")
    async with opening.open_agent(opening.home()) as agent:
        role = agent.services.store.row(session_id).role
        if question is not None:
            with stop.paused():
                click.confirm(question, abort=True, err=True)
        # From here on a signal waits: what was decided is also carried out.
        stop.guarded = True
        yield agent.services, role


def _code(explanation: Explanation) -> int:
    return Exit.FALLBACK_PENDING if explanation.asks else Exit.DONE
