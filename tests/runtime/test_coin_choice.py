import pytest
from tests.support.world import World

from dovetail.bitcoin import FeeRate, OutPoint, Sats
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.errors import CoinsTaken, InsufficientFunds, UsageError
from dovetail.runtime.coin_choice import unspendable
from dovetail.wallets.ports import SweepingWallet

RATE = FeeRate.from_sat_per_vb(2)


async def test_all_is_not_paid_by_one_that_cannot(world: World):
    world.fund(world.alice, 60_000)
    assert not isinstance(world.alice.wallet, SweepingWallet)
    request = BitcoinUri(world.bob.wallet.new_address())
    async with world.agent(world.alice) as agent:
        with pytest.raises(UsageError, match="name an amount"):
            await agent.prepare_plain(request, everything=True)
        with pytest.raises(UsageError, match="The URI asks for an amount"):
            await agent.prepare_plain(request, amount=Sats(5_000), everything=True)


async def test_coins_that_are_named_are_the_only_ones(world: World):
    world.fund(world.alice, 60_000, 40_000, 20_000)
    async with world.agent(world.alice) as agent:
        services = agent.services
        first, second, third = (coin.outpoint for coin in services.wallet.coins())
        assert unspendable(services, ()) == frozenset()
        assert unspendable(services, [first]) == {second, third}
        with pytest.raises(UsageError, match="no confirmed coin"):
            unspendable(services, [OutPoint.parse(f"{'ab' * 32}:0"), first])
        request = BitcoinUri(world.bob.wallet.new_address())
        payment = await agent.prepare_plain(
            request, amount=Sats(10_000), fee_rate=RATE, coins=[first]
        )
        await agent.start_plain(payment)
        assert unspendable(services, [second]) == {first, third}
        with pytest.raises(CoinsTaken, match="Session 1 holds the coin"):
            unspendable(services, [first, second])


async def test_too_few_coins_name_the_sessions_that_hold_the_others(world: World):
    world.fund(world.alice, 60_000, 40_000)
    async with world.agent(world.alice) as agent:
        request = BitcoinUri(world.bob.wallet.new_address())
        with pytest.raises(InsufficientFunds) as caught:
            await agent.prepare_plain(request, amount=Sats(200_000), fee_rate=RATE)
        assert "reserved" not in str(caught.value)
        live = await agent.receive(50_000)
        held = [coin.outpoint for coin in agent.services.wallet.coins()]
        agent.services.store.reserve(live.session_id, held)
        with pytest.raises(InsufficientFunds, match="100,000 sats more are reserved by session 1"):
            await agent.prepare_plain(request, amount=Sats(50_000), fee_rate=RATE)
