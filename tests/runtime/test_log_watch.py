import asyncio
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dovetail.errors import StoreUnavailable
from dovetail.runtime.log_watch import Lookout
from dovetail.sessions.receiver.events import Cancelled
from dovetail.stores.ports import SessionId
from dovetail.stores.sql import SqliteStore
from dovetail.testing.store_samples import closed, started


@dataclass
class Session:
    session_id: SessionId
    seq: int | None = 1
    nudges: int = 0

    def nudge(self) -> None:
        self.nudges += 1


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore.open(tmp_path / "sessions.db") as opened:
        yield opened


def sessions_in(store: SqliteStore, number: int) -> list[Session]:
    return [Session(started(store).session_id) for _ in range(number)]


async def test_only_the_session_that_moved_is_nudged(store: SqliteStore):
    sessions = sessions_in(store, 3)
    lookout = Lookout(store, lambda: sessions, every=60)
    await lookout.look()
    assert [each.nudges for each in sessions] == [0, 0, 0]
    store.receiver(sessions[1].session_id).append(Cancelled(), seq=1, closes=False)
    await lookout.look()
    assert [each.nudges for each in sessions] == [0, 1, 0]


async def test_a_session_that_another_closed_is_nudged(store: SqliteStore):
    (session,) = sessions = sessions_in(store, 1)
    store.receiver(session.session_id).append(closed(), seq=1, closes=True)
    await Lookout(store, lambda: sessions, every=60).look()
    assert session.nudges == 1


async def test_where_nothing_was_written_no_log_is_asked_for(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
):
    sessions = sessions_in(store, 5)
    lookout = Lookout(store, lambda: sessions, every=60)
    asked: list[bool] = []
    refresh = SqliteStore.refresh_heads

    def ask(store: SqliteStore, heads: dict[SessionId, int]) -> tuple[SessionId, ...]:
        asked.append(True)
        return refresh(store, heads)

    monkeypatch.setattr(SqliteStore, "refresh_heads", ask)
    for _ in range(10):
        await lookout.look()
    assert len(asked) == 1, "one question for all sessions, after the last write"
    sessions_in(store, 1)
    await lookout.look()
    assert len(asked) == 2


async def test_what_came_while_a_log_was_read_shows_at_the_next_look(store: SqliteStore):
    (session,) = sessions = sessions_in(store, 1)
    lookout = Lookout(store, lambda: sessions, every=60)
    store.receiver(session.session_id).append(Cancelled(), seq=1, closes=False)
    session.seq = None
    await lookout.look()
    assert session.nudges == 0
    session.seq = 1
    await lookout.look()
    assert session.nudges == 1


async def test_a_session_that_moves_on_or_is_opened_during_the_look_is_not_nudged(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
):
    """A nudge ends its poll for nothing."""
    (session,) = sessions = sessions_in(store, 1)
    refresh = SqliteStore.refresh_heads

    def meanwhile(store: SqliteStore, heads: dict[SessionId, int]) -> tuple[SessionId, ...]:
        found = refresh(store, heads)
        store.receiver(session.session_id).append(Cancelled(), seq=1, closes=False)
        session.seq = 2
        sessions.extend(sessions_in(store, 1))
        return found

    lookout = Lookout(store, lambda: sessions, every=60)
    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "refresh_heads", meanwhile)
        await lookout.look()
    assert [each.nudges for each in sessions] == [0, 0]
    store.receiver(sessions[1].session_id).append(Cancelled(), seq=1, closes=False)
    await lookout.look()
    assert [each.nudges for each in sessions] == [0, 1]


async def test_a_store_that_is_away_is_looked_at_again(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
):
    (session,) = sessions = sessions_in(store, 1)
    session.seq = 0
    pulse, away = SqliteStore.pulse, iter([True, True])

    def read(store: SqliteStore) -> int:
        if next(away, False):
            raise StoreUnavailable("The disk is gone.")
        return pulse(store)

    monkeypatch.setattr(SqliteStore, "pulse", read)
    looking = asyncio.create_task(Lookout(store, lambda: sessions, every=0.001).run())
    async with asyncio.timeout(5):
        while not session.nudges:  # noqa: ASYNC110 - the lookout has no event of its own
            await asyncio.sleep(0.001)
    looking.cancel()


async def test_what_others_open_is_told_again_until_it_could_be_taken(store: SqliteStore):
    told: list[list[SessionId]] = []

    def opened(found: Collection[SessionId]) -> None:
        told.append(list(found))
        if len(told) == 1:
            raise StoreUnavailable("A disk is away.")

    number = started(store).session_id
    lookout = Lookout(store, lambda: (), every=60, opened=opened)
    with pytest.raises(StoreUnavailable):
        await lookout.look()
    await lookout.look()
    await lookout.look()
    assert told == [[number], [number]]
