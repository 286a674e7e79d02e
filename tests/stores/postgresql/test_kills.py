"""Death in the middle of a write: of the process, of its connection, and of the server.

What was acknowledged is there, and nothing half. A write whose commit was under way may be there.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event
from tests.eventlogs.logs import entries
from tests.support.postgres import Server, running

from dovetail.bitcoin import OutPoint, Txid
from dovetail.errors import StoreUnavailable
from dovetail.sessions import receiver
from dovetail.sessions.receiver.events import Cancelled
from dovetail.stores.integrity import load_session
from dovetail.stores.sql import PostgresStore
from dovetail.testing.store_samples import NOW, closed, coin, started

PAID = entries("receiver/paid-by-payjoin")
COINS = [OutPoint(Txid(bytes([n]) * 32), 0) for n in range(2)]

DYING = """
import os, sys
from sqlalchemy import event
from tests.stores.postgresql.test_kills import check, clear, play
from dovetail.stores.sql import PostgresStore

url, count, at = sys.argv[1], 0, 0

def strike(*_):
    global count
    count += 1
    if count == at:
        os.kill(os.getpid(), 9)

def live(tell):
    with PostgresStore.open(url) as store:
        for name in ("before_cursor_execute", "after_cursor_execute", "commit"):
            event.listen(store.engine, name, strike)
        play(store, tell)

live(lambda _: None)
effects = count
for at in range(1, effects + 1, 3):
    clear(url)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        count = 0
        live(lambda said: os.write(writing, said))
        os._exit(0)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == 9
    told = os.fdopen(reading, "rb").read()
    with PostgresStore.open(url) as store:
        check(store, told.count(b"e"), told.count(b"c"))
print(effects)
"""


def play(store: PostgresStore, tell: Callable[[bytes], None]) -> None:
    """A receiver from its first event to its last; each event and its coins are told."""
    log = store.new_receiver()
    for seq, entry in enumerate(PAID):
        last = seq == len(PAID) - 1
        log.append(receiver.decode_event(entry), seq=seq, closes=last)
        tell(b"e")
        if seq == 2:
            assert not store.reserve(log.session_id, COINS)
            tell(b"c")


def check(store: PostgresStore, events: int, coins: int) -> None:
    """Hold what is there to what was acknowledged."""
    rows = store.history()
    assert len(rows) <= 1
    found = rows[0].next_seq if rows else 0
    assert events <= found <= events + 1
    if not rows:
        return
    session = load_session(store, rows[0].session_id)
    assert session.seq == found
    ended = isinstance(session, receiver.Closed)
    assert ended == (rows[0].closed_at is not None)
    held = store.reserved()
    assert held in (frozenset(), frozenset(COINS))
    if ended or (coins == 0 and events != 3):
        assert held == frozenset()
    elif coins:
        assert held == frozenset(COINS)


def clear(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("TRUNCATE sessions, session_events, coin_reservations, sightings")


def test_a_process_that_is_killed_anywhere_leaves_what_was_acknowledged(url: str) -> None:
    program, folder = [sys.executable, "-c", DYING, url], Path(__file__).parents[3]
    ran = subprocess.run(program, check=False, capture_output=True, text=True, cwd=folder)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 5 * len(PAID)


@dataclass
class Striker:
    """Calls `strike` at one statement or commit of a store's writers."""

    store: PostgresStore
    strike: Callable[[Any], None]
    at: int = 0
    count: int = 0
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        event.listen(self.store.engine, "before_cursor_execute", self._statement)
        event.listen(self.store.engine, "commit", self._point)

    def _statement(self, connection: Any, *_: object) -> None:
        if "isolation_level" not in connection.get_execution_options():
            self._point(connection)

    def _point(self, connection: Any) -> None:
        self.count += 1
        if self.count == self.at:
            self.strike(connection.connection.driver_connection)


def terminate(url: str) -> Callable[[Any], None]:
    def strike(driver: Any) -> None:
        with psycopg.connect(url) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (driver.info.backend_pid,))

    return strike


@pytest.fixture
def terminated(store: PostgresStore, url: str) -> Striker:
    return Striker(store, terminate(url))


APPENDS = 4
"""The statements of a closing append, with the release of its coins, and its commit."""


@pytest.mark.parametrize("at", range(1, APPENDS + 1))
def test_an_append_whose_connection_is_lost_writes_all_or_nothing(
    store: PostgresStore, terminated: Striker, at: int
) -> None:
    log, held = started(store), coin()
    store.reserve(log.session_id, [held])
    terminated.count, terminated.at = 0, at
    with pytest.raises(StoreUnavailable) as caught:
        log.append(closed(), seq=1, closes=True)
    assert terminated.count == at
    assert ("load the session again" in str(caught.value)) == (at == APPENDS)
    assert len(log.load()) == 1
    assert store.reserved() == {held}
    log.append(closed(), seq=1, closes=True)
    assert store.reserved() == frozenset()


def test_an_append_has_no_further_statements(store: PostgresStore, terminated: Striker) -> None:
    log = started(store)
    terminated.count = 0
    log.append(closed(), seq=1, closes=True)
    assert terminated.count == APPENDS


def test_a_commit_without_an_answer_may_have_written(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, commit = started(store), store.engine.dialect.do_commit

    def cut(connection: Any) -> None:
        commit(connection)
        connection.driver_connection.close()
        raise psycopg.OperationalError("the answer was lost")

    monkeypatch.setattr(store.engine.dialect, "do_commit", cut)
    with pytest.raises(StoreUnavailable, match="to see whether it was written"):
        log.append(Cancelled(), seq=1, closes=False)
    monkeypatch.undo()
    assert len(log.load()) == 2


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_callers_work_whose_connection_is_lost_writes_nothing(
    store: PostgresStore, terminated: Striker, at: int
) -> None:
    log = started(store)
    terminated.count, terminated.at = 0, at

    def work(connection: Any) -> None:
        log.within(connection).append(closed(), seq=1, closes=True)

    with pytest.raises(StoreUnavailable, match="nothing was written"):
        store.write(work)
    assert len(log.load()) == 1
    store.write(work)


def test_a_lost_connection_that_the_caller_overlooks_writes_nothing(
    store: PostgresStore, terminated: Striker
) -> None:
    terminated.count, terminated.at = 0, 1

    def work(connection: Any) -> None:
        with pytest.raises(Exception, match="SELECT 1"):
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(StoreUnavailable, match="nothing was written"):
        store.write(work)


@pytest.fixture(scope="module")
def mortal(
    tmp_path_factory: pytest.TempPathFactory, testrun_uid: str, worker_id: str
) -> Iterator[Server]:
    """A server of these tests alone."""
    server = running(f"{testrun_uid}-mortal-{worker_id}")
    yield server
    server.close()


@pytest.mark.parametrize("at", [1, APPENDS])
def test_an_append_during_which_the_server_dies_goes_on_after_its_restart(
    mortal: Server, at: int
) -> None:
    def strike(_driver: Any) -> None:
        mortal.stop("immediate")

    with mortal.database() as url, PostgresStore.open(url, clock=lambda: NOW) as store:
        striker = Striker(store, strike)
        first, second = started(store), started(store)
        store.heads()
        striker.count, striker.at = 0, at
        with pytest.raises(StoreUnavailable):
            first.append(closed(), seq=1, closes=True)
        for attempt in (
            store.heads,
            store.pulse,
            lambda: second.append(closed(), seq=1, closes=True),
        ):
            with pytest.raises(StoreUnavailable, match="cannot reach the database server"):
                attempt()
        mortal.start()
        assert store.heads() == {first.session_id: 1, second.session_id: 1}
        for log in (first, second):
            log.append(closed(), seq=1, closes=True)
        assert store.live() == ()


def test_a_server_that_was_restarted_between_two_writes_is_not_noticed(mortal: Server) -> None:
    with mortal.database() as url, PostgresStore.open(url) as store:
        log = started(store)
        before = store.pulse()
        mortal.stop("fast")
        mortal.start()
        log.append(Cancelled(), seq=1, closes=False)
        assert store.pulse() != before
        assert len(log.load()) == 2
