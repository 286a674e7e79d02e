"""A look at a database of sessions by SQLite alone, for those who only ask if there are any."""

import sqlite3
from contextlib import closing
from pathlib import Path


def may_hold_sessions(path: Path) -> bool:
    """Whether the database at `path` holds a session, or cannot be read this simply.

    It is neither made, nor brought up to date, nor looked through for damage: `SqlStore.open` does
    that, and has the words for what is wrong.
    """
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT EXISTS (SELECT 1 FROM sessions)").fetchone()
    except sqlite3.Error:
        return True
    return bool(found[0])


def expired_sessions(path: Path, *, before: int) -> tuple[int, ...]:
    """The open sessions that expired before then; none where it cannot be read this simply."""
    if not path.exists():
        return ()
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute(_EXPIRED, (int(before),)).fetchall()
    except sqlite3.Error:
        return ()
    return tuple(each for (each,) in rows)


def latest_sessions(path: Path, *, at_most: int) -> tuple[tuple[int, bool], ...]:
    """The latest sessions and whether each is open; none where it cannot be read this simply."""
    if not path.exists():
        return ()
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute(_LATEST, (at_most,)).fetchall()
    except sqlite3.Error:
        return ()
    return tuple((number, bool(is_open)) for number, is_open in rows)


_LATEST = """
SELECT session_id, closed_at IS NULL FROM sessions ORDER BY session_id DESC LIMIT ?
"""
_EXPIRED = """
SELECT session_id FROM sessions WHERE closed_at IS NULL AND expires_at < ? ORDER BY session_id
"""
