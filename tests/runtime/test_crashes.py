"""A process dies, or its tasks are cancelled, at every place where that can hurt (M4)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from tests.support.world import Party, World

from dovetail import Agent, FallbackBroadcasted, LiveReceiver, LiveSender, PayjoinUri, Success
from dovetail.errors import UsageError
from dovetail.sessions.outcomes import Outcome
from dovetail.sessions.persister import AsyncSessionPersister
from dovetail.sessions.transition import Transition
from dovetail.stores.ports import Role
from dovetail.testing.faults import Crash

AMOUNT = 50_000
RECEIVER_EVENTS = 12
SENDER_EVENTS = 7
T = TypeVar("T")
AnyLive = LiveReceiver | LiveSender


class Crashes:
    """Lets one save crash, once: before its write or after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, role: str, seq: int, when: str) -> None:
        self.role, self.seq, self.when = role, seq, when
        self.happened = False
        save = Transition.save_async

        async def save_or_crash(
            transition: Transition[Any, T], persister: AsyncSessionPersister[Any]
        ) -> T:
            chosen = not self.happened and self._is_chosen(transition)
            self.happened |= chosen
            if chosen and self.when == "before":
                transition._attempted = True
                raise Crash
            after = await save(transition, persister)
            if chosen:
                raise Crash
            return after

        monkeypatch.setattr(Transition, "save_async", save_or_crash)

    def _is_chosen(self, transition: Transition[Any, Any]) -> bool:
        event = transition._event
        if event is None or transition._seq != self.seq:
            return False
        return f".{self.role}." in type(transition._next).__module__


class Cancels:
    """Cancels the task that reaches the `n`th place at which a session awaits something."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, world: World, nth: int) -> None:
        self.nth, self.count = nth, 0
        for owner, name in (
            (asyncio, "to_thread"),
            (Transition, "save_async"),
            (type(world.wire), "post"),
        ):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    @property
    def happened(self) -> bool:
        return self.count >= self.nth

    def _counted(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def counted(*arguments: Any, **named: Any) -> Any:
            task = asyncio.current_task()
            if task is not None and task.get_name().startswith("session "):
                self.count += 1
                if self.count == self.nth:
                    task.cancel()
            return await call(*arguments, **named)

        return counted


class Story:
    """Alice pays Bob; whoever dies is started again until both sessions are closed."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.uri: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.restarts = 0

    async def told(self) -> tuple[Outcome, Outcome]:
        mining = asyncio.create_task(self._mine())
        try:
            paid, got = await asyncio.gather(
                self._side(self.world.alice, self._send), self._side(self.world.bob, self._receive)
            )
        finally:
            mining.cancel()
        return paid, got

    async def _side(self, party: Party, begin: Callable[[Agent], Awaitable[AnyLive]]) -> Outcome:
        while True:
            try:
                async with self.world.agent(party) as agent:
                    history = agent.services.store.history()
                    if history:
                        session: AnyLive = agent.follow(history[0].session_id)
                    else:
                        session = await begin(agent)
                    await self._publish(session)
                    return await session.wait_closed()
            except (Crash, UsageError):
                self.restarts += 1

    async def _receive(self, agent: Agent) -> AnyLive:
        return await agent.receive(AMOUNT)

    async def _send(self, agent: Agent) -> AnyLive:
        return await agent.send(await self.uri)

    async def _publish(self, session: AnyLive) -> None:
        async for update in session.updates():
            if update.state is not None:
                if session.role is Role.RECEIVER and not self.uri.done():
                    self.uri.set_result(session.uri)
                return

    async def _mine(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            if self.world.node.mempool_txids():
                self.world.node.mine()


async def tell(world: World) -> Story:
    """Play it to its end, and check that it ended in one payment."""
    world.fund(world.alice, 100_000, 90_000)
    world.fund(world.bob, 70_000)
    story = Story(world)
    paid, got = await asyncio.wait_for(story.told(), 30)
    assert isinstance(paid, Success | FallbackBroadcasted)
    assert isinstance(got, Success | FallbackBroadcasted)
    assert paid.txid == got.txid
    assert len(world.received(PayjoinUri.parse(await story.uri).address)) == 1
    assert len(world.alice.wallet.coins()) == 2, "one coin was spent, and its change came back"
    return story


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("role", "seq"),
    [("receiver", seq) for seq in range(RECEIVER_EVENTS)]
    + [("sender", seq) for seq in range(SENDER_EVENTS)],
)
async def test_a_crash_at_any_save_leaves_one_payment(
    world: World, monkeypatch: pytest.MonkeyPatch, role: str, seq: int, when: str
):
    crashes = Crashes(monkeypatch, role, seq, when)
    story = await tell(world)
    assert crashes.happened
    assert story.restarts >= 1


async def test_a_story_without_a_fault_has_that_many_saves(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    crashes = Crashes(monkeypatch, "receiver", RECEIVER_EVENTS, "before")
    await tell(world)
    assert not crashes.happened


@pytest.mark.parametrize("nth", [*range(1, 40, 2), *range(40, 80, 6)])
async def test_a_cancelled_await_leaves_one_payment(
    world: World, monkeypatch: pytest.MonkeyPatch, nth: int
):
    cancels = Cancels(monkeypatch, world, nth)
    await tell(world)
    assert cancels.happened or nth > 40


async def test_no_transition_comes_from_a_thread_where_a_cancelled_task_would_drop_it(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    results: list[object] = []
    to_thread = asyncio.to_thread

    async def noted(*arguments: Any, **named: Any) -> Any:
        results.append(await to_thread(*arguments, **named))
        return results[-1]

    monkeypatch.setattr(asyncio, "to_thread", noted)
    await tell(world)
    assert results
    assert not [each for each in results if isinstance(each, Transition)]
