"""`dovetail revoke`: take back the coins of a payment that was released."""

from dovetail.bitcoin import FeeRate
from dovetail.cli import context, open_parts, signals
from dovetail.cli.actions import about
from dovetail.cli.clock import clock
from dovetail.cli.exits import Exit
from dovetail.cli.fee_checks import require_fair_rate
from dovetail.cli.handlers.decided import RECEIVING
from dovetail.cli.json_keys import REVOKE
from dovetail.cli.live.agent import open_agent
from dovetail.cli.live.follow import row_values
from dovetail.cli.output import Screen, confirm, require_somebody, sats
from dovetail.cli.service import go_on
from dovetail.cli.signals import Stop
from dovetail.explain.session import explain
from dovetail.runtime.decisions import Revocation
from dovetail.sessions.standing import AnySession
from dovetail.stores.ports import SessionId


@signals.interruptible
async def revoke(
    stop: Stop,
    screen: Screen,
    *,
    session_id: SessionId,
    fee_rate: FeeRate | None,
    allow_high_fee: bool,
    yes: bool,
) -> int:
    """Take a released payment back; see `dovetail revoke --help`."""
    if not allow_high_fee:
        require_fair_rate(fee_rate)
    place = context.home()
    with about(session_id):
        async with open_agent(open_parts.start(place)) as agent:
            store = agent.services.store
            store.row(session_id)
            prepared = await agent.prepare_revocation(session_id, fee_rate=fee_rate)
            _explain_revocation(prepared, screen)
            if not yes:
                require_somebody()
                with stop.paused():
                    confirm("Spend the coin back to your wallet?")
            stop.guarded = True
            await agent.revoke(prepared)
            row = store.row(session_id)
    state, txid = prepared.state, str(prepared.transaction.txid)
    other = "sender" if isinstance(state, RECEIVING) else "receiver"
    screen.say(f"The coins are on their way back; until that confirms, the {other} may be faster.")
    screen.result(txid)
    running, found = place.running, explain(state, clock())
    screen.say(go_on(session_id, found, running=running))
    values = row_values(row, found, running=running)
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
    """Name the transaction that the revocation competes with."""
    if isinstance(state, RECEIVING):
        return (
            "It is a race between this transaction and the payjoin that the sender can still"
            " broadcast: the first to be mined counts, and a higher fee rate makes yours likelier."
            " Their ordinary payment is as good as before."
        )
    return (
        "It is a race between this transaction and the payment that the receiver can still"
        " broadcast: the first to be mined counts, and a higher fee rate makes yours likelier."
    )
