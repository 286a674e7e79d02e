"""The promises of a store about an application's rows: they are written with an event or not."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import pytest

from dovetail.bitcoin import Txid
from dovetail.errors import CoinsTaken, StaleSession, StoreUnavailable, UsageError
from dovetail.sessions import receiver
from dovetail.sessions.receiver import events
from dovetail.sessions.sightings import Sighting, SpendKind
from dovetail.stores.ports import Appended, Rows, SessionId, Store
from dovetail.testing.store_samples import (
    NOW,
    closed,
    coin,
    moved,
    receiver_created,
    sender_created,
    started,
)

_SEEN = Sighting(kind=SpendKind.DIRECT, txid=Txid(bytes(32)), depth=0, wanted=1)


class Caller(Protocol):
    """An application with rows of its own in the database of its sessions."""

    store: Store
    """An empty store whose clock reads `NOW`, made with the `rows` of this application."""
    hook: Rows | None
    """The function that `rows` calls; None, the initial value, does nothing."""

    def note(self, connection: Any, text: str) -> None:
        """Write a row on this connection."""
        ...

    def notes(self) -> list[str]:
        """The rows that are durable, in the order in which they were written."""
        ...


WRITES: dict[str, Callable[[Store, SessionId], object]] = {
    "append": lambda store, known: store.receiver(known).append(closed(), seq=1, closes=True),
    "first append": lambda store, _: started(store),
    "awaited append": lambda store, known: _at_once(
        store.receiver(known).append_async(closed(), seq=1, closes=True)
    ),
    "advance": lambda store, known: store.receiver(known).advance(
        closed(), None, seq=1, closes=True
    ),
    "awaited advance": lambda store, known: _at_once(
        store.receiver(known).advance_async(closed(), None, seq=1, closes=True)
    ),
    "claim": lambda store, known: store.claim(known, [coin()]),
    "reserve": lambda store, known: store.reserve(known, [coin()]),
    "release": lambda store, known: store.release(known),
    "expose": lambda store, known: store.expose(known),
    "saw": lambda store, known: store.saw(known, _SEEN),
    "adopt": lambda store, _: store.adopt(moved(receiver_created())),
    "write": lambda store, _: store.write(lambda _connection: None),
    "awaited write": lambda store, _: _at_once(store.write_async(lambda _connection: None)),
    "close": lambda store, _: store.close(),
}
"""Every way to write to a store outside a transaction of the caller."""


def _at_once(awaitable: Awaitable[object]) -> None:
    """Run an awaitable that must not wait, with or without an event loop."""
    for _ in awaitable.__await__():
        raise AssertionError("It waits.")


class Regret(Exception):
    """The application changes its mind."""


class TransactionContract:
    """A part of `StoreContract`."""

    def test_an_event_and_a_callers_rows_are_one_write(self, caller: Caller) -> None:
        log = started(caller.store)

        def work(connection: Any) -> str:
            log.within(connection).append(closed(), seq=1, closes=True)
            caller.note(connection, "invoice expired")
            return "done"

        assert caller.store.write(work) == "done"
        assert len(log.load()) == 2
        assert caller.store.row(log.session_id).closed_at == NOW
        assert caller.notes() == ["invoice expired"]

    def test_an_event_goes_with_the_rows_that_are_taken_back(self, caller: Caller) -> None:
        log, held = started(caller.store), coin()
        caller.store.reserve(log.session_id, [held])

        def work(connection: Any) -> None:
            caller.note(connection, "invoice expired")
            log.within(connection).append(closed(), seq=1, closes=True)
            raise Regret

        with pytest.raises(Regret):
            caller.store.write(work)
        assert len(log.load()) == 1
        assert caller.store.row(log.session_id).closed_at is None
        assert caller.store.reserved() == {held}
        assert caller.notes() == []
        log.append(closed(), seq=1, closes=True)

    def test_rows_go_with_the_event_that_is_refused(self, caller: Caller) -> None:
        log = started(caller.store)
        log.append(events.Cancelled(), seq=1, closes=False)

        def work(connection: Any) -> None:
            caller.note(connection, "invoice expired")
            log.within(connection).append(closed(), seq=1, closes=True)

        with pytest.raises(StaleSession):
            caller.store.write(work)
        assert caller.notes() == []

    def test_a_session_and_its_invoice_begin_together(self, caller: Caller) -> None:
        ids: list[SessionId] = []

        def work(connection: Any) -> None:
            log = caller.store.new_receiver().within(connection)
            log.append(receiver_created(), seq=0, closes=False)
            log.append(events.Cancelled(), seq=1, closes=False)
            assert len(log.load()) == 2
            ids.append(log.session_id)
            caller.note(connection, f"invoice of session {log.session_id}")

        caller.store.write(work)
        assert len(caller.store.receiver(ids[0]).load()) == 2
        assert caller.notes() == [f"invoice of session {ids[0]}"]

    def test_a_session_that_was_taken_back_never_was(self, caller: Caller) -> None:
        log, held = caller.store.new_sender(reserving=[coin()]), coin()

        def work(connection: Any) -> None:
            log.within(connection).append(sender_created(), seq=0, closes=False)
            raise Regret

        with pytest.raises(Regret):
            caller.store.write(work)
        with pytest.raises(UsageError, match="no id yet"):
            _ = log.session_id
        assert caller.store.history() == ()
        assert caller.store.reserved() == frozenset()
        assert caller.store.reserve(started(caller.store).session_id, [held]) == frozenset()

    def test_a_refusal_that_the_caller_goes_on_from_writes_nothing(self, caller: Caller) -> None:
        held = coin()
        caller.store.reserve(started(caller.store).session_id, [held])

        def work(connection: Any) -> None:
            taken = caller.store.new_sender(reserving=[coin(), held])
            with pytest.raises(CoinsTaken):
                taken.within(connection).append(sender_created(), seq=0, closes=False)
            caller.note(connection, "payment not made")

        caller.store.write(work)
        assert len(caller.store.history()) == 1
        assert caller.store.reserved() == {held}
        assert caller.notes() == ["payment not made"]

    def test_an_awaited_write_is_like_any_other(self, caller: Caller) -> None:
        log = started(caller.store)

        def work(connection: Any) -> None:
            _at_once(log.within(connection).append_async(closed(), seq=1, closes=True))
            caller.note(connection, "invoice expired")

        async def write() -> None:
            await caller.store.write_async(work)

        asyncio.run(write())
        assert len(log.load()) == 2
        assert caller.notes() == ["invoice expired"]

    def test_an_awaited_write_that_raises_writes_nothing(self, caller: Caller) -> None:
        log = started(caller.store)

        def work(connection: Any) -> None:
            log.within(connection).append(closed(), seq=1, closes=True)
            raise Regret

        async def write() -> None:
            await caller.store.write_async(work)

        with pytest.raises(Regret):
            asyncio.run(write())
        assert len(log.load()) == 1

    def test_a_transition_is_saved_beside_other_rows(self, caller: Caller) -> None:
        log = caller.store.new_receiver()
        log.append(receiver_created(), seq=0, closes=False)
        session = receiver.replay(log.load())
        assert isinstance(session, receiver.Initialized)
        transition = session.cancel()
        after = caller.store.write(lambda connection: transition.save(log.within(connection)))
        assert receiver.replay(log.load()) == after

    def test_many_writers_at_once_write_each_event_with_its_rows(self, caller: Caller) -> None:
        logs = [started(caller.store) for _ in range(12)]

        def work(number: int) -> None:
            def both(connection: Any) -> None:
                logs[number].within(connection).append(closed(), seq=1, closes=True)
                caller.note(connection, str(number))
                if number % 3 == 0:
                    raise Regret

            try:
                caller.store.write(both)
            except Regret:
                return

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(work, range(12)))
        written = {number for number in range(12) if number % 3}
        assert sorted(map(int, caller.notes())) == sorted(written)
        assert {number for number in range(12) if len(logs[number].load()) == 2} == written

    @pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
    def test_a_write_inside_another_raises_instead_of_waiting_for_itself(
        self, caller: Caller, write: Callable[[Store, SessionId], object]
    ) -> None:
        log = started(caller.store)

        def work(connection: Any) -> None:
            caller.note(connection, "lost")
            write(caller.store, log.session_id)

        with pytest.raises(UsageError, match="inside another"):
            caller.store.write(work)
        with pytest.raises(UsageError, match="inside another"):
            asyncio.run(_write_async(caller.store, work))
        assert caller.notes() == []
        log.append(closed(), seq=1, closes=True)
        assert len(caller.store.history()) == 1

    def test_a_log_is_bound_to_one_transaction(self, caller: Caller) -> None:
        log = started(caller.store)
        connection, bound = caller.store.write(lambda each: (each, log.within(each)))
        with pytest.raises(UsageError, match="transaction"):
            bound.append(closed(), seq=1, closes=True)
        with pytest.raises(UsageError, match="in no transaction"):
            log.within(connection)
        assert len(log.load()) == 1

    def test_the_applications_rows_go_with_every_event(self, caller: Caller) -> None:
        told: list[Appended] = []

        def hook(connection: Any, appended: Appended) -> None:
            told.append(appended)
            caller.note(connection, f"{type(appended.event).__name__} of {appended.session_id}")

        caller.hook = hook
        log = started(caller.store)
        asyncio.run(log.append_async(events.Cancelled(), seq=1, closes=False))
        caller.store.write(
            lambda connection: log.within(connection).append(closed(), seq=2, closes=True)
        )
        session_id = log.session_id
        assert caller.notes() == [
            f"{kind} of {session_id}" for kind in ("Created", "Cancelled", "Closed")
        ]
        assert [(each.session_id, each.seq, each.closes, each.created_at) for each in told] == [
            (session_id, seq, seq == 2, NOW) for seq in range(3)
        ]
        assert tuple(each.event for each in told) == log.load()

    def test_an_event_whose_rows_cannot_be_written_is_not_written(self, caller: Caller) -> None:
        log, held = started(caller.store), coin()
        caller.store.reserve(log.session_id, [held])

        def hook(connection: Any, _appended: Appended) -> None:
            caller.note(connection, "half")
            raise Regret

        caller.hook = hook
        with pytest.raises(StoreUnavailable, match="rows that go with") as caught:
            log.append(closed(), seq=1, closes=True)
        assert isinstance(caught.value.__cause__, Regret)
        with pytest.raises(StoreUnavailable):
            started(caller.store)
        assert len(log.load()) == 1
        assert len(caller.store.history()) == 1
        assert caller.store.reserved() == {held}
        assert caller.notes() == []
        caller.hook = None
        log.append(closed(), seq=1, closes=True)

    def test_no_rows_go_with_an_event_that_is_refused(self, caller: Caller) -> None:
        log = started(caller.store)
        caller.hook = lambda connection, _appended: caller.note(connection, "lost")
        with pytest.raises(StaleSession):
            log.append(closed(), seq=0, closes=True)
        assert caller.notes() == []

    def test_the_applications_rows_are_written_on_their_connection_alone(
        self, caller: Caller
    ) -> None:
        log, other = started(caller.store), started(caller.store)

        def hook(_connection: Any, _appended: Appended) -> None:
            other.append(closed(), seq=1, closes=True)

        caller.hook = hook
        with pytest.raises(UsageError, match="inside another"):
            log.append(closed(), seq=1, closes=True)
        assert len(log.load()) == len(other.load()) == 1


async def _write_async(store: Store, work: Callable[[Any], None]) -> None:
    await store.write_async(work)
