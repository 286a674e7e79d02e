"""The signer's own log: what it was told first, and what it has signed. Durable before it answers.

It is an SQLite file of its own, so that a thief on the server cannot make the signer forget.
"""

import sqlite3
import threading
from collections.abc import Collection, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import msgspec

from dovetail.errors import StoreUnavailable
from dovetail.merchant.signer.policy import Payout, SignerRefused

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    session TEXT PRIMARY KEY, demand INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS signed (
    txid TEXT PRIMARY KEY, purpose TEXT NOT NULL UNIQUE, answer BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS coins (
    coin TEXT PRIMARY KEY, session TEXT NOT NULL REFERENCES sessions (session)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS payments (
    id TEXT PRIMARY KEY, request BLOB NOT NULL, payout BLOB NOT NULL,
    approved INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
"""
_VERSION = 1
_WAITING, _APPROVED, _WITHDRAWN = 0, 1, 2
_NOTHING = Payout(recipients=(), fee=0)
"""What a payment pays that was withdrawn before it was queued."""
MOST_WAITING = 1000
"""Payments that may wait for approval."""

NEVER = 2_100_000_000_000_001
"""A demand that no payment can meet: more than all bitcoin."""

SIGNED_OTHERWISE = (
    "Another transaction was signed for this before, or this transaction for something else."
)
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
            db.execute("INSERT OR IGNORE INTO sessions VALUES (?, ?)", (session, demand))
            known = db.execute(
                "SELECT demand FROM sessions WHERE session = ?", (session,)
            ).fetchone()[0]
        if known != demand:
            raise SignerRefused("The session was opened with another sum: the first one counts.")

    def unknown(self, sessions: Collection[str], payments: Collection[str]) -> bool:
        """Whether a session was never opened here, or a payment never signed."""
        with self._lock, _translated():
            return not all(map(self._knows_session, sessions)) or not all(
                map(self._knows_payment, payments)
            )

    def give_up(self, sessions: Collection[str], payments: Collection[str]) -> None:
        """Sign no payjoin any more that is not in the log, also of sessions that are open here.

        Each then ends by its ordinary payment. Payments that the log does not know are withdrawn.
        """
        with self._writing() as db:
            db.execute("UPDATE sessions SET demand = ?", (NEVER,))
            for session in sessions:
                db.execute("INSERT OR IGNORE INTO sessions VALUES (?, ?)", (session, NEVER))
            for payment in payments:
                if not self._knows_payment(payment):
                    _withdraw(db, payment)

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

    def signed(self, purpose: str) -> tuple[str, bytes] | None:
        """Return the transaction that was signed for a purpose, by its txid, and the answer."""
        with self._lock, _translated():
            row = self._connection.execute(
                "SELECT txid, answer FROM signed WHERE purpose = ?", (purpose,)
            ).fetchone()
        return None if row is None else (row[0], row[1])

    def record(self, purpose: str, txid: str, answer: bytes) -> bytes:
        """Record what is signed for a purpose, and return it; a first answer stays the only one.

        A transaction is signed for one purpose, and with one set of claims about the coins that it
        spends: signatures over two sets together could spend what neither set shows. Raises
        `SignerRefused` for a second transaction or a second purpose.
        """
        with self._writing() as db:
            db.execute("INSERT OR IGNORE INTO signed VALUES (?, ?, ?)", (txid, purpose, answer))
            row = db.execute(
                "SELECT answer FROM signed WHERE txid = ? AND purpose = ?", (txid, purpose)
            ).fetchone()
        if row is None:
            raise SignerRefused(SIGNED_OTHERWISE)
        return bytes(row[0])

    def queue(
        self, payment: str, request: bytes, payout: Payout, *, approved: bool = False
    ) -> None:
        """Keep a payment that the owner has to approve; the first of an id counts.

        With `approved` the owner's word for another payment holds for it. Raises `SignerRefused`
        for another payment of that id, and while too many wait.
        """
        told = msgspec.json.encode(payout)
        with self._writing() as db:
            waiting = db.execute("SELECT count(*) FROM payments WHERE approved = 0").fetchone()[0]
            known = db.execute("SELECT request FROM payments WHERE id = ?", (payment,)).fetchone()
            if known is None and waiting >= MOST_WAITING:
                raise SignerRefused("Too many payments wait for approval: the owner decides first.")
            if known is not None and known[0] != request:
                raise SignerRefused("Another payment of this id is queued: give it a new id.")
            db.execute(
                "INSERT OR IGNORE INTO payments VALUES (?, ?, ?, ?)",
                (payment, request, told, int(approved)),
            )

    def queued(self, payment: str) -> tuple[bytes, bool] | None:
        """Return a payment's request, and whether it was approved; None for an unknown one.

        Raises `SignerRefused` for one that was withdrawn.
        """
        with self._lock, _translated():
            row = self._connection.execute(
                "SELECT request, approved FROM payments WHERE id = ?", (payment,)
            ).fetchone()
        if row is not None and row[1] == _WITHDRAWN:
            raise SignerRefused("The payment was withdrawn: queue another one with a new id.")
        return None if row is None else (row[0], bool(row[1]))

    def withdraw(self, payment: str) -> None:
        """Let nobody approve or sign a payment any more; its id is used up."""
        with self._writing() as db:
            _withdraw(db, payment)

    def waiting(self) -> dict[str, Payout]:
        """Return the payments that are not approved, as the signer has read them."""
        with self._lock, _translated():
            rows = self._connection.execute("SELECT id, payout FROM payments WHERE approved = 0")
            return {name: msgspec.json.decode(told, type=Payout) for name, told in rows}

    def approve(self, payment: str) -> bool:
        """Approve a payment; False for one that does not wait."""
        with self._writing() as db:
            found = db.execute(
                "UPDATE payments SET approved = ? WHERE id = ? AND approved = ?",
                (_APPROVED, payment, _WAITING),
            )
            return found.rowcount == 1

    def _knows_session(self, session: str) -> bool:
        row = self._connection.execute(
            "SELECT 1 FROM sessions WHERE session = ?", (session,)
        ).fetchone()
        return row is not None

    def _knows_payment(self, payment: str) -> bool:
        row = self._connection.execute(
            "SELECT 1 FROM payments WHERE id = ? AND approved = ?", (payment, _WITHDRAWN)
        ).fetchone()
        signed = self._connection.execute(
            "SELECT 1 FROM signed WHERE purpose = ?", (f"payment {payment}",)
        ).fetchone()
        return row is not None or signed is not None

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


def _withdraw(db: sqlite3.Connection, payment: str) -> None:
    db.execute(
        "INSERT INTO payments VALUES (?, x'', ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET approved = excluded.approved",
        (payment, msgspec.json.encode(_NOTHING), _WITHDRAWN),
    )


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailable(
            "The signer's log reports an error: see to its disk; nothing was signed."
        ) from error
