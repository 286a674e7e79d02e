"""Writers on several connections at once: each rule holds as with one writer (M1, M5, P2, P3)."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection
from tests.stores.postgresql.waiting import blocked, until_blocked

from dovetail.bitcoin import OutPoint
from dovetail.errors import CoinsTaken, DuplicateSession, StaleSession, StoreUnavailable
from dovetail.protocol.uri import V1Endpoint
from dovetail.sessions.receiver.events import Cancelled
from dovetail.stores.ports import Appended, ImportOutcome
from dovetail.stores.sql import PostgresStore, coins
from dovetail.testing.store_samples import (
    NOW,
    closed,
    coin,
    moved,
    receiver_created,
    sender_created,
    started,
    v2_endpoint,
)


@pytest.fixture
def other(url: str) -> Iterator[PostgresStore]:
    """The store of another process."""
    with PostgresStore.open(url, clock=lambda: NOW) as store:
        yield store


class Held:
    """A transaction that stays open until the test ends it."""

    def __init__(self, store: PostgresStore, work: Callable[[Connection], object]) -> None:
        self._connection = store.engine.connect()
        self._transaction = self._connection.begin()
        self.result = work(self._connection)

    def end(self, *, commits: bool) -> None:
        if commits:
            self._transaction.commit()
        else:
            self._transaction.rollback()
        self._connection.close()


BOTH = pytest.mark.parametrize("commits", [True, False], ids=["commits", "rolls back"])


@BOTH
def test_an_append_waits_for_the_one_before_it(
    store: PostgresStore, other: PostgresStore, *, commits: bool
) -> None:
    log = started(store)
    held = Held(store, lambda c: log.within(c).append(Cancelled(), seq=1, closes=False))
    second = other.receiver(log.session_id)
    with blocked(other, lambda: second.append(closed(), seq=1, closes=True)) as writing:
        held.end(commits=commits)
        if commits:
            with pytest.raises(StaleSession):
                writing.result()
        else:
            writing.result()
    assert [type(event).__name__ for event in log.load()] == [
        "Created",
        "Cancelled" if commits else "Closed",
    ]


@BOTH
def test_a_claim_waits_for_the_one_before_it(
    store: PostgresStore, other: PostgresStore, *, commits: bool
) -> None:
    first, second, seen = started(store), started(other), coin()
    held = Held(store, lambda c: coins.claim(c, first.session_id, [seen], NOW))
    with blocked(other, lambda: other.claim(second.session_id, [seen, coin()])) as claiming:
        held.end(commits=commits)
        assert claiming.result() == ({seen} if commits else frozenset())


@BOTH
def test_a_reservation_waits_for_the_one_before_it(
    store: PostgresStore, other: PostgresStore, *, commits: bool
) -> None:
    first, second, wanted = started(store), started(other), coin()
    held = Held(store, lambda c: coins.reserve(c, first.session_id, [wanted]))
    with blocked(other, lambda: other.reserve(second.session_id, [wanted])) as reserving:
        held.end(commits=commits)
        assert reserving.result() == ({wanted} if commits else frozenset())
    assert store.holders() == {wanted: (first if commits else second).session_id}


@BOTH
def test_a_coin_that_is_being_released_is_waited_for(
    store: PostgresStore, other: PostgresStore, *, commits: bool
) -> None:
    first, second, wanted = started(store), started(other), coin()
    store.reserve(first.session_id, [wanted])
    held = Held(store, lambda c: first.within(c).append(closed(), seq=1, closes=True))
    with blocked(other, lambda: other.reserve(second.session_id, [wanted])) as reserving:
        held.end(commits=commits)
        assert reserving.result() == (frozenset() if commits else {wanted})


@BOTH
def test_a_session_that_is_being_closed_gets_no_coins(
    store: PostgresStore, other: PostgresStore, *, commits: bool
) -> None:
    log, wanted = started(store), coin()
    held = Held(store, lambda c: log.within(c).append(closed(), seq=1, closes=True))
    with blocked(other, lambda: other.reserve(log.session_id, [wanted])) as reserving:
        held.end(commits=commits)
        if commits:
            with pytest.raises(StaleSession, match="was closed"):
                reserving.result()
        else:
            assert reserving.result() == frozenset()
    assert store.reserved() == (frozenset() if commits else {wanted})


def test_a_close_releases_the_coins_that_were_reserved_while_it_waited(
    store: PostgresStore, other: PostgresStore
) -> None:
    log, wanted = started(store), coin()
    held = Held(store, lambda c: coins.reserve(c, log.session_id, [wanted]))
    second = other.receiver(log.session_id)
    with blocked(other, lambda: second.append(closed(), seq=1, closes=True)) as closing:
        held.end(commits=True)
        closing.result()
    assert store.reserved() == frozenset()


@BOTH
def test_of_two_payments_to_one_address_the_second_waits(
    store: PostgresStore, other: PostgresStore, *, commits: bool
) -> None:
    log = store.new_sender(alone=True)
    held = Held(store, lambda c: log.within(c).append(sender_created(), seq=0, closes=False))
    second = other.new_sender(alone=True)
    with blocked(other, lambda: second.append(sender_created(), seq=0, closes=False)) as paying:
        held.end(commits=commits)
        if commits:
            with pytest.raises(DuplicateSession, match="to this address"):
                paying.result()
        else:
            paying.result()
    assert len(store.history()) == 1


@BOTH
@pytest.mark.parametrize(
    "endpoint", [v2_endpoint(), V1Endpoint("https://shop.example/pj")], ids=["v2", "v1"]
)
def test_of_two_payments_of_one_uri_the_second_waits(
    store: PostgresStore,
    other: PostgresStore,
    endpoint: V1Endpoint,
    *,
    commits: bool,
) -> None:
    created = sender_created(endpoint)
    log = store.new_sender()
    held = Held(store, lambda c: log.within(c).append(created, seq=0, closes=False))
    second = other.new_sender(reserving=[coin()])
    with blocked(other, lambda: second.append(created, seq=0, closes=False)) as paying:
        held.end(commits=commits)
        if commits:
            with pytest.raises(DuplicateSession, match="to this URI"):
                paying.result()
        else:
            paying.result()
    assert len(store.history()) == 1
    assert len(store.reserved()) == (not commits)


def test_a_payment_waits_for_its_coins_and_does_not_begin_without_them(
    store: PostgresStore, other: PostgresStore
) -> None:
    first, wanted = started(store), coin()
    held = Held(store, lambda c: coins.reserve(c, first.session_id, [wanted]))
    second = other.new_sender(reserving=[coin(), wanted])
    with blocked(other, lambda: second.append(sender_created(), seq=0, closes=False)) as paying:
        held.end(commits=True)
        with pytest.raises(CoinsTaken):
            paying.result()
    assert len(store.history()) == 1
    assert store.reserved() == {wanted}


def test_a_session_is_imported_once_by_two_at_a_time(
    store: PostgresStore, other: PostgresStore
) -> None:
    created = receiver_created()
    barrier = threading.Barrier(2)

    def adopt(each: PostgresStore) -> ImportOutcome:
        barrier.wait()
        return each.adopt(moved(created, Cancelled())).adoption

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(adopt, (store, other)))
    assert sorted(outcomes) == [ImportOutcome.ADDED, ImportOutcome.UNCHANGED]
    assert len(store.history()) == 1


def test_an_import_waits_for_an_append_and_compares_with_it(
    store: PostgresStore, other: PostgresStore
) -> None:
    created = receiver_created()
    log = started(store, created)
    held = Held(store, lambda c: log.within(c).append(closed(), seq=1, closes=True))
    longer = moved(created, Cancelled())
    with blocked(other, lambda: other.adopt(longer)) as importing:
        held.end(commits=True)
        with pytest.raises(DuplicateSession, match="another way"):
            importing.result()
    assert len(log.load()) == 2


def test_a_log_that_is_read_in_a_transaction_does_not_grow_meanwhile(
    store: PostgresStore, other: PostgresStore
) -> None:
    log = started(store)
    held = Held(store, lambda c: log.within(c).load())
    second = other.receiver(log.session_id)
    with blocked(other, lambda: second.append(Cancelled(), seq=1, closes=False)) as appending:
        assert held.result == log.load(), "a reader waits for nobody"
        held.end(commits=True)
        appending.result()


def test_a_row_and_its_log_are_of_one_moment(store: PostgresStore, other: PostgresStore) -> None:
    log = started(store)
    ended = threading.Event()

    def write() -> None:
        for seq in range(1, 60):
            log.append(Cancelled(), seq=seq, closes=False)
        ended.set()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not ended.is_set() and not writing.done():
            stored = other.stored(log.session_id)
            assert len(stored.events) == stored.row.next_seq
        writing.result()


def test_what_is_shown_to_others_while_coins_are_released_does_not_lock_up(
    store: PostgresStore, other: PostgresStore
) -> None:
    """Each statement takes its coins in one order."""
    wanted = [coin() for _ in range(12)]

    def live(number: int) -> None:
        each = (store, other)[number % 2]
        for turn in range(6):
            log = started(each)
            each.reserve(log.session_id, wanted[:: (-1, 1)[turn % 2]])
            each.expose(log.session_id)
            log.append(closed(), seq=1, closes=True)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(live, range(6)))
    assert store.reserved() == frozenset()
    assert store.exposed() == set(wanted)
    with store.reading() as connection:
        query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert connection.exec_driver_sql(query).scalar() == 0


def test_an_event_whose_rows_lock_up_with_others_is_written_again(url: str) -> None:
    """Two applications lock the same two things in another order: one of them is taken back."""
    barrier, runs = threading.Barrier(2, timeout=20), list[int]()

    def hook(connection: Connection, appended: Appended) -> None:
        if appended.seq == 0:
            return
        order = (1, 2) if appended.closes else (2, 1)
        runs.append(order[0])
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (order[0],))
        if len(runs) <= 2:
            barrier.wait()
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (order[1],))

    with PostgresStore.open(url, clock=lambda: NOW, rows=hook) as store:
        first, second = started(store), started(store)
        with ThreadPoolExecutor(2) as pool:
            writes = [
                pool.submit(first.append, closed(), seq=1, closes=True),
                pool.submit(second.append, Cancelled(), seq=1, closes=False),
            ]
            for write in writes:
                write.result()
        assert len(runs) == 3
        assert len(first.load()) == len(second.load()) == 2


def test_work_that_runs_once_is_told_of_a_deadlock(
    store: PostgresStore, other: PostgresStore
) -> None:
    barrier = threading.Barrier(2, timeout=20)

    def lock(each: PostgresStore, order: tuple[int, int]) -> str:
        def work(connection: Connection) -> None:
            for number in order:
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (number,))
                if number == order[0]:
                    barrier.wait()

        try:
            each.write(work)
        except StoreUnavailable as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(2) as pool:
        told = [pool.submit(lock, store, (1, 2)), pool.submit(lock, other, (2, 1))]
        said = sorted(each.result() for each in told)
    assert said == ["", "Other writers were in the way; nothing was written. Try again."]


def test_a_writer_does_not_wait_for_ever(
    store: PostgresStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dovetail.stores.sql.postgresql.LOCK_TIMEOUT", "200ms")
    log = started(store)
    held = Held(store, lambda c: log.within(c).append(Cancelled(), seq=1, closes=False))
    kept = pytest.raises(StoreUnavailable, match="Another process kept a lock")
    with PostgresStore.open(url) as hasty, kept:
        hasty.receiver(log.session_id).append(closed(), seq=1, closes=True)
    held.end(commits=True)


def test_more_writers_than_connections_take_turns(url: str) -> None:
    with PostgresStore.open(url, connections=5) as store:
        logs = [started(store) for _ in range(20)]

        def work(number: int) -> None:
            def both(connection: Connection) -> None:
                logs[number].within(connection).append(closed(), seq=1, closes=True)
                assert len(logs[number].load()) == 1, "a reader has a connection of its own"

            store.write(both)

        with ThreadPoolExecutor(20) as pool:
            list(pool.map(work, range(20)))
        assert store.live() == ()


def test_many_sessions_contend_for_inputs_and_each_has_one_owner(
    store: PostgresStore, other: PostgresStore
) -> None:
    inputs = [coin() for _ in range(30)]

    def claim(number: int) -> list[OutPoint]:
        each = (store, other)[number % 2]
        log = started(each)
        return [
            one for one in inputs[:: (-1, 1)[number % 2]] if not each.claim(log.session_id, [one])
        ]

    with ThreadPoolExecutor(6) as pool:
        owned = [one for each in pool.map(claim, range(6)) for one in each]
    assert sorted(map(str, owned)) == sorted(map(str, inputs))


def test_two_that_wait_for_one_lock_go_on_one_by_one(
    store: PostgresStore, other: PostgresStore
) -> None:
    log = started(store)
    held = Held(store, lambda c: log.within(c).load())

    def append(each: PostgresStore) -> bool:
        try:
            each.receiver(log.session_id).append(Cancelled(), seq=1, closes=False)
        except StaleSession:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        appends = [pool.submit(append, each) for each in (store, other)]
        until_blocked(store, 2)
        held.end(commits=True)
        assert sorted(each.result() for each in appends) == [False, True]
