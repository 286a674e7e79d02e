"""An agent pays an address once by whichever of its ways, unless told `again` (ADR 0023)."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from tests.support.world import World

from dovetail.bitcoin import Address, FeeRate, Sats
from dovetail.bitcoin.uri import BitcoinUri
from dovetail.errors import DuplicateSession
from dovetail.protocol.uri import PayjoinUri, V1Endpoint
from dovetail.runtime.agent import Agent
from dovetail.runtime.live_session import LiveSender

AMOUNT = Sats(20_000)
RATE = FeeRate.from_sat_per_vb("2")

Way: TypeAlias = Callable[..., Awaitable[Callable[[], Awaitable[LiveSender]]]]


def link(address: Address, path: str) -> PayjoinUri:
    return PayjoinUri(address, AMOUNT, V1Endpoint(f"https://shop.example/{path}"))


def payjoin(path: str) -> Way:
    async def prepared(
        agent: Agent, address: Address, **words: Any
    ) -> Callable[[], Awaitable[LiveSender]]:
        payment = await agent.prepare(link(address, path), fee_rate=RATE, **words)
        return lambda: agent.start(payment)

    return prepared


def plainly(*, invoice: Sats | None = None, amount: Sats | None = None) -> Way:
    async def prepared(
        agent: Agent, address: Address, **words: Any
    ) -> Callable[[], Awaitable[LiveSender]]:
        request = BitcoinUri(address, invoice, "Shop")
        payment = await agent.prepare_plain(request, amount=amount, fee_rate=RATE, **words)
        return lambda: agent.start_plain(payment)

    return prepared


FIRST = {"a link": payjoin("first"), "an address": plainly(amount=AMOUNT)}
SECOND = {
    "another link": payjoin("second"),
    "the address": plainly(amount=AMOUNT),
    "a link without its payjoin": plainly(invoice=AMOUNT),
}


@pytest.fixture(params=FIRST)
def first(request: pytest.FixtureRequest) -> Way:
    return FIRST[request.param]


@pytest.fixture(params=SECOND)
def second(request: pytest.FixtureRequest) -> Way:
    return SECOND[request.param]


@pytest.fixture
def address(world: World) -> Address:
    return world.bob.wallet.new_address()


async def test_a_second_payment_is_not_even_built(
    world: World, address: Address, first: Way, second: Way
):
    world.fund(world.alice, 100_000, 100_000)
    async with world.agent(world.alice) as agent:
        await (await first(agent, address))()
        with pytest.raises(DuplicateSession, match=r"Session 1 pays this address.*`again`"):
            await second(agent, address)


async def test_of_two_that_were_built_side_by_side_one_is_begun(
    world: World, address: Address, first: Way, second: Way
):
    """What looked before the other began is refused by the write that would begin it."""
    world.fund(world.alice, 100_000, 100_000)
    async with world.agent(world.alice) as agent:
        begin = await first(agent, address), await second(agent, address)
        live = await begin[0]()
        with pytest.raises(DuplicateSession, match="`again`"):
            await begin[1]()
        assert agent.sessions == (live,)
        assert [row.session_id for row in agent.services.store.history()] == [live.session_id]


async def test_the_word_again_begins_a_second_payment(
    world: World, address: Address, first: Way, second: Way
):
    world.fund(world.alice, 100_000, 100_000)
    async with world.agent(world.alice) as agent:
        await (await first(agent, address))()
        await (await second(agent, address, again=True))()
        assert len(agent.services.store.history()) == 2


async def test_send_takes_the_word_too(world: World, address: Address):
    world.fund(world.alice, 100_000, 100_000)
    async with world.agent(world.alice) as agent:
        await agent.send(link(address, "first"), fee_rate=RATE)
        with pytest.raises(DuplicateSession, match="`again`"):
            await agent.send(link(address, "second"), fee_rate=RATE)
        await agent.send(link(address, "second"), fee_rate=RATE, again=True)
        assert len(agent.services.store.history()) == 2


async def test_the_very_same_link_is_not_paid_again_by_any_word(world: World, address: Address):
    """Its mailbox holds one message; the address can be paid without a payjoin."""
    world.fund(world.alice, 100_000, 100_000)
    async with world.agent(world.alice) as agent:
        await agent.send(link(address, "first"), fee_rate=RATE)
        with pytest.raises(DuplicateSession, match="ask the receiver for a new URI"):
            await agent.send(link(address, "first"), fee_rate=RATE, again=True)


@pytest.mark.parametrize("way", ["another link", "a link without its payjoin"])
async def test_an_invoice_that_the_chain_shows_as_paid_is_not_built(
    world: World, address: Address, way: str
):
    world.fund(world.alice, 100_000)
    world.node.fund(address.script_pubkey, AMOUNT)
    async with world.agent(world.alice) as agent:
        with pytest.raises(DuplicateSession, match="was paid that amount already"):
            await SECOND[way](agent, address)
        await (await SECOND[way](agent, address, again=True))()
