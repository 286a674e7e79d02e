"""`dovetail history`: sessions, open and closed, newest first."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dovetail.bitcoin import UnixTime
from dovetail.cli import context, open_parts
from dovetail.cli.actions import commands
from dovetail.cli.amounts import amount_words
from dovetail.cli.clock import clock
from dovetail.cli.exits import Exit
from dovetail.cli.handlers import empty_store
from dovetail.cli.json_keys import HISTORY
from dovetail.cli.live.follow import Seen, row_values
from dovetail.cli.output import Screen, local_time, sats
from dovetail.cli.service import NOT_RUNNING
from dovetail.cli.tables import tabulated
from dovetail.cli.time_left import BRIEFLY, time_left
from dovetail.errors import ReplayError
from dovetail.explain.chain import describe_sighting
from dovetail.explain.explanation import Explanation
from dovetail.explain.session import explain_row, explain_stored
from dovetail.explain.text import RECEIVER_CAN_TAKE, printable
from dovetail.sessions.amounts import Received
from dovetail.sessions.status import SessionStatus
from dovetail.stores.integrity import load_session
from dovetail.stores.ports import EVERY, Role, SessionId, SessionRow, Store, Wanted

_SCREENFUL = 20
_PAGE = 1000
_NO_MORE = "There is no such session."
_HEADINGS = ("ID", "Role", "Amount", "State", "Time left", "Created", "Transaction", "Next")
_NUMBERS = frozenset({0, 2})
_PIPED = 100
"""Letters of a line of the table in a pipe."""

_OUTCOMES = {
    "success": "paid by payjoin",
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
    running: bool
    """Whether `dovetail run` works on it."""

    @property
    def values(self) -> dict[str, Any]:
        """Its values for `--json`."""
        return listed_values(self.row, self.explanation, running=self.running)

    @property
    def txid(self) -> str | None:
        """The transaction that was broadcast or seen last."""
        found, seen = self.explanation, self.seen
        if found is None:
            return None
        return found.txid or (None if seen is None else str(seen.sighting.txid))

    @property
    def seen(self) -> Seen | None:
        """The last sighting of it on the chain."""
        return Seen.in_row(self.row)


def wanted_of(
    *,
    is_open: bool,
    is_closed: bool,
    sent: bool,
    received: bool,
    since: int | None,
    text: str | None,
) -> Wanted:
    """The sessions that the options ask for."""
    return Wanted(
        open=is_open if is_open or is_closed else None,
        role=Role.SENDER if sent else Role.RECEIVER if received else None,
        since=None if since is None else UnixTime(since),
        text=text,
    )


def history(screen: Screen, wanted: Wanted, *, limit: int | None, before: int | None) -> int:
    """List sessions; see `dovetail history --help`."""
    place = context.home()
    listed: list[Listed] = []
    more, running = False, place.running
    limit = _SCREENFUL if limit is None else limit
    last = None if before is None else SessionId(before)
    with open_parts.open_store(place) as store:
        if store is not None:
            rows = store.history(limit=limit + 1, before=last, wanted=wanted)
            more = len(rows) > limit
            listed = _listed(store, rows[:limit], asks=place.asks, running=running)
    if not listed:
        screen.say(_NO_MORE if wanted != EVERY or before else empty_store.NONE_YET)
    elif not screen.as_json:
        _print(listed, screen, running=running)
        _tell_who_works(listed, screen, running=running)
        if more:
            screen.say(f"There are older ones: add `--before {listed[-1].row.session_id}`.")
    screen.emit(HISTORY, {"sessions": [each.values for each in listed], "more": more})
    return Exit.DONE


def pages(wanted: Wanted, *, limit: int | None, before: int | None) -> Iterator[list[Listed]]:
    """All that is wanted, page by page, newest first."""
    place = context.home()
    last, left = None if before is None else SessionId(before), limit
    with open_parts.open_store(place) as store:
        while store is not None and left != 0:
            size = _PAGE if left is None else min(_PAGE, left)
            rows = store.history(limit=size, before=last, wanted=wanted)
            if not rows:
                return
            yield _listed(store, rows, asks=place.asks, running=place.running)
            last, left = rows[-1].session_id, None if left is None else left - len(rows)


def listed_values(
    row: SessionRow, explanation: Explanation | None, *, running: bool
) -> dict[str, Any]:
    """The values of a listed session for `--json`."""
    return row_values(row, explanation, running=running) | {
        "label": row.label,
        "created_at": int(row.created_at),
        "closed_at": None if row.closed_at is None else int(row.closed_at),
    }


def _listed(store: Store, rows: Sequence[SessionRow], *, asks: bool, running: bool) -> list[Listed]:
    """Explain sessions by their rows; by the log if an open session's log may have changed.

    The row of a closed session stays right, because its log never changes.
    """
    standing = [row.session_id for row in rows if row.standing is not None]
    doubtful = store.doubtful(standing)
    found = (
        (
            row,
            (None if row.session_id in doubtful else explain_row(row, clock(), ask=asks))
            or _by_log(store, row, asks=asks),
        )
        for row in rows
    )
    return [Listed(row, each, running) for row, each in found]


def _by_log(store: Store, row: SessionRow, *, asks: bool) -> Explanation | None:
    """Explain a session by its log; None for a log that cannot be read."""
    try:
        return explain_stored(load_session(store, row.session_id), row, clock(), ask=asks)
    except ReplayError:
        return None


def _print(listed: list[Listed], screen: Screen, *, running: bool) -> None:
    """Whole txids where a program may read, short ones where a person does."""
    short = sys.stdout.isatty()
    rows = [_cells(each, short=short, running=running) for each in listed]
    heading, *lines = tabulated(_HEADINGS, rows, right=_NUMBERS, piped=_PIPED)
    screen.result(heading)
    for each, line in zip(listed, lines, strict=True):
        screen.result("\n".join((line, *_notes(each))))


def _tell_who_works(listed: list[Listed], screen: Screen, *, running: bool) -> None:
    """Say whether `dovetail run` works on the open sessions that need no decision."""
    found = (each.explanation for each in listed)
    if any(each is not None and each.outcome is None and not each.needs_decision for each in found):
        told = "`dovetail run` is working on the open sessions."
        waiting = f"{NOT_RUNNING}: open sessions wait for it or for `resume`."
        screen.say(told if running else waiting)


def _notes(each: Listed) -> list[str]:
    """Notes that a session's line has no room for."""
    label, found, seen = each.row.label, each.explanation, each.seen
    notes = [f"Label: {printable(label)}"] if label else []
    if found is None:
        return [f"    └ {note}" for note in notes]
    if found.receiver_can_take:
        notes.append(RECEIVER_CAN_TAKE)
    if seen is not None and found.outcome in (None, "cancelled", "expired"):
        ended = found.outcome is not None
        words = f"{describe_sighting(seen.sighting, ended=ended)} {seen.rate_words}".rstrip()
        if found.txid not in (None, str(seen.sighting.txid)):  # the line shows the other one
            words += f" {seen.sighting.txid}"
        notes.append(f"Seen at {local_time(seen.at)}: {words}")
    if found.tells_reason:
        notes.append(f"No payjoin: {found.reason_words}")
    if isinstance(found.amounts, Received) and found.amounts.paid:
        notes.append(amount_words(found.amounts))
    if found.surplus is not None and found.outcome is not None:
        notes.append(f"Paid more than once: {found.surplus.words}")
    return [f"    └ {note}" for note in notes]


def _cells(each: Listed, *, short: bool, running: bool) -> tuple[str, ...]:
    row, found = each.row, each.explanation
    begun = local_time(row.created_at)[5 * short : 16]
    number, role = str(row.session_id), row.role.value
    if found is None:
        return number, role, "?", "damaged", "", begun, "", f"show {number} --raw"
    txid = each.txid or ""
    return (
        number,
        role,
        sats(found.amount),
        _OUTCOMES.get(found.outcome or "", found.status.value.replace("-", " ")),
        time_left(found, BRIEFLY),
        begun,
        f"{txid[:8]}…{txid[-4:]}" if short and txid else txid,
        _next(number, found, running=running),
    )


def _next(number: str, found: Explanation, *, running: bool) -> str:
    if found.outcome is not None:
        return "" if found.paid else f"show {number}"
    if found.needs_decision:
        return " or ".join(commands(found.actions, number))
    if found.status is SessionStatus.RELEASED:
        return f"show {number}"
    return "" if running else f"resume {number}"
