"""M5: a stale handle cannot append."""

import multiprocessing
from pathlib import Path

import pytest
from tests.sessions.receiver.scenarios import play_all
from tests.sessions.sender import play as sending

from dovetail.errors import StaleSession
from dovetail.sessions import receiver, sender
from dovetail.sessions.receiver import events
from dovetail.stores.ports import SessionId
from dovetail.stores.sql import SqliteStore
from dovetail.testing.store_samples import started


@pytest.mark.parametrize("place", sending.PLACES)
def test_an_old_handle_of_a_sender_decides_and_changes_nothing(place: str) -> None:
    log = sending.Log()
    session = sending.PLACES[place](log)
    before = list(log.entries)
    for count in range(1, len(before)):
        old = sender.replay(map(sender.decode_event, before[:count]))
        if hasattr(old, "cancel"):
            with pytest.raises(StaleSession):
                old.cancel().save(log)
    assert log.entries == before
    assert log.replay() == session


def test_an_old_handle_of_a_receiver_decides_and_changes_nothing() -> None:
    for play in play_all():
        before = list(play.log.events)
        for old in play.states[:-1]:
            under_way = isinstance(old, receiver.Monitor) and (old.seen_spent or old.released)
            paid = isinstance(old, receiver.HasReplyableError) and old.held is None and old.paid_by
            if paid:
                continue  # it waits for its depth and cannot be cancelled
            if hasattr(old, "cancel") and not under_way:
                with pytest.raises(StaleSession):
                    old.cancel().save(play.log)
        assert play.log.events == before
        assert receiver.replay(before) == play.states[-1]


def _append(path: Path, session_id: SessionId, barrier, results) -> None:
    with SqliteStore.open(path) as store:
        log = store.receiver(session_id)
        for seq in range(1, ROUNDS + 1):
            barrier.wait()
            try:
                log.append(events.Cancelled(), seq=seq, closes=False)
            except StaleSession:
                results.put((seq, False))
            else:
                results.put((seq, True))


ROUNDS, PROCESSES = 20, 3


def test_of_processes_that_hold_one_session_one_moves_it_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    with SqliteStore.open(path) as store:
        session_id = started(store).session_id
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(PROCESSES), context.Queue()
    arguments = (path, session_id, barrier, results)
    processes = [context.Process(target=_append, args=arguments) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    told = [results.get(timeout=60) for _ in range(ROUNDS * PROCESSES)]
    for process in processes:
        process.join()
    assert sorted(seq for seq, won in told if won) == list(range(1, ROUNDS + 1))
    with SqliteStore.open(path) as store:
        assert store.row(session_id).next_seq == ROUNDS + 1
