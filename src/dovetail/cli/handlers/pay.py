"""`dovetail pay`, and `send --plain`: an ordinary payment, looked at and seen through."""

from typing import TYPE_CHECKING

from dovetail.bitcoin import Address, FeeRate, Sats
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.cli import context, open_parts, signals
from dovetail.cli import live as working
from dovetail.cli.context import Home
from dovetail.cli.handlers.payment_request import Request, chosen_coins, require_somebody
from dovetail.cli.json_keys import PAY
from dovetail.cli.output import Screen
from dovetail.cli.signals import Stop
from dovetail.errors import UsageError
from dovetail.sessions.status import SessionStatus

if TYPE_CHECKING:
    from dovetail.explain.explanation import Explanation


def pay(request: Request, screen: Screen) -> int:
    """Pay an address or a URI's; see `dovetail pay --help`."""
    return signals.run(lambda stop: _pay(request, screen, stop))


async def _pay(request: Request, screen: Screen, stop: Stop) -> int:
    place = context.home()
    wanted = _requested(request, place)
    require_somebody(request)
    if request.everything and place.settings.wallet == context.CORE:
        raise UsageError(
            "Dovetail pays all of its own wallet only: name an amount, or use `bitcoin-cli sendall`"
            " after `bitcoin-cli listlockunspent`, as sessions hold coins."
        )
    rate = None if request.fee_rate is None else FeeRate.from_sat_per_vb(request.fee_rate)
    start = open_parts.start(place, v1_only=True, ahead=True)
    # What follows is loaded while the chain server is asked.
    together, following = working.follow_all, working.follow
    async with working.agent.open_agent(start) as agent:
        screen.tick("Building the payment ...")
        payment = await agent.prepare_plain(
            wanted,
            amount=None if request.amount is None else Sats(request.amount),
            fee_rate=rate,
            coins=chosen_coins(request),
            everything=request.everything,
            again=request.again,
        )
        await working.preview.agree_on(payment, agent.services, request, screen, stop)
        live = await agent.start_plain(payment)
        screen.say(f"Session {live.session_id} has begun.", bold=True)
        early = following.at_once if place.running else _is_out
        enough = following.never if request.wait else early
        follower = together.follower_of(live, place, screen, enough, once=not request.wait)
        code = await together.follow_all([follower], stop, patience=request.patience)
        told = {"fee_sats": int(payment.fee), "most_added_sats": 0, "version": None}
        screen.emit(PAY, follower.values | told | {"trouble": follower.trouble_words})
        return code


def _requested(request: Request, place: Home) -> BitcoinUri:
    """A bare address, or whom a URI asks to pay; its payjoin is left aside."""
    text = request.uri.strip()
    wanted = BitcoinUri.parse(text) if ":" in text else BitcoinUri(Address.parse(text))
    if wanted.address is not None and not wanted.address.is_for(place.network):
        raise UsageError(
            f"The address is not for {place.network}, which this wallet is on: ask the receiver"
            " for one that is, or choose another wallet with `--network`."
        )
    return wanted


def _is_out(explanation: "Explanation") -> bool:
    return explanation.status is SessionStatus.CONFIRMING
