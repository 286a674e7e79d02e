"""Quick queries of a session database by plain SQLite, without opening a store."""

import sqlite3
from contextlib import closing
from pathlib import Path


def may_hold_sessions(path: Path) -> bool:
    """Whether the database at `path` holds a session, or cannot be read this way.

    The database is not created, upgraded or checked; `SqliteStore.open` does that, and reports
    damage.
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
    """Return the open sessions that expired before a time; none if it cannot be read this way."""
    if not path.exists():
        return ()
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute(_EXPIRED, (int(before),)).fetchall()
    except sqlite3.Error:
        return ()
    return tuple(each for (each,) in rows)


def latest_sessions(path: Path, *, at_most: int) -> tuple[tuple[int, bool], ...]:
    """Return the latest sessions and whether each is open; none if it cannot be read this way."""
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
