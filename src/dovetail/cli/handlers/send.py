"""`dovetail send`: look at the payment, ask, then see it through."""

from typing import TYPE_CHECKING, Any

from dovetail.bitcoin import FeeRate, Sats
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.cli import context, open_parts, signals
from dovetail.cli import live as working
from dovetail.cli.clock import clock
from dovetail.cli.context import Home
from dovetail.cli.handlers.payment_request import Request, chosen_coins, require_somebody
from dovetail.cli.json_keys import SEND
from dovetail.cli.output import Screen, local_time, sats
from dovetail.cli.signals import Stop
from dovetail.errors import InvalidUri, UsageError
from dovetail.protocol.uri import PayjoinUri, V1Endpoint, V2Endpoint
from dovetail.sessions.status import SessionStatus

if TYPE_CHECKING:
    from dovetail.cli.live.follow import Enough
    from dovetail.explain.explanation import Explanation
    from dovetail.runtime.prepared_payment import PreparedPayment

_NOT_LEFT = frozenset({SessionStatus.READY_TO_SEND, SessionStatus.SENDING_ORIGINAL})


def send(request: Request, screen: Screen) -> int:
    """Pay a URI; see `dovetail send --help`."""
    return signals.run(lambda stop: _send(request, screen, stop))


async def _send(request: Request, screen: Screen, stop: Stop) -> int:
    place = context.home()
    uri = _checked(request, place)
    require_somebody(request)
    rate = None if request.fee_rate is None else FeeRate.from_sat_per_vb(request.fee_rate)
    v1_only = isinstance(uri.endpoint, V1Endpoint)
    start = open_parts.start(place, v1_only=v1_only, ahead=True)
    # What follows is loaded while the chain server is asked.
    together = working.follow_all
    async with working.agent.open_agent(start) as agent:
        screen.tick("Building the payment ...")
        amount = None if request.amount is None else Sats(request.amount)
        payment = await agent.prepare(
            uri, amount=amount, fee_rate=rate, coins=chosen_coins(request), again=request.again
        )
        await working.preview.agree_on(payment, agent.services, request, screen, stop)
        live = await agent.start(payment)
        screen.say(f"Session {live.session_id} has begun.", bold=True)
        enough = _enough(request, place)
        follower = together.follower_of(live, place, screen, enough, once=not request.wait)
        code = await together.follow_all([follower], stop, patience=request.patience)
        told = _fees(payment) | {"trouble": follower.trouble_words}
        screen.emit(SEND, follower.values | told)
        return code


def _checked(request: Request, place: Home) -> PayjoinUri:
    """What can be told about the URI before anything else is opened."""
    uri = _parsed(request.uri)
    if not uri.address.is_for(place.network):
        raise UsageError(
            f"The URI is not for {place.network}, which this wallet is on: ask the receiver for"
            " one that is, or choose another wallet with `--network`."
        )
    if isinstance(uri.endpoint, V2Endpoint) and uri.endpoint.expires_at <= clock():
        raise UsageError(
            f"The URI expired at {local_time(uri.endpoint.expires_at)}: ask the receiver for a new"
            f" one.{PLAINLY}"
        )
    if uri.amount == 0:
        raise UsageError("The URI asks for 0 sats: ask the receiver for another one.")
    if uri.amount is None and request.amount is None:
        raise UsageError("The URI names no amount. Add `--amount SATS`.")
    if uri.amount is not None and request.amount not in (None, uri.amount):
        raise UsageError(f"The URI already asks for {sats(uri.amount)}. Remove `--amount`.")
    return uri


_SO = " `--plain` does so, without a payjoin."
PLAINLY = " Its address is still good: `--plain` pays it as usual, without a payjoin."


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
        how = _SO if "as usual" in str(error) else PLAINLY
        raise InvalidUri(f"{error}{how}") from error


def _enough(request: Request, place: Home) -> "Enough":
    """How far the session is followed: where `dovetail run` does the work, not at all."""
    if request.wait:
        return working.follow.never
    return working.follow.at_once if place.running else _has_left


def _has_left(explanation: "Explanation") -> bool:
    """Whether the receiver can go on without us."""
    return explanation.status not in _NOT_LEFT


def _fees(payment: "PreparedPayment") -> dict[str, Any]:
    return {
        "fee_sats": int(payment.fee),
        "most_added_sats": int(payment.most_added),
        "version": 1 if isinstance(payment.uri.endpoint, V1Endpoint) else 2,
    }
