"""`dovetail pay`, and `send --plain`: an ordinary payment, looked at and seen through."""

from typing import TYPE_CHECKING

from dovetail.bitcoin import Address, FeeRate, OutPoint, Sats
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.cli import context, open_parts, signals
from dovetail.cli import live as working
from dovetail.cli.json_keys import PAY
from dovetail.cli.option_types import EVERYTHING
from dovetail.cli.output import Screen, require_somebody
from dovetail.cli.signals import Stop
from dovetail.errors import UsageError
from dovetail.sessions.status import SessionStatus

if TYPE_CHECKING:
    from dovetail.explain.explanation import Explanation


@signals.interruptible
async def pay(  # noqa: PLR0913 - one argument for each option
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
    """Pay an address or a URI's; see `dovetail pay --help`."""
    place = context.home()
    text = uri.strip()
    wanted = BitcoinUri.parse(text) if ":" in text else BitcoinUri(Address.parse(text))
    wanted.payee(place.network)
    if not yes:
        require_somebody()
    everything = amount == EVERYTHING
    if everything and place.settings.wallet == context.CORE:
        raise UsageError(
            "Dovetail pays all of its own wallet only: name an amount, or use `bitcoin-cli sendall`"
            " after `bitcoin-cli listlockunspent`, as sessions hold coins."
        )
    start = open_parts.start(place, v1_only=True, ahead=True)
    # The rest is loaded while the chain server is asked.
    together, following = working.follow_all, working.follow
    async with working.agent.open_agent(start) as agent:
        screen.tick("Building the payment ...")
        payment = await agent.prepare_plain(
            wanted,
            amount=None if amount is None or everything else Sats(amount),
            fee_rate=fee_rate,
            coins=coins,
            everything=everything,
            again=again,
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
        live = await agent.start_plain(payment)
        screen.say(f"Session {live.session_id} has begun.", bold=True)
        early = following.at_once if place.running else _is_out
        enough = early if no_wait else following.never
        follower = together.follower_of(live, place, screen, enough, once=no_wait)
        code = await together.follow_all([follower], stop, patience=patience)
        told = {"fee_sats": int(payment.fee), "most_added_sats": 0, "version": None}
        screen.emit(PAY, follower.values | told | {"trouble": follower.trouble_words})
        return code


def _is_out(explanation: "Explanation") -> bool:
    return explanation.status is SessionStatus.CONFIRMING
