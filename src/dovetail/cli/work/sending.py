"""`dovetail send`: look at the payment, ask, then see it through."""

import asyncio
import sys
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import click

from dovetail.bitcoin import FeeRate, Sats
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.cli.keys import SEND
from dovetail.cli.output import Screen, local_time, sats, span
from dovetail.cli.work import homes, opening, stopping
from dovetail.cli.work.following import (
    Follower,
    clock,
    follow_all,
    never,
    tell_end,
)
from dovetail.cli.work.homes import Home
from dovetail.cli.work.stopping import Stop
from dovetail.errors import ChainError, InvalidUri, UsageError
from dovetail.protocol.uri import PayjoinUri, V1Endpoint, V2Endpoint
from dovetail.runtime.agent import Payment
from dovetail.runtime.explanation import Explanation
from dovetail.runtime.relays import Relays
from dovetail.sessions.sender import answer_until
from dovetail.sessions.status import SessionStatus
from dovetail.tor import is_onion
from dovetail.wallets.ports import Chain

_INDENT = " " * 14
_NOT_LEFT = frozenset({SessionStatus.READY_TO_SEND, SessionStatus.SENDING_ORIGINAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asked for."""

    uri: str
    amount: int | None
    fee_rate: str | None
    yes: bool
    again: bool
    wait: bool
    patience: float | None


def send(request: Request, screen: Screen) -> int:
    """Pay a URI; see `dovetail send --help`."""
    return stopping.run(lambda stop: _send(request, screen, stop))


async def _send(request: Request, screen: Screen, stop: Stop) -> int:
    place = homes.home()
    uri = _checked(request, place)
    require_somebody(request)
    rate = None if request.fee_rate is None else FeeRate.from_sat_per_vb(request.fee_rate)
    v1_only = isinstance(uri.endpoint, V1Endpoint)
    async with opening.open_agent(place, v1_only=v1_only) as agent:
        screen.tick("Building the payment ...")
        amount = None if request.amount is None else Sats(request.amount)
        payment = await agent.prepare(uri, amount=amount, fee_rate=rate, again=request.again)
        if not (screen.as_json and request.yes):  # a script has decided: nobody reads it
            floor = await asyncio.to_thread(relay_floor, agent.services.chain)
            _show(payment, agent.services.relays, screen, floor)
        if not request.yes:
            with stop.paused():
                click.confirm("Pay this?", abort=True, err=True)
        stop.guarded = True
        live = await agent.start(payment)
        screen.say(f"Session {live.session_id} has begun.", bold=True)
        follower = Follower(live, screen, place.asks, never if request.wait else _has_left)
        code = await follow_all([follower], stop, patience=request.patience)
        tell_end(follower, screen)
        screen.emit(SEND, follower.values | _fees(payment))
        return code


def _checked(request: Request, place: Home) -> PayjoinUri:
    """What can be told about the URI before anything else is opened."""
    uri = _parsed(request.uri)
    if not uri.address.is_for(place.network):
        raise UsageError(
            f"The URI is not for {place.network}, which this wallet is on: ask the receiver for"
            " one that is, or choose another wallet by `--network`."
        )
    if isinstance(uri.endpoint, V2Endpoint) and uri.endpoint.expires_at <= clock():
        raise UsageError(
            f"The URI expired at {local_time(uri.endpoint.expires_at)}: ask the receiver for a new"
            f" one.{PLAINLY}"
        )
    if uri.amount == 0:
        raise UsageError("The URI asks for 0 satoshis: ask the receiver for another one.")
    if uri.amount is None and request.amount is None:
        raise UsageError("The URI names no amount: say how many satoshis to pay by `--amount`.")
    if None not in (uri.amount, request.amount) and uri.amount != request.amount:
        raise UsageError(
            "The URI asks for another amount than `--amount` says: leave the option away."
        )
    return uri


PLAINLY = " Its address is still good: `--plain` pays it as usual, without a payjoin."


def require_somebody(request: Request) -> None:
    """Raise `UsageError` where nobody can confirm the payment and nobody has."""
    if not request.yes and not sys.stdin.isatty():
        raise UsageError("Nobody is there to confirm the payment: add --yes to pay without asking.")


def _parsed(text: str) -> PayjoinUri:
    """The URI; where only its payjoin cannot be used, that it can be paid all the same."""
    try:
        return PayjoinUri.parse(text)
    except InvalidUri as error:
        try:
            request = BitcoinUri.parse(text)
        except InvalidUri:
            raise error from None
        if request.address is None or not {"req-pj"}.issuperset(request.unknown_required):
            raise
        raise InvalidUri(f"{error}{PLAINLY}") from error


def _show(payment: Payment, relays: Relays, screen: Screen, floor: FeeRate | None) -> None:
    uri = payment.uri
    screen.say(f"You pay       {sats(payment.amount)}", bold=True)
    screen.say(f"To            {uri.address}")
    show_texts(uri.label, uri.message, screen)
    screen.say(f"Fee           {sats(payment.fee)}, at {payment.fee_rate}")
    warn_of_floor(payment.fee_rate, floor, screen)
    for line in _of_payjoin(payment):
        screen.say(line)
    if isinstance(uri.endpoint, V2Endpoint):
        latest = answer_until(uri, now=clock())
        screen.say(f"Answer until  {local_time(latest)}, in {span(latest - clock())}")
    direct = isinstance(uri.endpoint, V2Endpoint) and not relays.hides_from(uri.endpoint.directory)
    for line in disclosures(uri.endpoint, direct=direct):
        screen.say(line)


def warn_of_floor(rate: FeeRate, floor: FeeRate | None, screen: Screen) -> None:
    """Say where a payment pays less than nodes relay."""
    if floor is not None and rate < floor:
        screen.say(f"Nodes relay from {floor} on: below it this payment may never confirm.")
    elif rate < FeeRate.BROADCAST_MIN:
        screen.say(
            f"Many nodes still relay from {FeeRate.BROADCAST_MIN} on: they do not pass this payment"
            " on, and it may never confirm."
        )


def relay_floor(chain: Chain) -> FeeRate | None:
    """The least that the chain source relays; None where it does not say."""
    try:
        return chain.min_fee_rate()
    except ChainError:
        return None  # which keeps nobody from looking at the payment


def show_texts(label: str | None, message: str | None, screen: Screen) -> None:
    """What the receiver says about themselves and the payment."""
    if label:
        screen.say(f"Named         {_printable(label)}")
    if message:
        screen.say(f"For           {_printable(message)}")


def _of_payjoin(payment: Payment) -> tuple[str, ...]:
    """What a payjoin may cost, and what to expect where our change cannot pay for all of it."""
    rate = payment.params.min_fee_rate
    most = f"A payjoin     may add at most {sats(payment.most_added)} to that fee"
    lines = (most, f"{_INDENT}and pays at least {rate} in all")
    if not payment.receiver_pays:
        return lines
    why = "there is too little change" if payment.most_added else "there is no change"
    return (
        *lines,
        f"{_INDENT}but {why} to pay for the receiver's coin:",
        f"{_INDENT}the receiver pays the rest, or the ordinary payment is made",
    )


def disclosures(endpoint: V1Endpoint | V2Endpoint, *, direct: bool) -> tuple[str, str]:
    """By which version of payjoin the payment goes, and who sees what of it."""
    if isinstance(endpoint, V2Endpoint):
        by = f"Payjoin by    BIP 77 (version 2), through the directory {_host(endpoint.directory)}"
        if is_onion(endpoint.directory):
            who = "the directory sees that somebody asks, over Tor; only the receiver what you pay"
        elif direct:
            who = "the directory sees your network address; only the receiver what you pay"
        else:
            who = (
                "the relay sees your network address, the directory that somebody asks; only the"
                " receiver what you pay"
            )
        return by, f"Who sees it   {who}"
    host = _host(endpoint.url)
    by = f"Payjoin by    BIP 78 (version 1), straight to the receiver's server {host}"
    if is_onion(endpoint.url):
        who = "who runs that server sees the payment, but not your network address: Tor hides it"
    else:
        who = "who runs that server sees the payment and your network address"
    return by, f"Who sees it   {who}"


def _host(url: str) -> str:
    host = urlsplit(url).hostname or ""
    return host if len(host) <= 64 else f"{host[:20]}…{host[-20:]}"


def _printable(text: str) -> str:
    """The receiver's words, without what could move the cursor or hide the rest."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return plain if len(plain) <= 80 else f"{plain[:79]}…"


def _has_left(explanation: Explanation) -> bool:
    """Whether the receiver can go on without us."""
    return explanation.status not in _NOT_LEFT


def _fees(payment: Payment) -> dict[str, Any]:
    return {
        "fee_sats": int(payment.fee),
        "most_added_sats": int(payment.most_added),
        "version": 1 if isinstance(payment.uri.endpoint, V1Endpoint) else 2,
    }
