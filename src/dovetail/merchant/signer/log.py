"""The signer's own log: what it was told first, and what it has signed. Durable before it answers.

It is an SQLite file of its own, so that a thief on the server cannot make the signer forget.
"""

import sqlite3
import threading
from collections.abc import Collection, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from dovetail.errors import StoreUnavailable
from dovetail.merchant.signer.policy import SignerRefused

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    session TEXT PRIMARY KEY, demand INTEGER NOT NULL, signed TEXT, answer BLOB
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS coins (
    coin TEXT PRIMARY KEY, session TEXT NOT NULL REFERENCES sessions (session)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS payments (
    id TEXT PRIMARY KEY, request BLOB NOT NULL, approved INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
"""
_VERSION = 1
_BUSY_SECONDS = 10.0


class SignerLog:
    """What the signer must not forget; threads may share it, and the owner's commands its file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take an open database; `open` is the usual way."""
        self._connection = connection
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or make the file, with mode 0600; raises `StoreUnavailable`."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise StoreUnavailable(
                "The signer's log cannot be opened: its folder must be writable."
            ) from error
        with _translated():
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise StoreUnavailable("The signer's log was written by a newer Dovetail.")
            connection.executescript(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                f" PRAGMA foreign_keys = ON; {_SCHEMA} PRAGMA user_version = {_VERSION};"
            )
        return cls(connection)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def open_session(self, session: str, demand: int) -> None:
        """Record what a session must bring; raises `SignerRefused` for another sum than before."""
        with self._writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO sessions VALUES (?, ?, NULL, NULL)", (session, demand)
            )
            known = db.execute(
                "SELECT demand FROM sessions WHERE session = ?", (session,)
            ).fetchone()[0]
        if known != demand:
            raise SignerRefused("The session was opened with another sum: the first one counts.")

    def demand(self, session: str) -> int:
        """Return what a session must bring; raises `SignerRefused` for an unknown one."""
        with self._lock, _translated():
            row = self._connection.execute(
                "SELECT demand FROM sessions WHERE session = ?", (session,)
            ).fetchone()
        if row is None:
            raise SignerRefused("The signer knows no such session: open it first.")
        return int(row[0])

    def reserve(self, session: str, coins: Collection[str]) -> None:
        """Reserve coins for a session, all or none.

        Raises `SignerRefused` for one that another session has not released.
        """
        with self._writing() as db:
            for coin in sorted(coins):
                db.execute("INSERT OR IGNORE INTO coins VALUES (?, ?)", (coin, session))
            held = [self._holder(coin) for coin in coins]
            if any(holder != session for holder in held):
                raise SignerRefused("A coin is reserved for another session: release that first.")

    def reserved(self, session: str) -> frozenset[str]:
        """Return the coins that a session has reserved."""
        with self._lock, _translated():
            rows = self._connection.execute("SELECT coin FROM coins WHERE session = ?", (session,))
            return frozenset(coin for (coin,) in rows)

    def holders(self, coins: Collection[str]) -> dict[str, str]:
        """Return the coins that sessions have reserved, each with its session."""
        with self._lock, _translated():
            found = {coin: self._holder(coin) for coin in coins}
        return {coin: holder for coin, holder in found.items() if holder is not None}

    def release(self, session: str) -> None:
        """Give back the coins of a session."""
        with self._writing() as db:
            db.execute("DELETE FROM coins WHERE session = ?", (session,))

    def signed(self, session: str) -> tuple[str, bytes] | None:
        """Return the transaction that was signed for a session, by its txid, and the answer."""
        with self._lock, _translated():
            row = self._connection.execute(
                "SELECT signed, answer FROM sessions WHERE session = ? AND signed IS NOT NULL",
                (session,),
            ).fetchone()
        return None if row is None else (row[0], row[1])

    def record(self, session: str, txid: str, answer: bytes) -> None:
        """Record what is signed for a session; raises `SignerRefused` for a second transaction."""
        with self._writing() as db:
            db.execute(
                "UPDATE sessions SET signed = ?, answer = ?"
                " WHERE session = ? AND (signed IS NULL OR signed = ?)",
                (txid, answer, session, txid),
            )
            known = db.execute("SELECT signed FROM sessions WHERE session = ?", (session,))
            if known.fetchone() != (txid,):
                raise SignerRefused("Another transaction was signed for this session before.")

    def queue(self, payment: str, request: bytes) -> None:
        """Keep a payment that the owner has to approve; the first of an id counts."""
        with self._writing() as db:
            db.execute("INSERT OR IGNORE INTO payments VALUES (?, ?, 0)", (payment, request))

    def queued(self, payment: str) -> tuple[bytes, bool] | None:
        """Return a payment's request, and whether it was approved; None for an unknown one."""
        with self._lock, _translated():
            row = self._connection.execute(
                "SELECT request, approved FROM payments WHERE id = ?", (payment,)
            ).fetchone()
        return None if row is None else (row[0], bool(row[1]))

    def waiting(self) -> dict[str, bytes]:
        """Return the payments that are not approved."""
        with self._lock, _translated():
            rows = self._connection.execute("SELECT id, request FROM payments WHERE approved = 0")
            return dict(rows.fetchall())

    def approve(self, payment: str) -> bool:
        """Approve a payment; False for an unknown one."""
        with self._writing() as db:
            found = db.execute("UPDATE payments SET approved = 1 WHERE id = ?", (payment,))
            return found.rowcount == 1

    def _holder(self, coin: str) -> str | None:
        row = self._connection.execute(
            "SELECT session FROM coins WHERE coin = ?", (coin,)
        ).fetchone()
        return None if row is None else str(row[0])

    @contextmanager
    def _writing(self) -> Generator[sqlite3.Connection]:
        """One transaction, durable at the end of the block, undone if the block raises."""
        with self._lock, _translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailable(
            "The signer's log reports an error: see to its disk; nothing was signed."
        ) from error
