"""`dovetail send`: look at the payment, ask, then see it through."""

from typing import TYPE_CHECKING

from dovetail.bitcoin import FeeRate, OutPoint, Sats
from dovetail.cli import context, open_parts, signals
from dovetail.cli import live as working
from dovetail.cli.clock import clock
from dovetail.cli.json_keys import SEND
from dovetail.cli.output import Screen, require_somebody
from dovetail.cli.signals import Stop
from dovetail.protocol.uri import PayjoinUri, V1Endpoint
from dovetail.sessions.status import SessionStatus

if TYPE_CHECKING:
    from dovetail.explain.explanation import Explanation

_NOT_LEFT = frozenset({SessionStatus.READY_TO_SEND, SessionStatus.SENDING_ORIGINAL})


@signals.interruptible
async def send(  # noqa: PLR0913 - one argument for each option
    stop: Stop,
    screen: Screen,
    *,
    uri: str,
    amount: int | None,
    fee_rate: FeeRate | None,
    coins: tuple[OutPoint, ...],
    allow_high_fee: bool,
    yes: bool,
    again: bool,
    no_wait: bool,
    patience: float | None,
) -> int:
    """Pay a URI; see `dovetail send --help`."""
    place = context.home()
    wanted, named = PayjoinUri.parse(uri), None if amount is None else Sats(amount)
    wanted.check(network=place.network, now=clock(), amount=named)
    if not yes:
        require_somebody()
    v1_only = isinstance(wanted.endpoint, V1Endpoint)
    start = open_parts.start(place, v1_only=v1_only, ahead=True)
    # The rest is loaded while the chain server is asked.
    together, following = working.follow_all, working.follow
    async with working.agent.open_agent(start) as agent:
        screen.tick("Building the payment ...")
        payment = await agent.prepare(
            wanted, amount=named, fee_rate=fee_rate, coins=coins, again=again
        )
        await working.preview.agree_on(
            payment,
            agent.services,
            screen,
            stop,
            chosen=fee_rate is not None,
            allow_high_fee=allow_high_fee,
            yes=yes,
        )
        live = await agent.start(payment)
        screen.say(f"Session {live.session_id} has begun.", bold=True)
        early = following.at_once if place.running else _has_left
        enough = early if no_wait else following.never
        follower = together.follower_of(live, place, screen, enough, once=no_wait)
        code = await together.follow_all([follower], stop, patience=patience)
        told = {
            "fee_sats": int(payment.fee),
            "most_added_sats": int(payment.most_added),
            "version": 1 if v1_only else 2,
        }
        screen.emit(SEND, follower.values | told | {"trouble": follower.trouble_words})
        return code


def _has_left(explanation: "Explanation") -> bool:
    """Whether the receiver can go on without us."""
    return explanation.status not in _NOT_LEFT
