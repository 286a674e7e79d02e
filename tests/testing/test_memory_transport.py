"""A session of both parties in one process, as an embedder would test it."""

import asyncio
from typing import Any

import pytest
from tests.support.world import World

from dovetail import Agent, Policy, Success
from dovetail.crypto import KeyConfig
from dovetail.errors import TransportError, UsageError
from dovetail.protocol import Request
from dovetail.protocol.requests import GATEWAY_PATH
from dovetail.sessions import outcomes, sender
from dovetail.stores.memory import MemoryStore
from dovetail.testing.clock import ManualClock
from dovetail.testing.memory_transport import MemoryTransport

QUICK = Policy(
    watch_interval=0.01, poll_pause=0.01, log_interval=0.01, first_retry=0.01, longest_retry=0.02
)


def agent(world: World, name: str, wire: MemoryTransport, clock: ManualClock) -> Agent:
    party = getattr(world, name)
    parts: dict[str, Any] = {"wallet": party.wallet, "chain": party.chain, "transport": wire}
    return Agent(
        store=MemoryStore(),
        directory=wire.origin,
        relays=["https://relay.example"],
        clock=clock,
        policy=QUICK,
        **parts,
    )


async def pay(world: World, wire: MemoryTransport) -> None:
    clock = ManualClock()
    async with (
        agent(world, "bob", wire, clock) as selling,
        agent(world, "alice", wire, clock) as buying,
    ):
        asked = await selling.receive(50_000)
        paying = await buying.send(asked.uri)
        async for update in paying.updates():
            if isinstance(update.state, sender.Monitor):
                world.node.mine()
        paid, sold = await paying.wait_closed(), await asked.wait_closed()
    assert isinstance(paid, Success)
    assert isinstance(sold, Success)
    assert paid.txid == sold.txid
    assert len({*wire.sent}) == len(wire.sent)


async def test_two_agents_make_a_payjoin_without_a_socket(world: World):
    world.fund(world.alice, 200_000)
    world.fund(world.bob, 100_000)
    wire = MemoryTransport()
    await pay(world, wire)
    assert isinstance(wire.ohttp_keys, KeyConfig)


async def test_what_is_lost_on_the_way_is_asked_again(world: World):
    world.fund(world.alice, 200_000)
    world.fund(world.bob, 100_000)
    wire = MemoryTransport(hold=0.05)
    wire.lose_requests, wire.lose_answers = 2, 2
    await pay(world, wire)
    assert (wire.lose_requests, wire.lose_answers) == (0, 0)


async def test_time_passes_as_the_test_says(world: World):
    clock, wire = ManualClock(), MemoryTransport(hold=0.02)
    async with agent(world, "bob", wire, clock) as selling:
        asked = await selling.receive(50_000, lifetime=60)
        clock.advance(60 + QUICK.grace)
        async with asyncio.timeout(10):
            assert isinstance(await asked.wait_closed(), outcomes.Expired)


async def test_it_is_no_more_than_a_directory():
    wire = MemoryTransport()
    assert (await wire.get(wire.origin + GATEWAY_PATH)).status == 200
    assert (await wire.get(wire.origin + "/health")).status == 404
    with pytest.raises(TransportError, match="more than"):
        await wire.get(wire.origin + GATEWAY_PATH, limit=3)
    with pytest.raises(UsageError, match="BIP 78"):
        await wire.post(Request("https://shop.example/pj", "text/plain", b""))
