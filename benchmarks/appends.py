"""Durable appends: a session's events one by one, each safe on disk before the next."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.harness import Comparison, Timer, TimesAsFast
from benchmarks.payjoin_round import Payjoin

from dovetail.sessions.receiver import ReceiverEvent
from dovetail.stores.sql import SqliteStore

TITLE = "Durable appends of a receiver's 12 events, time for each event"
BASELINE = (
    "sqlite3 with one transaction per event, rollback journal, synchronous=FULL; threads share"
    " a connection by a lock"
)

_MANY = 64


def comparisons() -> Iterator[Comparison]:
    """One session alone, then sixty-four at a time, in files beside the sources.

    Not where temporary files go, as that may be memory, which needs no sync.
    """
    payjoin = Payjoin()
    payjoin.run()
    events, lines = payjoin.receiver_log.events, payjoin.receiver_log.lines
    with (
        TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as folder,
        SqliteStore.open(Path(folder, "ours.sqlite")) as store,
        closing(_Plain(Path(folder, "plain.sqlite"))) as plain,
        ThreadPoolExecutor(_MANY) as pool,
    ):

        def ours() -> None:
            _append(store, events)

        def theirs() -> None:
            plain.append(lines)

        yield Comparison(
            "one session alone",
            _alone(ours),
            _alone(theirs),
            target=TimesAsFast(2),
            per=len(events),
        )
        yield Comparison(
            f"{_MANY} sessions at a time",
            _together(pool, ours),
            _together(pool, theirs),
            target=TimesAsFast(6),
            per=len(events) * _MANY,
        )


def _append(store: SqliteStore, events: list[ReceiverEvent]) -> None:
    log = store.new_receiver()
    last = len(events) - 1
    for seq, event in enumerate(events):
        log.append(event, seq=seq, closes=seq == last)


class _Plain:
    """What a first attempt looks like: a table of events, committed one by one."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = DELETE")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE events (session INTEGER, seq INTEGER, data BLOB,"
            " PRIMARY KEY (session, seq)) WITHOUT ROWID"
        )
        self._lock = threading.Lock()
        self._sessions = 0

    def append(self, entries: list[bytes]) -> None:
        """A new session with these entries."""
        with self._lock:
            self._sessions += 1
            session = self._sessions
        for seq, entry in enumerate(entries):
            with self._lock:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.execute(
                    "INSERT INTO events VALUES (?, ?, ?)", (session, seq, entry)
                )
                self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


def _alone(session: Callable[[], None]) -> Timer:
    def timer(repetitions: int) -> float:
        start = perf_counter()
        for _ in range(repetitions):
            session()
        return perf_counter() - start

    return timer


def _together(pool: ThreadPoolExecutor, session: Callable[[], None]) -> Timer:
    def timer(repetitions: int) -> float:
        start = perf_counter()
        for _ in range(repetitions):
            for future in [pool.submit(session) for _ in range(_MANY)]:
                future.result()
        return perf_counter() - start

    return timer
