"""What a person decides, said to the agent, and an agent of parts that were brought."""

import asyncio
from typing import Any

import pytest
from tests.support.world import World, until

from dovetail import Agent, FeeRate, Policy
from dovetail.errors import ConfigurationError, SessionNotFound, StoreUnavailable, UsageError
from dovetail.sessions import outcomes, receiver, sender
from dovetail.stores import SessionId
from dovetail.stores.memory import MemoryStore

AMOUNT = 50_000
SELDOM: dict[str, Any] = {"watch_interval": 60.0, "log_interval": 60.0}


async def test_a_decision_is_carried_on_at_once_where_the_session_is_under_way(world: World):
    world.fund(world.alice, 200_000)
    async with world.agent(world.bob) as bob, world.agent(world.alice, **SELDOM) as alice:
        asked = await bob.receive(AMOUNT)
        await asked.stop()
        paying = await alice.send(asked.uri)
        await until(paying, sender.PollingForProposal)
        pending = await alice.cancel(paying.session_id)
        assert isinstance(pending, sender.PendingFallback)
        async with asyncio.timeout(10):  # and not after `log_interval`
            await until(paying, sender.PendingFallback)


async def test_the_fallback_is_broadcast_and_its_fee_raised(world: World):
    world.fund(world.alice, 200_000)
    async with world.agent(world.bob) as bob, world.agent(world.alice) as alice:
        asked = await bob.receive(AMOUNT)
        await asked.stop()
        paying = await alice.send(asked.uri)
        await until(paying, sender.PollingForProposal)
        await alice.cancel(paying.session_id)
        paid = await alice.fallback(paying.session_id)
        assert isinstance(paid, sender.Monitor)
        rate = FeeRate.from_sat_per_vb(30)
        raised = await alice.fallback(paying.session_id, fee_rate=rate)
        assert isinstance(raised, sender.Monitor)
        assert raised.fallback_transaction.txid != paid.fallback_transaction.txid
        world.node.mine()
        assert isinstance(await paying.wait_closed(), outcomes.FallbackBroadcasted)


async def test_a_released_payment_is_taken_back(world: World):
    world.fund(world.alice, 200_000)
    async with world.agent(world.bob) as bob, world.agent(world.alice) as alice:
        asked = await bob.receive(AMOUNT)
        await asked.stop()
        paying = await alice.send(asked.uri)
        await until(paying, sender.PollingForProposal)
        await alice.cancel(paying.session_id)
        assert isinstance(await alice.release(paying.session_id), sender.Monitor)
        revocation = await alice.prepare_revocation(paying.session_id)
        assert revocation.fee
        assert not revocation.replaces
        assert repr(revocation) == "<Revocation>"
        assert not world.node.in_mempool(revocation.transaction.txid)
        await alice.revoke(revocation)
        world.node.mine()
        outcome = await paying.wait_closed()
        assert outcome == outcomes.Revoked(txid=str(revocation.transaction.txid))


async def test_a_session_that_is_not_under_way_is_decided_on(world: World):
    async with world.agent(world.bob) as bob:
        asked = await bob.receive(AMOUNT)
    async with world.agent(world.bob, resume=False) as bob:
        assert isinstance(await bob.cancel(asked.session_id), receiver.Closed)
        assert bob.sessions == ()
        with pytest.raises(UsageError, match="closed"):
            await bob.release(asked.session_id)
        with pytest.raises(SessionNotFound):
            await bob.cancel(SessionId(77))


def parts(world: World, store: MemoryStore) -> dict[str, Any]:
    return {
        "store": store,
        "wallet": world.bob.wallet,
        "chain": world.bob.chain,
        "transport": world.wire,
        "directory": world.wire.directory.origin,
        "clock": world.clock,
        "policy": Policy(watch_interval=0.01, poll_pause=0.01, log_interval=0.01),
    }


async def test_an_agent_of_brought_parts_goes_on_with_its_sessions(world: World):
    store = MemoryStore()
    async with Agent(relays=world.relays, **parts(world, store)) as agent:
        asked = await agent.receive(AMOUNT)
        assert [each.session_id for each in agent.sessions] == [asked.session_id]
        assert not asked.closed
    assert not asked.running
    async with Agent(relays=world.relays, **parts(world, store)) as agent:
        (again,) = agent.sessions
        await agent.cancel(again.session_id)
        assert isinstance(await again.wait_closed(), outcomes.Cancelled)
        assert again.closed
    async with Agent(relays=world.relays, resume=False, **parts(world, store)) as agent:
        assert agent.sessions == ()


async def test_an_agent_of_brought_parts_needs_a_relay_or_a_permission_too(world: World):
    with pytest.raises(ConfigurationError, match="relay"):
        Agent(**parts(world, MemoryStore()))
    Agent(direct=True, **parts(world, MemoryStore()))


async def test_an_agent_whose_store_is_away_is_not_entered(world: World):
    class Away(MemoryStore):
        def live(self) -> Any:
            raise StoreUnavailable("away")

    agent = Agent(relays=world.relays, **parts(world, Away()))
    with pytest.raises(StoreUnavailable):
        async with agent:
            pass
    assert agent.sessions == ()
