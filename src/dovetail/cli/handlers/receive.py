"""`dovetail receive`: a URI to show, then the session until the payment is in."""

import asyncio
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


@signals.interruptible
async def receive(  # noqa: PLR0913 - one argument for each option
    stop: Stop,
    screen: Screen,
    *,
    amount: int | None,
    label: str | None,
    message: str | None,
    lifetime: float | None,
    v1: bool,
    place: tuple[str, int] | None,
    public_url: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    no_wait: bool,
    patience: float | None,
    qr_file: Path | None,
    no_qr: bool,
) -> int:
    """Ask for a payment; see `dovetail receive --help`."""
    listening = Listening(place, tls_cert, tls_key, public_url)
    if qr_file is not None:
        qr.require_format(qr_file)
    home = context.home()
    listening.check(elsewhere=home.running)
    listening.check_public()
    if listening.wanted and no_wait:
        raise UsageError("A server has to wait for its sender: remove --no-wait or --listen.")
    served = listening.at_own
    start = open_parts.start(
        home,
        receives=not served,
        v1_only=served,
        signs=not no_wait,  # no coin is added yet where only a URI is printed
        ahead=True,
    )
    # The rest is loaded while the chain server is asked.
    together = working.follow_all
    async with (
        working.agent.open_agent(start) as agent,
        v1_server.served(agent, listening, screen) as endpoint,
    ):
        await _look(agent, screen)
        seconds = _lifetime(lifetime, home)
        stop.guarded = True
        try:
            live = await agent.receive(
                amount,
                label=label,
                message=message,
                lifetime=seconds,
                v1=v1,
                endpoint=endpoint or public_url,
            )
        except TransportError as error:
            raise TransportError(f"No URI was made. {error}") from error
        uri = live.uri
        try:
            screen.say(f"Session {live.session_id}: receiving {sats(amount)}.", bold=True)
            if qr_file is not None:
                qr_output.write(uri, qr_file, screen)
            elif not no_qr:
                words = "Have the sender scan this, or send them the line below it."
                qr_output.draw(uri, screen, words=words)
            screen.result(uri)
            if screen.as_json and not no_wait:
                screen.say(uri)
            _tell_expiry(live, screen)
            _warn_of_directory(uri, agent, screen)
            if no_wait:
                _leave(live, uri, home, screen)
                return Exit.DONE
        except OSError as error:
            await working.agent.call_off(agent, live.session_id)
            raise _unsaid(live, error) from error
        follower = together.follower_of(live, home, screen)
        follower.begin(uri)
        code = await together.follow_all([follower], stop, patience=patience)
        screen.emit(RECEIVE, {"uri": uri} | follower.values)
        return code


def _tell_expiry(live: "LiveReceiver", screen: Screen) -> None:
    if live.state is not None:
        at = live.state.expires_at
        screen.say(f"It expires at {local_time(at)}, in {span(at - clock())}.")


def _lifetime(given: float | None, place: Home) -> int:
    """How long the URI is good for; bounded as the configuration's is, but for regtest's tests."""
    if given is None:
        return place.settings.lifetime
    if place.network is Network.REGTEST and given < LONGEST:
        return int(given)
    return readers.seconds(SHORTEST, LONGEST)("--lifetime", given)


def _unsaid(live: "LiveReceiver", error: OSError) -> UsageError:
    return UsageError(
        f"The URI could not be shown ({error.strerror}), so nobody can pay by it: session"
        f" {live.session_id} was cancelled. Free some space or choose another output, and ask"
        " again."
    )


async def _look(agent: "Agent", screen: Screen) -> None:
    """Look for coins to add to the payjoin; a receiver without any can go on."""
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


def _warn_of_directory(uri: str, agent: "Agent", screen: Screen) -> None:
    """Warn if no relay hides the IP address from the directory."""
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
    """Say how it goes on from here, and print the result."""
    state = live.state
    if state is None:
        return
    follower = working.follow_all.follower_of(live, place, screen)
    follower.begin(uri)
    values = working.follow.values_now(live, state, running=place.running)
    screen.say(values["next"])
    screen.emit(RECEIVE, {"uri": uri} | values)
