"""Follows sessions side by side, and says how each was left."""

import asyncio
from collections.abc import Collection

from dovetail.cli.actions import commands
from dovetail.cli.amounts import amount_words
from dovetail.cli.clock import clock
from dovetail.cli.context import Home
from dovetail.cli.exits import Exit
from dovetail.cli.hints import spelled
from dovetail.cli.live.follow import Enough, Follower, Live, never
from dovetail.cli.live.updates import as_events
from dovetail.cli.output import Screen, countdown, local_time, span
from dovetail.cli.service import go_on
from dovetail.cli.signals import Stop, first_of
from dovetail.cli.time_left import DEADLINES
from dovetail.explain.explanation import DeadlineKind, Explanation
from dovetail.explain.text import UNREADABLE
from dovetail.sessions import receiver
from dovetail.sessions.receiver.events import Web
from dovetail.sessions.standing import AnySession


async def follow_all(
    followers: Collection[Follower], stop: Stop, *, patience: float | None = None
) -> Exit:
    """Follow sessions side by side, and say of each how it ended, or was left.

    That is said at once where one ends. The gravest of their exit codes.
    """
    stop.guarded = True
    told: list[Follower] = []

    async def one(follower: Follower) -> None:
        # A fault in one of several ends no other, and is told in the summary.
        await follower.follow(alone=len(followers) == 1)
        told.append(follower)
        tell_end(follower)

    async def together() -> None:
        await asyncio.gather(*map(one, followers))

    if not stop.asked.is_set():
        await first_of(together(), stop.asked.wait(), _count_down(followers), patience=patience)
    for follower in followers:
        if follower not in told:
            follower.leave()
            tell_end(follower)
    codes = {follower.code for follower in followers}
    gravest = (Exit.FAILED, Exit.FALLBACK_PENDING, Exit.IN_PROGRESS)
    return next((code for code in gravest if code in codes), Exit.DONE)


async def _count_down(followers: Collection[Follower]) -> None:
    """Keep a line on the terminal that shows how long there is left."""
    while True:
        await asyncio.sleep(1)
        for follower in followers:
            found = follower.explanation
            if len(followers) == 1 and found is not None and found.deadline is not None:
                left = countdown(found.deadline.at - clock())
                what = DEADLINES[found.deadline.kind]
                follower.screen.tick(
                    f"          {what} in {left}; Ctrl-C leaves it for later", about=what
                )


def tell_end(follower: Follower) -> None:
    """Say how a session was left, and what to do next; one of several has one line on stdout."""
    screen = follower.screen
    number, found = follower.live.session_id, follower.explanation
    if found is None:
        trouble = follower.trouble_words or f"Session {number}: {UNREADABLE}"
        screen.say(trouble, fg="red")
        _summarise(follower, UNREADABLE)
    elif follower.fault is not None:
        name = type(follower.fault).__name__
        screen.say(
            f"A bug in Dovetail stopped session {number} ({name}). The session is as it was:"
            " please report it.",
            fg="red",
        )
        _summarise(follower, f"{found.words} A bug in Dovetail stopped it.")
    elif found.outcome is not None:
        words = f"{follower.prefix}{found.words}"
        screen.result(words if found.txid is None else f"{words} {found.txid}")
        if found.reason is not None and found.tells_reason:
            screen.say(f"Why: {found.reason_words}")
            screen.say(f"     {found.reason.advice}")
        if found.amounts is not None and found.paid:
            screen.say(amount_words(found.amounts))
        if found.surplus is not None:
            screen.say(found.surplus.words, bold=True)
        if not found.paid or found.surplus is not None:
            screen.say(found.advice)
    elif found.needs_decision:
        _summarise(follower, found.words)
        words = f"Session {number} waits for your decision. {found.words} {found.advice}"
        screen.say(words, bold=True)
        _tell_seen(follower)
        tell_deadline(found, screen)
        for command in commands(found.actions, number):
            screen.say(f"  {spelled(command)}")
    else:
        _summarise(follower, found.words)
        words = _TRIED if follower.tried else found.words
        screen.say(f"Session {number} stays open; nothing is lost. {words}")
        _tell_seen(follower)
        tell_deadline(found, screen)
        listening = " --listen HOST:PORT" if waits_at_own_server(follower.live.state) else ""
        screen.say(go_on(number, found, running=follower.running(), listening=listening))


def _tell_seen(follower: Follower) -> None:
    if follower.seen is not None:
        follower.screen.say(f"Seen last: {follower.seen.words}")


def waits_at_own_server(state: AnySession | None) -> bool:
    """Whether a sender may still come to a server of one's own, which has to run for that."""
    return isinstance(state, receiver.Initialized) and isinstance(state.created.endpoint, Web)


_TRIED = "The payment may not have been sent yet: Dovetail tried once and has to try again."


def _summarise(follower: Follower, words: str) -> None:
    """The line of a session that has not ended, where it is one of several."""
    if follower.prefix:
        follower.screen.result(f"{follower.prefix}{words}")


def tell_deadline(found: Explanation, screen: Screen) -> None:
    """Say what time alone does next, and when."""
    if found.deadline is not None:
        left = span(found.deadline.at - clock())
        screen.say(f"{_DUE[found.deadline.kind]} {local_time(found.deadline.at)}, in {left}.")


_DUE = {
    DeadlineKind.EXPIRES: "It expires at",
    DeadlineKind.FALLBACK: "The ordinary payment falls due at",
    DeadlineKind.WATCHING: "A payment is looked for until",
    DeadlineKind.SIGNING: "It has to be signed before",
}


def follower_of(
    live: Live,
    place: Home,
    screen: Screen,
    enough: Enough = never,
    *,
    prefix: str = "",
    once: bool = False,
) -> Follower:
    """Follows one session on the screen, and in events where they were asked for."""
    return Follower(
        live,
        screen,
        place.asks,
        enough,
        prefix=prefix,
        beside=as_events(screen),
        running=lambda: place.running,
        once=once,
    )
