"""Follows sessions and says what happens to them, until they end, ask or are left."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self, TypeAlias

from dovetail.cli.actions import error_words
from dovetail.cli.amounts import amount_values, surplus_values
from dovetail.cli.clock import clock
from dovetail.cli.exits import Exit
from dovetail.cli.json_keys import SESSION
from dovetail.cli.live.updates import Happening, HappeningKind, Teller, nobody
from dovetail.cli.output import Screen, sats, span
from dovetail.cli.service import next_words
from dovetail.errors import DovetailError, TransportError
from dovetail.explain.chain import describe_sighting, low_fee_words, rival_words
from dovetail.explain.explanation import Explanation
from dovetail.explain.session import explain
from dovetail.explain.text import RESTORE, UNREADABLE
from dovetail.runtime.chain_watch import LowFee, Rival
from dovetail.runtime.live_session import LiveReceiver, LiveSender
from dovetail.sessions.sightings import Sighting, SpendKind
from dovetail.sessions.standing import AnySession
from dovetail.stores.ports import Role, SessionId, SessionRow

Live: TypeAlias = LiveReceiver | LiveSender
Enough: TypeAlias = Callable[[Explanation], bool]


@dataclass(frozen=True, slots=True)
class Seen:
    """The last sighting of a session's money on the chain, and when it was made first."""

    sighting: Sighting
    at: int

    @classmethod
    def in_row(cls, row: SessionRow) -> Self | None:
        """The last sighting by any process, or None."""
        if row.sighting is None or row.seen_at is None:
            return None
        return cls(row.sighting, int(row.seen_at))

    @property
    def words(self) -> str:
        """The same in a sentence, and the transaction."""
        return f"{describe_sighting(self.sighting)} {self.sighting.txid}"

    @property
    def rate_words(self) -> str:
        """The fee rate of a rival of the ordinary payment, in a sentence; else empty."""
        rate = self.sighting.rate
        return "" if rate is None else f"It pays {rate}."

    @property
    def tells_amount(self) -> bool:
        """Whether the words say how much has come."""
        return self.sighting.came not in (None, self.sighting.asked)

    @property
    def values(self) -> dict[str, Any]:
        """The same for a program."""
        rate = self.sighting.rate
        return {
            "kind": self.sighting.kind.value,
            "txid": str(self.sighting.txid),
            "confirmations": self.sighting.depth,
            "gone": self.sighting.gone,
            "at": self.at,
            "came_sats": None if self.sighting.came is None else int(self.sighting.came),
            "asked_sats": None if self.sighting.asked is None else int(self.sighting.asked),
            "fee_rate": None if rate is None else format(rate.sat_per_vb, "f"),
        }


PAYMENTS = (SpendKind.PAYJOIN, SpendKind.FALLBACK, SpendKind.PAYMENT, SpendKind.DIRECT)


def session_values(
    session_id: SessionId,
    role: Role,
    explanation: Explanation | None,
    expires_at: int,
    seen: Seen | None = None,
    *,
    running: bool,
) -> dict[str, Any]:
    """A session under `json_keys.SESSION`; no explanation for a log that cannot be read.

    `running` is whether `dovetail run` works on it.
    """
    sighting = None if seen is None else seen.values
    if explanation is None:
        return dict.fromkeys(SESSION) | {
            "seen": sighting,
            "session": session_id,
            "role": role.value,
            "status": "damaged",
            "status_words": UNREADABLE,
            "next": RESTORE,
            "expires_at": expires_at,
        }
    reason, deadline = explanation.reason, explanation.deadline
    return {
        "session": session_id,
        "role": role.value,
        "status": explanation.status.value,
        "status_words": explanation.words,
        "next": next_words(session_id, explanation, running=running),
        "amount_sats": None if explanation.amount is None else int(explanation.amount),
        "expires_at": int(explanation.expires_at),
        "outcome": explanation.outcome,
        "reason": None if reason is None else reason.value,
        "reason_words": explanation.reason_words,
        "reason_advice": None if reason is None else reason.advice,
        "rule": explanation.rule,
        "owed": explanation.owed,
        "receiver_can_take": explanation.receiver_can_take,
        "deadline": None if deadline is None else deadline.kind.value,
        "deadline_at": None if deadline is None else int(deadline.at),
        "txid": explanation.txid,
        "seen": sighting,
        **amount_values(explanation.amounts),
        **surplus_values(explanation.surplus),
    }


def row_values(
    row: SessionRow, explanation: Explanation | None, *, running: bool
) -> dict[str, Any]:
    """The same of a stored session, with what was seen of it last."""
    number, expires_at, seen = row.session_id, int(row.expires_at), Seen.in_row(row)
    return session_values(number, row.role, explanation, expires_at, seen, running=running)


def values_now(live: Live, state: AnySession, *, running: bool) -> dict[str, Any]:
    """A session that this command does not follow, under `keys.SESSION`."""
    found = explain(state, clock())
    return session_values(live.session_id, live.role, found, int(state.expires_at), running=running)


@dataclass
class Follower:
    """One session as it is followed; `left` is false once it ended, asked or was enough."""

    live: Live
    screen: Screen
    asks: bool
    enough: Enough
    prefix: str = ""
    beside: Teller = nobody
    """Is told the same as the screen, and the end as well."""
    stays: bool = False
    """Whether it goes on where a person is asked, who may answer elsewhere."""
    once: bool = False
    """Whether one try is enough, whatever came of it: the rest is left to other commands."""
    running: Callable[[], bool] = lambda: False
    """Whether `dovetail run` works on it too."""
    explanation: Explanation | None = None
    trouble: DovetailError | None = None
    left: bool = True
    tried: bool = False
    """Whether it was left because one try was enough."""
    fault: Exception | None = None
    """An exception that ended it: a bug."""
    seen: Seen | None = None
    low_fee: LowFee | None = None
    rival: Rival | None = None
    _said: set[str] = field(default_factory=set[str])
    _asked: set[str] = field(default_factory=set[str])

    async def follow(self, *, alone: bool = True) -> None:
        """Say each change, until nothing more is to be waited for; keep a fault unless alone."""
        try:
            await self._follow()
        except Exception as fault:
            self.fault = fault
            name = type(fault).__name__
            self._pass_on(HappeningKind.FAULT, f"A bug in Dovetail stopped it ({name}).")
            if alone:
                raise

    async def _follow(self) -> None:
        async for update in self.live.updates():
            self.trouble = update.trouble
            if update.state is not None:
                self._show(update.state, update.sighting)
            self._look(update.sighting, update.low_fee)
            self._tell_rival(update.rival)
            if update.trouble is not None:
                self._complain(update.trouble, None if self.once else update.again_in)
            if self.explanation is None:
                continue
            # Check the chain once before asking the user.
            looked = update.rested or update.trouble is not None
            if self._finished(self.explanation, looked=looked):
                self.left = False
                return
            if self.once and looked:
                self.tried = True
                self.leave()
                return
        self.left = self.explanation is not None
        if self.explanation is None:
            self._pass_on(HappeningKind.DAMAGED, UNREADABLE)

    def _finished(self, explanation: Explanation, *, looked: bool) -> bool:
        if explanation.outcome is not None:
            self._pass_on(
                HappeningKind.PAID if explanation.paid else HappeningKind.ENDED, explanation.words
            )
            return True
        if explanation.needs_decision and looked:
            self._ask(explanation)
            return not self.stays
        return self.enough(explanation)

    def _ask(self, explanation: Explanation) -> None:
        if explanation.words not in self._asked:
            self._asked.add(explanation.words)
            self._pass_on(HappeningKind.ASKS, f"It waits for your decision. {explanation.words}")

    def _show(self, state: AnySession, seen: Sighting | None) -> None:
        before = self.explanation
        self.explanation = explain(state, clock(), ask=self.asks, seen=seen)
        # How it ended is the result, which `tell_end` prints.
        ended = self.explanation.outcome is not None
        if not ended and (before is None or before.words != self.explanation.words):
            self._said.clear()
            self._say(HappeningKind.STATE, self.explanation.words)

    def _look(self, sighting: Sighting | None, low_fee: LowFee | None) -> None:
        """Say what the chain shows, once for each change."""
        before = None if self.seen is None else self.seen.sighting
        if sighting is not None and sighting != before:
            self.seen = Seen(sighting, clock())
            rated = before is not None and sighting == replace(before, rate=sighting.rate)
            if (sighting.goes_on or sighting.receded) and not rated:
                colour = "yellow" if sighting.receded else None
                self._say(HappeningKind.SEEN, f"{self.seen.words}{self._amount()}", fg=colour)
        if low_fee is not None and low_fee != self.low_fee:
            self._say(HappeningKind.FEE, low_fee_words(low_fee), fg="yellow")
        self.low_fee = low_fee

    def _tell_rival(self, rival: Rival | None) -> None:
        """Say what keeps the ordinary payment out, and what that pays."""
        if rival is not None and rival != self.rival:
            self._say(HappeningKind.FEE, rival_words(rival), fg="yellow")
        self.rival = rival

    def _complain(self, trouble: DovetailError, again_in: float | None) -> None:
        # The same trouble again and again is told once.
        if str(trouble) not in self._said:
            self._said.add(str(trouble))
            unknown = isinstance(trouble, TransportError) and trouble.at is None
            again = "" if again_in is None else f" Next try in {span(max(1, again_in))}."
            told = error_words(trouble, self.live.session_id)
            words = f"{'The directory: ' if unknown else ''}{told}"
            self._say(HappeningKind.TROUBLE, words + again, fg="yellow")

    def begin(self, uri: str) -> None:
        """Tell those beside that it has begun, and by which URI."""
        self._pass_on(HappeningKind.BEGUN, "The session has begun.", uri=uri)

    def _amount(self) -> str:
        """The amount of the seen transaction, where it is this payment."""
        found, seen = self.explanation, self.seen
        paying = seen is not None and seen.sighting.kind in PAYMENTS and not seen.tells_amount
        if found is None or found.amount is None or not paying:
            return ""
        return f" ({sats(found.amount)})"

    def _say(self, kind: HappeningKind, words: str, **style: Any) -> None:
        at = datetime.now().astimezone().strftime("%H:%M:%S")
        self.screen.say(f"{at}  {self.prefix}{words}", **style)
        self._pass_on(kind, words)

    def _pass_on(self, kind: HappeningKind, words: str, *, uri: str | None = None) -> None:
        found = self.explanation
        seen = None if self.seen is None else self.seen.sighting
        ended = None if found is None else found.outcome
        self.beside(
            Happening(
                session_id=self.live.session_id,
                role=self.live.role,
                kind=kind,
                words=words,
                status=None if found is None else found.status.value,
                amount=None if found is None else found.amount,
                txid=found.txid if found is not None and ended else _txid(seen),
                confirmations=None if seen is None else seen.depth,
                outcome=ended,
                uri=uri,
            )
        )

    def leave(self) -> None:
        """Tell those beside that it is left before its end."""
        if self.explanation is not None and self.explanation.outcome is None and self.left:
            self._pass_on(HappeningKind.LEFT, self.explanation.words)

    @property
    def code(self) -> Exit:
        """The exit code for where it was left."""
        explanation = self.explanation
        if explanation is None or self.fault is not None:
            return Exit.FAILED
        if explanation.outcome is not None:
            return Exit.DONE if explanation.paid else Exit.FAILED
        if explanation.needs_decision:
            return Exit.FALLBACK_PENDING
        return Exit.IN_PROGRESS if self.left else Exit.DONE

    @property
    def trouble_words(self) -> str | None:
        """The trouble that keeps it from going on, in a sentence."""
        number = self.live.session_id
        return None if self.trouble is None else error_words(self.trouble, number)

    @property
    def values(self) -> dict[str, Any]:
        """The session under `keys.SESSION`."""
        found, live = self.explanation, self.live
        expires_at = 0 if found is None else int(found.expires_at)
        running = self.running()
        return session_values(
            live.session_id, live.role, found, expires_at, self.seen, running=running
        )


def never(_explanation: Explanation) -> bool:
    """Follow to the end."""
    return False


def at_once(_explanation: Explanation) -> bool:
    """Leave it to `dovetail run`."""
    return True


def _txid(seen: Sighting | None) -> str | None:
    return None if seen is None else str(seen.txid)
