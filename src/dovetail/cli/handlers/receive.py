"""`dovetail receive`: a URI to show, then the session until the payment is in."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dovetail.bitcoin import Network
from dovetail.cli import context, open_parts, qr, qr_output, signals
from dovetail.cli import live as working
from dovetail.cli.clock import clock
from dovetail.cli.config import readers
from dovetail.cli.config.table import LONGEST, SHORTEST
from dovetail.cli.context import Home
from dovetail.cli.exits import Exit
from dovetail.cli.handlers import v1_server
from dovetail.cli.handlers.v1_server import Listening
from dovetail.cli.json_keys import RECEIVE
from dovetail.cli.output import Screen, local_time, sats, span
from dovetail.cli.signals import Stop
from dovetail.errors import ChainError, TransportError, UsageError
from dovetail.protocol.uri import PayjoinUri, V2Endpoint

if TYPE_CHECKING:
    from dovetail.runtime.agent import Agent
    from dovetail.runtime.live_session import LiveReceiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asked for."""

    amount: int | None
    label: str | None
    message: str | None
    lifetime: float | None
    v1: bool
    listening: Listening
    wait: bool
    qr: bool
    qr_file: Path | None
    patience: float | None


def receive(request: Request, screen: Screen) -> int:
    """Ask for a payment; see `dovetail receive --help`."""
    return signals.run(lambda stop: _receive(request, screen, stop))


async def _receive(request: Request, screen: Screen, stop: Stop) -> int:
    listening = request.listening
    if request.qr_file is not None:
        qr.require_format(request.qr_file)
    place = context.home()
    listening.check(elsewhere=place.running)
    listening.check_public()
    if listening.wanted and not request.wait:
        raise UsageError("A server has to wait for its sender: remove --no-wait or --listen.")
    served = listening.at_own
    start = open_parts.start(
        place,
        receives=not served,
        v1_only=served,
        signs=request.wait,  # who only prints a URI adds no coin yet
        ahead=True,
    )
    # What follows is loaded while the chain server is asked.
    together = working.follow_all
    async with (
        working.agent.open_agent(start) as agent,
        v1_server.served(agent, listening, screen) as endpoint,
    ):
        await _look(agent, screen)
        lifetime = _lifetime(request, place)
        stop.guarded = True
        live = await _begin(agent, request, lifetime, endpoint or listening.public_url)
        uri = live.uri
        try:
            _show(live, uri, request, screen)
            _warn_of_directory(uri, agent, screen)
            if not request.wait:
                _leave(live, uri, place, screen)
                return Exit.DONE
        except OSError as error:
            await working.agent.call_off(agent, live.session_id)
            raise _unsaid(live, error) from error
        follower = together.follower_of(live, place, screen)
        follower.begin(uri)
        code = await together.follow_all([follower], stop, patience=request.patience)
        screen.emit(RECEIVE, {"uri": uri} | follower.values)
        return code


def _lifetime(request: Request, place: Home) -> int:
    """How long the URI is good for; bounded as the configuration's is, but for regtest's tests."""
    if request.lifetime is None:
        return place.settings.lifetime
    if place.network is Network.REGTEST and request.lifetime < LONGEST:
        return int(request.lifetime)
    return readers.seconds(SHORTEST, LONGEST)("--lifetime", request.lifetime)


async def _begin(
    agent: "Agent", request: Request, lifetime: int, endpoint: str | None
) -> "LiveReceiver":
    try:
        return await agent.receive(
            request.amount,
            label=request.label,
            message=request.message,
            lifetime=lifetime,
            v1=request.v1,
            endpoint=endpoint,
        )
    except TransportError as error:
        raise TransportError(f"No URI was made. {error}") from error


def _unsaid(live: "LiveReceiver", error: OSError) -> UsageError:
    return UsageError(
        f"The URI could not be shown ({error.strerror}), so nobody can pay by it: session"
        f" {live.session_id} was cancelled. Free some space or choose another output, and ask"
        " again."
    )


async def _look(agent: "Agent", screen: Screen) -> None:
    """Learn which coins there are to add to the payjoin; a receiver without any can go on."""
    screen.tick("Looking at the chain ...")
    try:
        await asyncio.to_thread(agent.services.wallet.sync)
        coins = await asyncio.to_thread(agent.services.wallet.coins)
    except ChainError as error:
        screen.say(f"The wallet could not be brought up to date. {error}", fg="yellow")
        return
    if not coins:
        screen.say(
            "This wallet has no confirmed coin to add, so that this will be an ordinary payment,"
            " not a payjoin.",
            fg="yellow",
        )


def _show(live: "LiveReceiver", uri: str, request: Request, screen: Screen) -> None:
    state = live.state
    if state is not None:
        screen.say(f"Session {live.session_id}: receiving {sats(request.amount)}.", bold=True)
    _show_code(uri, request, screen)
    screen.result(uri)
    if screen.as_json and request.wait:
        screen.say(uri)
    if state is not None:
        left = span(state.expires_at - clock())
        screen.say(f"It expires at {local_time(state.expires_at)}, in {left}.")


def _show_code(uri: str, request: Request, screen: Screen) -> None:
    """Draw the code where it fits, and write it where that was asked for."""
    if not (request.qr or request.qr_file):
        return
    if request.qr_file is not None:
        qr_output.write(uri, request.qr_file, screen)
        return
    qr_output.draw(uri, screen, words="Have the sender scan this, or send them the line below it.")


def _warn_of_directory(uri: str, agent: "Agent", screen: Screen) -> None:
    """Say where the user's leave to go without a relay is made use of."""
    endpoint = PayjoinUri.parse(uri).endpoint
    if isinstance(endpoint, V2Endpoint) and not agent.services.relays.hides_from(
        endpoint.directory
    ):
        screen.say(
            "No relay of another operator than the directory's is set: the directory sees your IP"
            " address.",
            fg="yellow",
        )


def _leave(live: "LiveReceiver", uri: str, place: Home, screen: Screen) -> None:
    """Say who has to take it forward from here, and print the result."""
    state = live.state
    if state is None:
        return
    follower = working.follow_all.follower_of(live, place, screen)
    follower.begin(uri)
    values = working.follow.values_now(live, state, running=place.running)
    screen.say(values["next"])
    screen.emit(RECEIVE, {"uri": uri} | values)
