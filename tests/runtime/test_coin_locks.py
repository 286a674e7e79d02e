"""The wallet is told which coins sessions hold, whenever that changes (P3)."""

import asyncio
import logging

import pytest
from tests.support.world import World

from dovetail.errors import ChainError
from dovetail.runtime import decisions
from dovetail.runtime.coin_locks import hold_coins
from dovetail.sessions import sender

AMOUNT = 50_000


@pytest.fixture
def pair(world: World) -> World:
    world.fund(world.alice, 100_000)
    world.fund(world.bob, 70_000)
    return world


async def test_a_session_holds_its_coin_until_it_is_over(pair: World) -> None:
    async with pair.agent(pair.bob) as bob, pair.agent(pair.alice) as alice:
        asked = await bob.receive(AMOUNT)
        await bob.stop()
        paying = await alice.send(asked.uri)
        async for _ in paying.updates():
            if isinstance(paying.state, sender.PollingForProposal):
                break
        assert pair.alice.wallet.held == alice.services.store.reserved() != frozenset()
        await paying.stop()
        await decisions.cancel(alice.services, paying.session_id)
        assert pair.alice.wallet.held != frozenset()
        await decisions.fallback(alice.services, paying.session_id)
        ended = alice.follow(paying.session_id)
        while ended.running:
            pair.node.mine()
            await asyncio.sleep(0.02)
        assert pair.alice.wallet.held == frozenset()


async def test_a_crash_before_the_wallet_was_told_is_made_good_when_the_agent_opens(
    pair: World,
) -> None:
    async with pair.agent(pair.alice):
        pass
    pair.alice.wallet.held = frozenset(coin.outpoint for coin in pair.alice.wallet.coins())
    async with pair.agent(pair.alice):
        assert pair.alice.wallet.held == frozenset()


async def test_a_wallet_that_is_away_stops_nothing_and_is_told_later(
    pair: World, monkeypatch, caplog
) -> None:
    caplog.set_level(logging.INFO, "dovetail")
    told = 0
    hold = pair.alice.wallet.hold

    def away(reserved) -> None:
        nonlocal told
        told += 1
        if told < 4:
            raise ChainError("The node is away.")
        hold(reserved)

    monkeypatch.setattr(pair.alice.wallet, "hold", away)
    async with pair.agent(pair.bob) as bob, pair.agent(pair.alice) as alice:
        assert not await hold_coins(alice.services)
        asked = await bob.receive(AMOUNT)
        paying = await alice.send(asked.uri)
        async for _ in paying.updates():
            if pair.alice.wallet.held:
                break
        assert pair.alice.wallet.held == alice.services.store.reserved()
    assert "could not be told which coins are held: ChainError" in caplog.text
