"""Lists of sessions: from their rows alone, beside a replay of each log."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.harness import AtMost, Comparison, Figure, Timer, TimesAsFast
from benchmarks.keys import NOW
from benchmarks.payjoin_round import Payjoin
from sqlalchemy import Connection

from dovetail.bitcoin.units import UnixTime
from dovetail.explain.explanation import Explanation, Moment
from dovetail.explain.session import explain, explain_summary
from dovetail.sessions.receiver import ReceiverEvent
from dovetail.stores.integrity import load_session
from dovetail.stores.ports import SessionRow
from dovetail.stores.sql import SqliteStore

MANY = 1000
TITLE = f"History: a list of {MANY:,} sessions, time for the list"
BASELINE = "the same rows, and each session's log loaded and replayed to tell where it stands"
_ALLOWED = Figure(8e-3)
OPEN = 11
"""How many of its 12 events an open session has."""


def comparisons() -> Iterator[Comparison]:
    """Rows alone, then what a person is told of each; open ones with a look at their checksums."""
    with (
        TemporaryDirectory(prefix=".bench-") as folder,
        SqliteStore.open(Path(folder, "closed.sqlite")) as closed,
        SqliteStore.open(Path(folder, "mixed.sqlite")) as mixed,
    ):
        _fill(closed, 0)
        _fill(mixed, MANY // 2)
        yield from _rows(closed)
        yield _words("closed, told in words", closed, target=20)
        yield _words("half of them open, told in words", mixed, target=10)


def _rows(store: SqliteStore) -> Iterator[Comparison]:
    def rows() -> None:
        _require(len(store.history(limit=MANY)))

    replaying = _timer(lambda: _replay(store))
    yield Comparison("closed, from the rows", _timer(rows), replaying, target=TimesAsFast(20))
    yield Comparison("the same, beside the 8 ms it may take", _timer(rows), _ALLOWED, AtMost(1))


def _words(name: str, store: SqliteStore, *, target: int) -> Comparison:
    def told() -> None:
        found = store.history(limit=MANY)
        standing = [row.session_id for row in found if row.standing is not None]
        assert not store.doubtful(standing)
        _require(len([*filter(None, map(_told, found))]))

    replaying = _timer(lambda: _replay(store))
    return Comparison(name, _timer(told), replaying, target=TimesAsFast(target))


def _replay(store: SqliteStore) -> None:
    for row in store.history(limit=MANY):
        explain(load_session(store, row.session_id), UnixTime(NOW))


def _told(row: SessionRow) -> Explanation | None:
    if row.summary is None:
        return None
    return explain_summary(row.summary, Moment.of_row(row, UnixTime(NOW), ask=False))


def _require(length: int) -> None:
    assert length == MANY


def _fill(store: SqliteStore, still_open: int) -> None:
    """Copy two sessions, which is faster than to sync each event of a thousand."""
    payjoin = Payjoin()
    payjoin.run()
    events = payjoin.receiver_log.events
    _keep(store, events)
    _keep(store, events[:OPEN])

    def copy(connection: Connection) -> None:
        _copy(connection, range(3, MANY - still_open + 3), 1)
        _copy(connection, range(MANY - still_open + 3, MANY + 3), 2)
        for table in ("session_events", "sessions"):
            connection.exec_driver_sql(f"DELETE FROM {table} WHERE session_id < 3")  # noqa: S608

    store.write(copy)


def _keep(store: SqliteStore, events: list[ReceiverEvent]) -> None:
    log = store.new_receiver()
    for seq, event in enumerate(events):
        log.append(event, seq=seq, closes=seq == OPEN)


def _copy(connection: Connection, numbers: Collection[int], of: int) -> None:
    columns = (
        "role, address, created_at, expires_at, closed_at, last_tag, next_seq, outcome, ending,"
        " standing, amount, label"
    )
    for number in numbers:
        connection.exec_driver_sql(
            f"INSERT INTO sessions (session_id, {columns})"  # noqa: S608
            f" SELECT {number}, {columns} FROM sessions WHERE session_id = {of}"
        )
        connection.exec_driver_sql(
            f"INSERT INTO session_events SELECT {number}, seq, tag, data, created_at, checksum"  # noqa: S608
            f" FROM session_events WHERE session_id = {of}"
        )


def _timer(work: Callable[[], None]) -> Timer:
    def timer(repetitions: int) -> float:
        start = perf_counter()
        for _ in range(repetitions):
            work()
        return perf_counter() - start

    return timer
