"""Lists of sessions: from their rows alone, beside a replay of each log."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.harness import Comparison, Timer, TimesAsFast
from benchmarks.play import Payjoin
from sqlalchemy import Connection

from dovetail.runtime.explain import explain_ending
from dovetail.sessions.ending import ending_of
from dovetail.sessions.receiver import Closed
from dovetail.stores.logs import replayed
from dovetail.stores.sql import SqlStore

MANY = 1000
TITLE = f"History: a list of {MANY:,} closed sessions of 12 events each, time for the list"
BASELINE = "the same rows, and each session's log loaded and replayed to tell how it ended"


def comparisons() -> Iterator[Comparison]:
    """Rows alone, then what a person is told of each."""
    with (
        TemporaryDirectory(prefix=".bench-") as folder,
        SqlStore.open(Path(folder, "sessions.sqlite")) as store,
    ):
        _fill(store)

        def rows() -> None:
            _require(len(store.history(limit=MANY)))

        def told() -> None:
            found = [
                explain_ending(row.ending, paying=False, expires_at=row.expires_at)
                for row in store.history(limit=MANY)
                if row.ending is not None
            ]
            _require(len(found))

        def replaying() -> None:
            for row in store.history(limit=MANY):
                state = replayed(store, row.session_id)
                assert isinstance(state, Closed)
                ending_of(state)

        target = TimesAsFast(20)
        yield Comparison("from the rows", _timer(rows), _timer(replaying), target=target)
        yield Comparison("and told in words", _timer(told), _timer(replaying), target=target)


def _require(length: int) -> None:
    assert length == MANY


def _fill(store: SqlStore) -> None:
    """Copy one session, which is faster than to sync each event of a thousand."""
    payjoin = Payjoin()
    payjoin.run()
    events = payjoin.receiver_log.events
    log = store.new_receiver()
    for seq, event in enumerate(events):
        log.append(event, seq=seq, closes=seq == len(events) - 1)

    def copy(connection: Connection) -> None:
        columns = "role, address, created_at, expires_at, closed_at, last_tag, next_seq, outcome"
        for number in range(2, MANY + 1):
            connection.exec_driver_sql(
                f"INSERT INTO sessions (session_id, {columns}, ending)"  # noqa: S608
                f" SELECT {number}, {columns}, ending FROM sessions WHERE session_id = 1"
            )
            connection.exec_driver_sql(
                f"INSERT INTO session_events SELECT {number}, seq, tag, data, created_at, checksum"  # noqa: S608
                " FROM session_events WHERE session_id = 1"
            )

    store.write(copy)


def _timer(work: Callable[[], None]) -> Timer:
    def timer(repetitions: int) -> float:
        start = perf_counter()
        for _ in range(repetitions):
            work()
        return perf_counter() - start

    return timer
