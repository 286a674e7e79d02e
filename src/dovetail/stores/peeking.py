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
