"""Follows sessions and says what happens to them, until they end, ask or are left."""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from dovetail.bitcoin import UnixTime
from dovetail.cli.exits import Exit
from dovetail.cli.keys import SESSION
from dovetail.cli.output import Screen, countdown, local_time
from dovetail.cli.work.stopping import Stop, first_of
from dovetail.errors import DovetailError, TransportError
from dovetail.runtime.explain import Explanation, State, explain
from dovetail.runtime.live import LiveReceiver, LiveSender
from dovetail.sessions.status import SessionStatus
from dovetail.stores.ports import Role, SessionId

Live: TypeAlias = LiveReceiver | LiveSender
Enough: TypeAlias = Callable[[Explanation], bool]

COUNTED = frozenset({SessionStatus.WAITING_FOR_PAYMENT, SessionStatus.WAITING_FOR_PROPOSAL})


def clock() -> UnixTime:
    """The system's clock."""
    return UnixTime(int(time.time()))


def session_values(
    session_id: SessionId, role: Role, explanation: Explanation | None, expires_at: int
) -> dict[str, Any]:
    """A session under `keys.SESSION`; no explanation for a log that cannot be read."""
    if explanation is None:
        return dict.fromkeys(SESSION) | {
            "session": session_id,
            "role": role.value,
            "status": "damaged",
            "status_words": "Its log cannot be read; it is left as it is.",
            "next": "Upgrade Dovetail, or restore the database from a backup.",
            "expires_at": expires_at,
        }
    reason = explanation.reason
    return {
        "session": session_id,
        "role": role.value,
        "status": explanation.status.value,
        "status_words": explanation.words,
        "next": explanation.next,
        "amount_sats": None if explanation.amount is None else int(explanation.amount),
        "expires_at": int(explanation.expires_at),
        "outcome": explanation.outcome,
        "reason": None if reason is None else reason.value,
        "reason_words": None if reason is None else reason.words,
        "txid": explanation.txid,
    }


@dataclass
class Follower:
    """One session as it is followed; `left` is false once it ended, asked or was enough."""

    live: Live
    screen: Screen
    asks: bool
    enough: Enough
    prefix: str = ""
    explanation: Explanation | None = None
    trouble: DovetailError | None = None
    left: bool = True
    _said: set[str] = field(default_factory=set[str])

    async def follow(self) -> None:
        """Say each change, until nothing more is to be waited for."""
        async for update in self.live.updates():
            self.trouble = update.trouble
            if update.state is not None:
                self._show(update.state)
            if update.trouble is not None:
                self._complain(update.trouble)
            if self.explanation is None:
                continue
            # Who asks looks first: the chain may have answered meanwhile.
            looked = update.rested or update.trouble is not None
            if self._finished(self.explanation, looked=looked):
                self.left = False
                return
        self.left = self.explanation is not None

    def _finished(self, explanation: Explanation, *, looked: bool) -> bool:
        asked = explanation.asks and looked
        return explanation.outcome is not None or asked or self.enough(explanation)

    def _show(self, state: State) -> None:
        before = self.explanation
        self.explanation = explain(state, clock(), ask=self.asks)
        # How it ended is the result, which `tell_end` prints.
        ended = self.explanation.outcome is not None
        if not ended and (before is None or before.words != self.explanation.words):
            self._said.clear()
            self._say(self.explanation.words)

    def _complain(self, trouble: DovetailError) -> None:
        # The same trouble again and again is told once.
        if str(trouble) not in self._said:
            self._said.add(str(trouble))
            whose = "Relay or directory: " if isinstance(trouble, TransportError) else ""
            self._say(f"{whose}{trouble}", fg="yellow")

    def _say(self, words: str, **style: Any) -> None:
        at = datetime.now().astimezone().strftime("%H:%M:%S")
        self.screen.say(f"{at}  {self.prefix}{words}", **style)

    @property
    def code(self) -> Exit:
        """The exit code for where it was left."""
        explanation = self.explanation
        if explanation is None:
            return Exit.FAILED
        if explanation.outcome is not None:
            return Exit.DONE if explanation.paid else Exit.FAILED
        if explanation.asks:
            return Exit.FALLBACK_PENDING
        return Exit.IN_PROGRESS if self.left else Exit.DONE

    @property
    def values(self) -> dict[str, Any]:
        """The session under `keys.SESSION`."""
        expires_at = 0 if self.explanation is None else int(self.explanation.expires_at)
        return session_values(self.live.session_id, self.live.role, self.explanation, expires_at)


def never(_explanation: Explanation) -> bool:
    """Follow to the end."""
    return False


async def follow_all(
    followers: Collection[Follower], stop: Stop, *, patience: float | None = None
) -> Exit:
    """Follow sessions side by side; the gravest of their exit codes."""
    stop.guarded = True

    async def together() -> None:
        works = (follower.follow() for follower in followers)
        # A fault in one of them ends no other; it is raised when all are done.
        for fault in await asyncio.gather(*works, return_exceptions=True):
            if fault is not None:
                raise fault

    if not stop.asked.is_set():
        await first_of(together(), stop.asked.wait(), _count_down(followers), patience=patience)
    codes = {follower.code for follower in followers}
    gravest = (Exit.FAILED, Exit.FALLBACK_PENDING, Exit.IN_PROGRESS)
    return next((code for code in gravest if code in codes), Exit.DONE)


async def _count_down(followers: Collection[Follower]) -> None:
    """Keep a line on the terminal that shows how long there is left."""
    while True:
        await asyncio.sleep(1)
        for follower in followers:
            found = follower.explanation
            if len(followers) == 1 and found is not None and found.status in COUNTED:
                left = countdown(found.expires_at - clock())
                follower.screen.tick(f"          expires in {left}; Ctrl-C leaves it for later")


def tell_end(follower: Follower, screen: Screen) -> None:
    """Say how a session was left, and what to do next."""
    number, found = follower.live.session_id, follower.explanation
    if found is None:
        screen.say(f"Session {number} cannot be read. {follower.trouble or ''}".rstrip(), fg="red")
    elif found.outcome is not None:
        words = f"{follower.prefix}{found.words}"
        screen.result(words if found.txid is None else f"{words} {found.txid}")
        if found.reason is not None:
            screen.say(f"Why: {found.reason.words}")
        if not found.paid:
            screen.say(found.next)
    elif found.asks:
        screen.say(f"Session {number} waits for your word. {found.next}", bold=True)
        screen.say(f"  dovetail fallback {number}")
        screen.say(f"  dovetail release {number}")
    else:
        screen.say(f"Session {number} is left open; nothing is lost. {found.words}")
        if found.status in COUNTED:
            screen.say(f"It expires at {local_time(found.expires_at)}.")
        screen.say(f"Go on with it by: dovetail resume {number}")
