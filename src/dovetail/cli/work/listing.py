"""`dovetail history`: sessions, open and closed, newest first."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dovetail.cli.exits import Exit
from dovetail.cli.keys import HISTORY
from dovetail.cli.output import Screen, local_time, sats, table
from dovetail.cli.work import homes, opening
from dovetail.cli.work.amounts import amount_words
from dovetail.cli.work.following import (
    TAKABLE,
    Seen,
    explained,
    reason_words,
    session_values,
    summarised,
    time_left,
)
from dovetail.cli.work.service import NOT_RUNNING, with_next
from dovetail.errors import ReplayError
from dovetail.runtime.explanation import Explanation
from dovetail.runtime.watching import sighted
from dovetail.sessions.amounts import Received
from dovetail.sessions.status import SessionStatus
from dovetail.stores.ports import SessionId, SessionRow, Store

_HEADINGS = ("ID", "Role", "Amount", "State", "Left", "Outcome", "Begun", "Transaction", "Next")
_NUMBERS = frozenset({0, 2})

_OUTCOMES = {
    "success": "payjoin",
    "fallback": "ordinary payment",
    "unrecognized": "spent elsewhere",
    "paid-directly": "paid directly",
    "proposal-sent": "proposal sent",
    "revoked": "revoked",
    "cancelled": "cancelled",
    "expired": "expired",
}


@dataclass(frozen=True, slots=True)
class Listed:
    """A session in the list; no explanation for a log that cannot be read."""

    row: SessionRow
    explanation: Explanation | None

    @property
    def values(self) -> dict[str, Any]:
        """What `--json` says of it."""
        row = self.row
        return session_values(
            row.session_id, row.role, self.explanation, int(row.expires_at), self.seen
        )

    @property
    def seen(self) -> Seen | None:
        """What the chain source showed of it last."""
        return Seen.in_row(self.row)


def history(limit: int, before: int | None, *, open_only: bool, screen: Screen) -> int:
    """List sessions; see `dovetail history --help`."""
    place = homes.home()
    listed: list[Listed] = []
    more, running = False, place.running
    with opening.open_store(place) as store:
        if store is not None:
            last = None if before is None else SessionId(before)
            rows = store.history(limit=limit + 1, before=last, open_only=open_only)
            more = len(rows) > limit
            listed = _listed(store, rows[:limit], asks=place.asks, running=running)
    if not listed:
        screen.say("There is no session yet: begin by `dovetail receive` or `dovetail send`.")
    elif not screen.as_json:
        _print(listed, screen, running=running)
        _tell_who_works(listed, screen, running=running)
        if more:
            last = listed[-1].row.session_id
            screen.say(f"There are older ones: dovetail history --before {last}")
    screen.emit(HISTORY, {"sessions": [each.values for each in listed], "more": more})
    return Exit.DONE


def _listed(store: Store, rows: Sequence[SessionRow], *, asks: bool, running: bool) -> list[Listed]:
    """By the rows alone, but for open sessions whose logs may not be what they were.

    What a closed one came to stays true whatever becomes of its log.
    """
    standing = [row.session_id for row in rows if row.standing is not None]
    doubtful = store.doubtful(standing)
    found = (
        (
            row,
            (None if row.session_id in doubtful else summarised(row, asks=asks))
            or _by_log(store, row, asks=asks),
        )
        for row in rows
    )
    return [
        Listed(row, each and with_next(row.session_id, each, running=running))
        for row, each in found
    ]


def _by_log(store: Store, row: SessionRow, *, asks: bool) -> Explanation | None:
    """What the log says; one that cannot be read hides no other."""
    try:
        return explained(store, row, asks=asks)
    except ReplayError:
        return None


def _print(listed: list[Listed], screen: Screen, *, running: bool) -> None:
    """Whole txids where a program may read, short ones where a person does."""
    short = sys.stdout.isatty()
    rows = [_cells(each, short=short, running=running) for each in listed]
    heading, *lines = table(_HEADINGS, rows, right=_NUMBERS).split("\n")
    screen.result(heading)
    for each, line in zip(listed, lines, strict=True):
        screen.result("\n".join((line, *_notes(each))))


def _tell_who_works(listed: list[Listed], screen: Screen, *, running: bool) -> None:
    """Say whether somebody takes those forward that nobody is asked about."""
    found = (each.explanation for each in listed)
    if any(each is not None and each.outcome is None and not each.asks for each in found):
        told = "`dovetail run` is working on the open sessions."
        screen.say(told if running else f"{NOT_RUNNING}: open sessions need it, or `resume`.")


def _notes(each: Listed) -> list[str]:
    """What a session's line has no room for."""
    found, seen = each.explanation, each.seen
    if found is None:
        return []
    notes = [TAKABLE] if found.takable else []
    if seen is not None and found.outcome in (None, "cancelled", "expired"):
        ended = found.outcome is not None
        words = f"{sighted(seen.sighting, ended=ended)} {seen.rate_words}".rstrip()
        notes.append(f"Seen at {local_time(seen.at)}: {words}")
    if found.reason is not None:
        notes.append(f"No payjoin: {reason_words(found)}")
    if isinstance(found.amounts, Received) and found.amounts.paid:
        notes.append(amount_words(found.amounts))
    if found.surplus is not None and found.outcome is not None:
        notes.append(f"Paid more than once: {found.surplus.words}")
    return [f"    └ {note}" for note in notes]


def _cells(each: Listed, *, short: bool, running: bool) -> tuple[str, ...]:
    row, found = each.row, each.explanation
    begun = local_time(row.created_at)[5:16] if short else local_time(row.created_at)
    number, role = str(row.session_id), row.role.value
    if found is None:
        return number, role, "?", "damaged", "", "", begun, "", f"show {number} --raw"
    txid = found.txid or ("" if each.seen is None else str(each.seen.sighting.txid))
    return (
        number,
        role,
        sats(found.amount),
        found.status.value.replace("-", " "),
        time_left(found),
        _OUTCOMES.get(found.outcome or "", ""),
        begun,
        f"{txid[:8]}…{txid[-4:]}" if short and txid else txid,
        _next(number, found, running=running),
    )


def _next(number: str, found: Explanation, *, running: bool) -> str:
    if found.outcome is not None:
        return "" if found.paid else f"show {number}"
    if found.asks:
        return f"fallback {number} or release {number}"
    if found.status is SessionStatus.RELEASED:
        return f"show {number}"
    return "" if running else f"resume {number}"
