"""`dovetail release`: decline the ordinary payment."""

from dovetail.cli import context, open_parts, signals
from dovetail.cli.actions import about
from dovetail.cli.handlers import decided
from dovetail.cli.live.agent import open_agent
from dovetail.cli.output import Screen, confirm, require_somebody
from dovetail.cli.signals import Stop
from dovetail.runtime.agent import Agent
from dovetail.runtime.decisions import require_releasable
from dovetail.stores.integrity import load_session
from dovetail.stores.ports import SessionId


@signals.interruptible
async def release(stop: Stop, screen: Screen, *, session_id: SessionId, yes: bool) -> int:
    """Decline the fallback; see `dovetail release --help`."""
    place = context.home()
    with about(session_id):
        async with open_agent(open_parts.start(place, signs=False)) as agent:
            store = agent.services.store
            store.row(session_id)
            if not yes:
                require_releasable(load_session(store, session_id))
                require_somebody()
                with stop.paused():
                    confirm("Decline the ordinary payment of this session?")
            # From here on a signal waits: what was decided is also carried out.
            stop.guarded = True
            found = await decided.carry_out(Agent.release, agent, session_id)
    return decided.tell(found, place, screen)
