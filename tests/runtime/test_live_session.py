import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.support.stepping import Receiving, Side, paid_into
from tests.support.world import World, until

from dovetail.errors import (
    ReplayError,
    StaleSession,
    StoreUnavailable,
    TransportError,
    UsageError,
)
from dovetail.runtime.live_session import LiveReceiver, LiveSession, live_receiver, live_sender
from dovetail.runtime.turn import ReceiverTurn
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.receiver import ReceiverEvent, ReceiverSession
from dovetail.stores.ports import Role, SessionLog

Act = Callable[[ReceiverSession, SessionLog[ReceiverEvent]], Awaitable[ReceiverSession]]


class Script:
    """A step that does one thing after the other, then nothing for ever."""

    def __init__(self, *acts: Act | Exception) -> None:
        self.acts = list(acts)
        self.failures: list[int] = []
        self.times: list[float] = []

    async def __call__(
        self,
        session: ReceiverSession,
        turn: ReceiverTurn,
    ) -> ReceiverSession:
        self.failures.append(turn.failures)
        self.times.append(asyncio.get_running_loop().time())
        act = self.acts.pop(0) if self.acts else nothing
        if isinstance(act, Exception):
            raise act
        return await act(session, turn.log)


async def nothing(session: ReceiverSession, _log: SessionLog[ReceiverEvent]) -> ReceiverSession:
    return session


async def end(session: ReceiverSession, log: SessionLog[ReceiverEvent]) -> ReceiverSession:
    assert isinstance(session, receiver.Initialized)
    return await session.cancel().save_async(log)


def live(
    receiving: Receiving, *acts: Act | Exception, state: bool = True
) -> tuple[LiveReceiver, Script]:
    script = Script(*acts)
    known = receiving.state if state else None
    session = LiveSession(
        Role.RECEIVER, receiving.log, receiver.replay, script, receiving.services, known
    )
    return session, script


TROUBLE = TransportError("Nobody answers.")


async def test_updates_begin_with_where_it_stands_and_end_when_it_is_closed(bob: Side):
    session, _ = live(bob.receive(), end)
    session.start()
    states = [update.state async for update in session.updates()]
    assert [type(state).__name__ for state in states] == ["Initialized", "Closed"]
    assert not session.running
    assert isinstance(await session.wait_closed(), outcomes.Cancelled)


async def test_a_session_that_was_not_started_has_one_update(bob: Side):
    session, _ = live(bob.receive())
    assert len([update async for update in session.updates()]) == 1
    with pytest.raises(UsageError, match="stopped before its end"):
        await session.wait_closed()
    await session.stop()


async def test_many_may_wait_for_the_end(bob: Side):
    session, _ = live(bob.receive(), nothing, nothing, end)
    session.start()
    outcomes_seen = await asyncio.gather(*(session.wait_closed() for _ in range(3)))
    assert len(set(map(type, outcomes_seen))) == 1


async def test_who_sees_it_through_hears_how_it_ended(bob: Side):
    session, _ = live(bob.receive(), nothing, end)
    with pytest.raises(UsageError, match="stopped before its end"):
        await session.see_through()
    session.start()
    assert isinstance(await session.see_through(), outcomes.Cancelled)


async def test_it_stops_where_whoever_sees_it_through_is_cancelled(bob: Side):
    session, _ = live(bob.receive(), *[nothing] * 50)
    session.start()
    seeing = asyncio.create_task(session.see_through())
    await asyncio.sleep(0)
    seeing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await seeing
    assert not session.running


async def test_who_sees_it_through_hears_that_it_was_stopped_elsewhere(bob: Side):
    session, _ = live(bob.receive(), *[nothing] * 50)
    session.start()
    seeing = asyncio.create_task(session.see_through())
    await asyncio.sleep(0)
    await session.stop()
    with pytest.raises(UsageError, match="resume it"):
        await seeing


async def test_who_sees_it_through_hears_of_a_fault(bob: Side):
    session, _ = live(bob.receive(), KeyError("a secret key"))
    session.start()
    with pytest.raises(KeyError):
        await session.see_through()


@pytest.mark.parametrize("act", [nothing, TROUBLE])
async def test_what_a_person_did_meanwhile_is_noticed(bob: Side, act: Act | Exception):
    receiving = bob.receive()
    session, _ = live(receiving, act)
    session.start()
    async for update in session.updates():
        if isinstance(update.state, receiver.Initialized) and len(receiving.tags()) == 1:
            update.state.cancel().save(bob.store.receiver(receiving.session_id))
    assert isinstance(await session.wait_closed(), outcomes.Cancelled)


@pytest.mark.parametrize("recovery", [nothing, end])
async def test_trouble_is_told_and_forgotten_with_the_next_success(bob: Side, recovery: Act):
    session, _ = live(bob.receive(), TROUBLE, recovery, end)
    session.start()
    troubles = [update.trouble async for update in session.updates()]
    assert troubles[:3] == [None, TROUBLE, None]
    assert session.trouble is None


async def test_it_is_told_that_a_look_has_found_nothing_to_do(bob: Side):
    session, _ = live(bob.receive(), nothing, nothing, TROUBLE, nothing, end)
    session.start()
    told = [(update.rested, update.trouble) async for update in session.updates()]
    assert told == [(False, None), (True, None), (False, TROUBLE), (True, None), (False, None)]


async def test_a_step_that_gave_up_for_news_is_no_rest(bob: Side):
    """Who waits for one try would leave before anything was tried."""
    session, script = live(bob.receive())

    async def give_up(state: ReceiverSession, _log: SessionLog[ReceiverEvent]) -> ReceiverSession:
        session.nudge()
        return state

    script.acts += [give_up, end]
    session.start()
    assert not [update async for update in session.updates() if update.rested]


async def test_failures_are_counted_for_the_step_and_a_full_disk_is_not_among_them(bob: Side):
    full = StoreUnavailable("The disk is full.")
    session, script = live(bob.receive(), TROUBLE, full, TROUBLE, nothing, TROUBLE, end)
    session.start()
    await session.wait_closed()
    assert script.failures == [0, 1, 1, 2, 0, 1]


async def test_each_failure_doubles_the_pause_up_to_the_longest(bob: Side):
    receiving = bob.receive(first_retry=0.02, longest_retry=0.08)
    session, script = live(receiving, *[TROUBLE] * 5, end)
    session.start()
    await session.wait_closed()
    pauses = [after - before for before, after in zip(script.times, script.times[1:], strict=False)]
    for pause, longest in zip(pauses, (0.02, 0.04, 0.08, 0.08, 0.08), strict=True):
        assert longest / 2 <= pause < longest + 0.05


async def test_a_pause_ends_at_the_next_deadline(world: World, bob: Side):
    slow: dict[str, Any] = {"poll_pause": 3600, "watch_interval": 3600, "first_retry": 3600}
    slow["longest_retry"] = 3600
    receiving = bob.receive(lifetime=1, **slow)
    for act in (nothing, TROUBLE):
        session, script = live(receiving, act)
        session.start()
        await asyncio.sleep(0.9)
        assert len(script.times) == 1
        world.clock.pass_by(1)
        await asyncio.sleep(0.3)
        assert len(script.times) == 2
        await session.stop()
        world.clock.pass_by(-1)


async def test_a_step_without_progress_never_runs_hot(bob: Side):
    session, script = live(bob.receive(poll_pause=0.05))
    session.start()
    await asyncio.sleep(0.28)
    await session.stop()
    assert 3 <= len(script.times) <= 6


async def test_a_session_that_moved_on_elsewhere_is_loaded_again(bob: Side):
    receiving = bob.receive()

    async def be_late(session: ReceiverSession, log: SessionLog[ReceiverEvent]) -> ReceiverSession:
        assert isinstance(session, receiver.Initialized)
        session.cancel().save(bob.store.receiver(receiving.session_id))
        return await end(session, log)

    session, _ = live(receiving, be_late)
    session.start()
    assert isinstance(await session.wait_closed(), outcomes.Cancelled)
    assert receiving.tags() == ["Created", "Closed"]
    with pytest.raises(StaleSession):
        receiving.state.cancel().save(receiving.log)  # type: ignore[union-attr]  # Initialized


async def test_a_store_that_contradicts_itself_is_trouble_and_no_hot_loop(bob: Side):
    session, script = live(
        bob.receive(first_retry=0.05), *[StaleSession("ImportedSession on.")] * 100
    )
    session.start()
    await asyncio.sleep(0.2)
    assert isinstance(session.trouble, StaleSession)
    assert len(script.times) < 10
    await session.stop()


async def test_a_session_without_a_state_is_read_from_its_log(bob: Side):
    receiving = bob.receive()
    session, _ = live(receiving, state=False)
    assert session.state is None
    with pytest.raises(UsageError, match="not been read yet"):
        _ = session.uri
    session.start()
    async for update in session.updates():
        if update.state is not None:
            break
    assert session.uri == receiving.uri.serialize()
    await session.stop()


async def test_a_log_that_cannot_be_read_ends_in_its_error(
    bob: Side, monkeypatch: pytest.MonkeyPatch
):
    receiving = bob.receive()

    def load(_log: object) -> tuple[ReceiverEvent, ...]:
        raise ReplayError("Its first entry is damaged.")

    monkeypatch.setattr(type(receiving.log), "load", load)
    session, _ = live(receiving, state=False)
    session.start()
    with pytest.raises(ReplayError, match="is damaged"):
        await session.wait_closed()
    assert isinstance(session.trouble, ReplayError)
    assert session.state is None


async def test_a_stopped_session_says_so_even_in_the_midst_of_trouble(bob: Side):
    session, _ = live(bob.receive(longest_retry=60, first_retry=60), TROUBLE)
    session.start()
    async for update in session.updates():
        if update.trouble is not None:
            await session.stop()
    assert not session.running
    with pytest.raises(UsageError, match="resume it"):
        await session.wait_closed()


async def test_a_fault_of_the_program_surfaces_and_its_text_stays_out_of_the_log(
    bob: Side, caplog: pytest.LogCaptureFixture
):
    session, _ = live(bob.receive(), KeyError("a secret key"))
    with caplog.at_level(logging.DEBUG):
        session.start()
        with pytest.raises(KeyError):
            await asyncio.wait_for(session.wait_closed(), 1)
    with pytest.raises(KeyError):
        _ = [update async for update in session.updates()]
    assert "KeyError" in caplog.text
    assert "secret" not in caplog.text


async def test_what_is_to_happen_at_the_end_happens(bob: Side):
    ended = asyncio.Event()
    session, _ = live(bob.receive(), end)
    session.start(then=ended.set)
    await session.wait_closed()
    await asyncio.wait_for(ended.wait(), 1)


async def test_a_save_that_runs_is_finished_when_the_session_is_stopped(bob: Side):
    receiving = bob.receive()
    running = asyncio.Event()

    async def save_slowly(
        session: ReceiverSession, log: SessionLog[ReceiverEvent]
    ) -> ReceiverSession:
        assert isinstance(session, receiver.Initialized)

        async def write() -> ReceiverSession:
            running.set()
            await asyncio.sleep(0.05)
            return session.cancel().save(log)

        return await asyncio.shield(asyncio.create_task(write()))

    session, _ = live(receiving, save_slowly)
    session.start()
    await running.wait()
    await session.stop()
    await asyncio.sleep(0.1)
    assert isinstance(receiving.reload(), receiver.Closed)


async def test_both_roles_have_their_own_steps(world: World, alice: Side, bob: Side):
    receiving = bob.receive(lifetime=60)
    sending = await alice.send(receiving.uri)
    world.clock.pass_by(60)
    got = live_receiver(receiving.log, receiving.services, receiving.state)
    paid = live_sender(sending.log, sending.services)
    for each in (got, paid):
        each.start()
    await until(paid, sender.Monitor)
    world.node.mine()
    assert isinstance(await paid.wait_closed(), outcomes.FallbackBroadcasted)
    assert isinstance(await got.wait_closed(), outcomes.PaidDirectly)
    assert (got.role, paid.role) == (Role.RECEIVER, Role.SENDER)


async def test_what_the_chain_shows_is_told_while_the_state_stays(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive(depth=3)
    sending = await paid_into(world, receiving, alice)
    await receiving.to(receiver.Monitor)
    await sending.to(sender.Monitor)
    session = live_receiver(receiving.log, receiving.services, receiving.state)
    session.start()
    depths: list[int] = []
    async for update in session.updates():
        if update.sighting is not None and update.sighting.depth not in depths:
            depths.append(update.sighting.depth)
            assert session.sighting == update.sighting
            world.node.mine()
    assert depths[:2] == [0, 1]
    assert session.low_fee is None
    assert isinstance(await session.wait_closed(), outcomes.Success)
