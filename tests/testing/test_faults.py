import pytest

from dovetail.sessions import receiver
from dovetail.sessions.receiver.events import Cancelled, ReceiverEvent
from dovetail.stores.memory import MemoryStore
from dovetail.stores.ports import SessionLog
from dovetail.testing.faults import Crash, CrashingPersister
from dovetail.testing.store_samples import receiver_created


@pytest.fixture
def log() -> SessionLog[ReceiverEvent]:
    log = MemoryStore().new_receiver()
    log.append(receiver_created(), seq=0, closes=False)
    return log


def test_a_crash_before_the_write_leaves_the_log_as_it_was(log: SessionLog[ReceiverEvent]) -> None:
    crashing = CrashingPersister(log, before=[1])
    with pytest.raises(Crash):
        crashing.append(Cancelled(), seq=1, closes=False)
    assert isinstance(receiver.replay(log.load()), receiver.Initialized)
    assert len(log.load()) == 1


def test_a_crash_after_the_write_leaves_the_event_in_the_log(
    log: SessionLog[ReceiverEvent],
) -> None:
    crashing = CrashingPersister(log, after=[1])
    with pytest.raises(Crash):
        crashing.append(Cancelled(), seq=1, closes=False)
    assert log.load()[1:] == (Cancelled(),)


def test_other_appends_pass_through(log: SessionLog[ReceiverEvent]) -> None:
    CrashingPersister(log, before=[2], after=[3]).append(Cancelled(), seq=1, closes=False)
    assert len(log.load()) == 2


async def test_it_crashes_where_it_is_awaited(log: SessionLog[ReceiverEvent]) -> None:
    with pytest.raises(Crash):
        await CrashingPersister(log, before=[1]).append_async(Cancelled(), seq=1, closes=False)
    assert len(log.load()) == 1
    with pytest.raises(Crash):
        await CrashingPersister(log, after=[1]).append_async(Cancelled(), seq=1, closes=False)
    assert log.load()[1:] == (Cancelled(),)


async def test_a_transition_is_saved_through_it_either_way(log: SessionLog[ReceiverEvent]) -> None:
    session = receiver.replay(log.load())
    assert isinstance(session, receiver.Initialized)
    with pytest.raises(Crash):
        await session.cancel().save_async(CrashingPersister(log, after=[1]))
    assert isinstance(receiver.replay(log.load()), receiver.Closed)


def test_no_handler_of_exceptions_mistakes_a_crash_for_one() -> None:
    assert not issubclass(Crash, Exception)
