"""Overdue payments that no process works on: every command warns of them."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from dovetail.cli.output import Screen
from dovetail.locking import is_held
from dovetail.stores.sql.peek import expired_sessions

if TYPE_CHECKING:
    from dovetail.stores.ports import SessionRow, Store

MARGIN = 180
"""Seconds after which a process that works on a session would have made its payment."""
_MOST_TOLD = 3
_MOST_READ = 100


def tell(folder: Path, database: Path, *, asks: bool) -> None:
    """Say on stderr, in a line, which payments are overdue; nothing while `run` works.

    `asks` is whether the policy asks before it makes them.
    """
    now = int(time.time()) - MARGIN
    expired = expired_sessions(database, before=now)
    if expired and not is_held(folder):
        late = _late(database, expired[:_MOST_READ], now, asks=asks)
        if late:
            Screen().say(_words(late), fg="red", bold=True)


def _late(database: Path, expired: tuple[int, ...], now: int, *, asks: bool) -> list[int]:
    from dovetail.errors import DovetailError  # noqa: PLC0415 - all of this is heavy, and rare
    from dovetail.stores.ports import SessionId  # noqa: PLC0415
    from dovetail.stores.sql.sqlite_store import SqliteStore  # noqa: PLC0415

    found: list[int] = []
    try:
        with SqliteStore.open(database) as store:
            for number in expired:
                try:
                    if _is_late(store, store.row(SessionId(number)), now, asks=asks):
                        found.append(number)
                except DovetailError:  # the command itself has the words for it
                    continue
    except DovetailError:
        return []
    return found


def _is_late(store: "Store", row: "SessionRow", now: int, *, asks: bool) -> bool:
    """Whether its payment was due without a decision, and no process has seen it."""
    from dovetail.bitcoin import UnixTime  # noqa: PLC0415
    from dovetail.explain.explanation import DeadlineKind, Moment  # noqa: PLC0415
    from dovetail.explain.session import explain_summary  # noqa: PLC0415
    from dovetail.sessions.standing import summary_of  # noqa: PLC0415
    from dovetail.sessions.status import SessionStatus  # noqa: PLC0415
    from dovetail.stores.integrity import load_session  # noqa: PLC0415

    seen = row.sighting
    if seen is not None and not seen.gone:
        return False
    summary = row.summary or summary_of(load_session(store, row.session_id))
    if summary is None:
        return False
    found = explain_summary(summary, Moment.of_row(row, UnixTime(now), ask=asks))
    made = found.status in (SessionStatus.CONFIRMING, SessionStatus.COINS_MISSING)
    later = found.deadline is not None and found.deadline.kind is DeadlineKind.FALLBACK
    return found.unpaid and not (made or later or found.needs_decision)


def _words(late: list[int]) -> str:
    if len(late) == 1:
        return (
            f"Overdue: session {late[0]} has expired, its payment is not made, and `dovetail run`"
            f" is not running. Run `dovetail resume {late[0]}` now."
        )
    numbers = ", ".join(map(str, late[:_MOST_TOLD]))
    more = f" and {len(late) - _MOST_TOLD} more" if len(late) > _MOST_TOLD else ""
    return (
        f"Overdue: sessions {numbers}{more} have expired, their payments are not made, and"
        " `dovetail run` is not running. Run `dovetail resume` now."
    )
