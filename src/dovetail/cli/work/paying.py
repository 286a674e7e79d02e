"""`dovetail pay`, and `send --plain`: an ordinary payment, looked at and seen through."""

import asyncio

import click

from dovetail.bitcoin import Address, FeeRate, Sats
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.cli.keys import PAY
from dovetail.cli.output import Screen, sats
from dovetail.cli.work import homes, opening, stopping
from dovetail.cli.work.following import Follower, follow_all, never, tell_end
from dovetail.cli.work.homes import Home
from dovetail.cli.work.sending import (
    Request,
    relay_floor,
    require_somebody,
    show_texts,
    warn_of_floor,
)
from dovetail.cli.work.stopping import Stop
from dovetail.errors import UsageError
from dovetail.runtime.explanation import Explanation
from dovetail.runtime.plain import PlainPayment
from dovetail.sessions.status import SessionStatus


def pay(request: Request, screen: Screen) -> int:
    """Pay an address or a URI's; see `dovetail pay --help`."""
    return stopping.run(lambda stop: _pay(request, screen, stop))


async def _pay(request: Request, screen: Screen, stop: Stop) -> int:
    place = homes.home()
    wanted = _requested(request, place)
    require_somebody(request)
    rate = None if request.fee_rate is None else FeeRate.from_sat_per_vb(request.fee_rate)
    async with opening.open_agent(place, v1_only=True) as agent:
        screen.tick("Building the payment ...")
        payment = await agent.prepare_plain(
            wanted,
            amount=None if request.amount is None else Sats(request.amount),
            fee_rate=rate,
            again=request.again,
        )
        if not (screen.as_json and request.yes):  # a script has decided: nobody reads it
            floor = await asyncio.to_thread(relay_floor, agent.services.chain)
            _show(payment, floor, screen)
        if not request.yes:
            with stop.paused():
                click.confirm("Pay this?", abort=True, err=True)
        stop.guarded = True
        live = await agent.start_plain(payment)
        screen.say(f"Session {live.session_id} has begun.", bold=True)
        follower = Follower(live, screen, place.asks, never if request.wait else _is_out)
        code = await follow_all([follower], stop, patience=request.patience)
        tell_end(follower, screen)
        told = {"fee_sats": int(payment.fee), "most_added_sats": 0, "version": None}
        screen.emit(PAY, follower.values | told)
        return code


def _requested(request: Request, place: Home) -> BitcoinUri:
    """A bare address, or whom a URI asks to pay; its payjoin is left aside."""
    text = request.uri.strip()
    wanted = BitcoinUri.parse(text) if ":" in text else BitcoinUri(Address.parse(text))
    if wanted.address is not None and not wanted.address.is_for(place.network):
        raise UsageError(
            f"The address is not for {place.network}, which this wallet is on: ask the receiver"
            " for one that is, or choose another wallet by `--network`."
        )
    return wanted


def _show(payment: PlainPayment, floor: FeeRate | None, screen: Screen) -> None:
    screen.say(f"You pay       {sats(payment.amount)}", bold=True)
    screen.say(f"To            {payment.address}")
    show_texts(payment.request.label, payment.request.message, screen)
    screen.say(f"Fee           {sats(payment.fee)}, at {payment.fee_rate}")
    warn_of_floor(payment.fee_rate, floor, screen)
    screen.say(f"In all        {sats(Sats(payment.amount + payment.fee))}")
    screen.say("Payjoin       none: an ordinary payment, by which anybody can tell your coins")


def _is_out(explanation: Explanation) -> bool:
    return explanation.status is SessionStatus.CONFIRMING
