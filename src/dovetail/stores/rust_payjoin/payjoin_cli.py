"""The database of `payjoin-cli` 1.0: its open sessions, each with its event log."""

import sqlite3
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dovetail.errors import StoreUnavailable
from dovetail.stores.ports import Role

_TABLES = {Role.SENDER: "send", Role.RECEIVER: "receive"}


@dataclass(frozen=True, slots=True)
class ForeignLog:
    """One session of another program; its repr shows no content (P4)."""

    role: Role
    session: str
    """Its id there."""
    entries: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<ForeignLog of a {self.role}>"


def open_sessions(database: Path) -> Generator[ForeignLog, None, None]:
    """The sessions of `payjoin.sqlite` that are not completed, and a sender's that are.

    A sender's session is completed there when a proposal has come, which the wallet may not have
    signed. Nothing is written. Raises `StoreUnavailable` where it cannot be read, for instance
    while `payjoin-cli` runs.
    """
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as found:
            for role, table in _TABLES.items():
                which = "" if role is Role.SENDER else " WHERE completed_at IS NULL"
                ids = f"SELECT session_id FROM {table}_sessions{which} ORDER BY session_id"  # noqa: S608
                log = f"SELECT event_data FROM {table}_session_events WHERE session_id = ? ORDER BY id"  # noqa: S608, E501
                for (session,) in found.execute(ids).fetchall():
                    entries = tuple(data for (data,) in found.execute(log, (session,)))
                    yield ForeignLog(role, session, entries)
    except sqlite3.Error as error:
        raise StoreUnavailable(
            "The database of payjoin-cli cannot be read: stop payjoin-cli, and check the path."
        ) from error
