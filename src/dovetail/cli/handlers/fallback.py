"""`dovetail fallback`: pay by the ordinary payment, also at a higher fee."""

from functools import partial

from dovetail.bitcoin import FeeRate
from dovetail.cli import context, open_parts, signals
from dovetail.cli.actions import about
from dovetail.cli.fee_checks import require_fair_rate
from dovetail.cli.handlers import decided
from dovetail.cli.live.agent import open_agent
from dovetail.cli.output import Screen
from dovetail.cli.signals import Stop
from dovetail.runtime.agent import Agent
from dovetail.stores.ports import SessionId


@signals.interruptible
async def fallback(
    stop: Stop,
    screen: Screen,
    *,
    session_id: SessionId,
    fee_rate: FeeRate | None,
    allow_high_fee: bool,
) -> int:
    """Pay by the fallback; see `dovetail fallback --help`."""
    if not allow_high_fee:
        require_fair_rate(fee_rate)
    place = context.home()
    with about(session_id):
        start = open_parts.start(place, signs=fee_rate is not None)
        async with open_agent(start) as agent:
            agent.services.store.row(session_id)
            # From here on a signal waits: what was decided is also carried out.
            stop.guarded = True
            decision = partial(Agent.fallback, fee_rate=fee_rate)
            found = await decided.carry_out(decision, agent, session_id)
    return decided.tell(found, place, screen)
