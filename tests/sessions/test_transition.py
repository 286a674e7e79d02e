"""A transition: decided, not yet durable."""

import asyncio
import gc

import pytest
from tests.support.log import MemoryLog

from dovetail.errors import AlreadySaved, StaleSession, StoreUnavailable
from dovetail.sessions.codec import SessionEvent
from dovetail.sessions.transition import Transition, UnsavedTransitionWarning


class ImportedSession(SessionEvent, frozen=True, kw_only=True):
    """Something happened."""


class BrokenLog(MemoryLog[ImportedSession]):
    def append(self, *_: object, **__: object) -> None:
        raise StoreUnavailable("The store is full; free some space.")


@pytest.fixture
def log() -> MemoryLog[ImportedSession]:
    return MemoryLog()


def test_the_next_state_is_handed_over_once_the_event_is_stored(
    log: MemoryLog[ImportedSession],
) -> None:
    assert Transition(ImportedSession(), "next", seq=0).save(log) == "next"
    assert log.events == [ImportedSession()]
    assert not log.closed


async def test_it_can_be_saved_asynchronously(log: MemoryLog[ImportedSession]) -> None:
    transition = Transition(ImportedSession(), "next", seq=0, closes=True)
    assert await transition.save_async(log) == "next"
    assert log.events == [ImportedSession()]
    assert log.closed


class FollowingLog(MemoryLog[ImportedSession]):
    """One that keeps what it draws from the states."""

    state: object = None

    def advance(self, event: ImportedSession, state: object, /, *, seq: int, closes: bool) -> None:
        self.append(event, seq=seq, closes=closes)
        self.state = state

    async def advance_async(
        self, event: ImportedSession, state: object, /, *, seq: int, closes: bool
    ) -> None:
        self.advance(event, state, seq=seq, closes=closes)


async def test_a_log_that_follows_the_states_is_given_the_one_that_comes() -> None:
    log = FollowingLog()
    first = Transition(ImportedSession(), "next", seq=0).save(log)
    assert (first, log.state) == ("next", "next")
    last = await Transition(ImportedSession(), "end", seq=1, closes=True).save_async(log)
    assert (last, log.state) == ("end", "end")
    assert log.events == [ImportedSession(), ImportedSession()]
    assert log.closed


def test_appending_and_closing_are_one_write(log: MemoryLog[ImportedSession]) -> None:  # M1
    Transition(ImportedSession(), "end", seq=0, closes=True).save(log)
    with pytest.raises(StaleSession):
        Transition(ImportedSession(), "more", seq=1).save(log)


def test_stasis_appends_nothing(log: MemoryLog[ImportedSession]) -> None:
    assert Transition(None, "same", seq=7).save(log) == "same"
    assert log.events == []


async def test_stasis_appends_nothing_asynchronously(log: MemoryLog[ImportedSession]) -> None:
    assert await Transition(None, "same", seq=7).save_async(log) == "same"
    assert log.events == []


def test_saving_twice_is_refused(log: MemoryLog[ImportedSession]) -> None:
    transition = Transition(ImportedSession(), "next", seq=0)
    transition.save(log)
    with pytest.raises(AlreadySaved):
        transition.save(log)
    with pytest.raises(AlreadySaved):
        asyncio.run(transition.save_async(log))
    assert len(log.events) == 1


def test_a_transition_dropped_unsaved_warns() -> None:
    transition = Transition(ImportedSession(), "next", seq=3)
    with pytest.warns(UnsavedTransitionWarning, match="ImportedSession at 3"):
        transition.__del__()
    transition._attempted = True


def test_a_transition_that_failed_to_save_does_not_warn() -> None:
    transition = Transition(ImportedSession(), "next", seq=0)
    with pytest.raises(StoreUnavailable):
        transition.save(BrokenLog())
    del transition
    gc.collect()


def test_a_transition_that_never_came_to_be_does_not_warn() -> None:
    Transition.__new__(Transition).__del__()


def test_stasis_dropped_unsaved_does_not_warn() -> None:
    transition: Transition[ImportedSession, str] = Transition(None, "same", seq=0)
    del transition
    gc.collect()


def test_a_stale_handle_cannot_append(log: MemoryLog[ImportedSession]) -> None:  # M5
    Transition(ImportedSession(), "next", seq=0).save(log)
    with pytest.raises(StaleSession):
        Transition(ImportedSession(), "next", seq=0).save(log)


def test_the_repr_names_the_event_and_its_slot(log: MemoryLog[ImportedSession]) -> None:
    transition = Transition(ImportedSession(), "next", seq=2)
    assert repr(transition) == "<Transition ImportedSession at 2>"
    assert repr(Transition(None, "same", seq=2)) == "<Transition stasis at 2>"
    transition._attempted = True
