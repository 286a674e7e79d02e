"""`dovetail resume`: all open sessions, or some, side by side."""

from collections.abc import Sequence
from contextlib import suppress

from dovetail.cli import context, open_parts, signals
from dovetail.cli.exits import Exit
from dovetail.cli.handlers import v1_server
from dovetail.cli.handlers.v1_server import Listening
from dovetail.cli.json_keys import RESUME
from dovetail.cli.live.agent import open_agent
from dovetail.cli.live.follow import Follower, Seen
from dovetail.cli.live.follow_all import follow_all, follower_of, waits_at_own_server
from dovetail.cli.output import Screen, local_time
from dovetail.cli.signals import Stop
from dovetail.errors import ChainError, ReplayError, UsageError
from dovetail.runtime.agent import Agent
from dovetail.runtime.late_payments import look_back
from dovetail.stores.integrity import load_session
from dovetail.stores.ports import SessionId


@signals.interruptible
async def resume(
    stop: Stop,
    screen: Screen,
    *,
    ids: Sequence[int],
    patience: float | None,
    place: tuple[str, int] | None,
    tls_cert: str | None,
    tls_key: str | None,
) -> int:
    """Go on with sessions; see `dovetail resume --help`."""
    listening = Listening(place, tls_cert, tls_key)
    listening.check()
    home = context.home()
    if not home.database.exists() and not ids:
        return _nothing(screen)
    async with (
        open_agent(open_parts.start(home, v1_only=listening.wanted)) as agent,
        v1_server.served(agent, listening, screen),
    ):
        await _look_back(agent, screen)
        wanted = _wanted(agent, ids)
        if not wanted:
            return _nothing(screen)
        stop.guarded = True
        if not listening.wanted and not home.running:
            _tell_unserved(agent, wanted, screen)
        several = len(wanted) > 1
        followers = [
            follower_of(live, home, screen, prefix=f"#{live.session_id} " * several)
            for live in agent.resume(wanted)
        ]
        for follower in followers:
            _tell_seen(follower, agent)
        if home.running:
            screen.say("`dovetail run` is working on it too; Ctrl-C ends this command alone.")
        code = await follow_all(followers, stop, patience=patience)
        screen.emit(RESUME, {"sessions": [follower.values for follower in followers]})
        return code


def _tell_seen(follower: Follower, agent: Agent) -> None:
    """Say what was seen before, and when."""
    follower.seen = Seen.in_row(agent.services.store.row(follower.live.session_id))
    if follower.seen is not None:
        at = local_time(follower.seen.at)
        follower.screen.say(f"{follower.prefix}Seen before, at {at}: {follower.seen.words}")


async def _look_back(agent: Agent, screen: Screen) -> None:
    """Report payments that came to a receiver's address after its session had ended."""
    try:
        found = await look_back(agent.services)
    except ChainError as error:
        screen.say(f"The addresses of ended sessions could not be looked at. {error}", fg="yellow")
        return
    for late in found:
        more = late.surplus
        which = late.sighting.txid if more is None else f"{more.words} {more.advice or ''}"
        screen.say(f"{late.words} {which}".rstrip(), bold=True)


def _wanted(agent: Agent, ids: Sequence[int]) -> list[SessionId]:
    store = agent.services.store
    if not ids:
        return [row.session_id for row in store.live()]
    rows = [store.row(SessionId(number)) for number in dict.fromkeys(ids)]
    for row in rows:
        if row.closed_at is not None:
            raise UsageError(
                f"Session {row.session_id} is closed: `dovetail show {row.session_id}` says how."
            )
    return [row.session_id for row in rows]


def _tell_unserved(agent: Agent, wanted: Sequence[SessionId], screen: Screen) -> None:
    """Name the sessions that wait for a sender while no server runs for it."""
    for session_id in wanted:
        with suppress(ReplayError):
            if waits_at_own_server(load_session(agent.services.store, session_id)):
                screen.say(
                    f"Session {session_id} waits for its sender at a server of your own: serve it"
                    f" with `dovetail resume {session_id} --listen HOST:PORT`.",
                    fg="yellow",
                )


def _nothing(screen: Screen) -> int:
    screen.say("No session is open; there is nothing to resume.")
    screen.emit(RESUME, {"sessions": []})
    return Exit.DONE
