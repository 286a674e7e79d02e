import asyncio

from tests.runtime.world import World, until

from dovetail import Success
from dovetail.sessions import receiver, sender


async def test_a_payment_between_two_agents_is_a_payjoin(world: World):
    world.fund(world.alice, 100_000)
    world.fund(world.bob, 70_000)
    async with world.agent(world.bob) as bob, world.agent(world.alice) as alice:
        receiving = await bob.receive(50_000, label="coffee")
        sending = await alice.send(receiving.uri)
        await until(sending, sender.Monitor)
        await until(receiving, receiver.Monitor)
        world.node.mine()
        paid, got = await asyncio.gather(sending.closed(), receiving.closed())
    assert isinstance(paid, Success)
    assert isinstance(got, Success)
    assert paid.txid == got.txid
