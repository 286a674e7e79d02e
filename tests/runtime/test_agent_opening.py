import asyncio
from pathlib import Path

import pytest
from tests.support.clock import NOW
from tests.support.world import World

from dovetail import (
    Agent,
    PayjoinUri,
)
from dovetail.errors import (
    ConfigurationError,
    InvalidUri,
    TransportError,
    UsageError,
)
from dovetail.protocol.uri import V1Endpoint
from dovetail.runtime.agent import now
from dovetail.runtime.transport import HttpTransport
from dovetail.sessions import receiver
from dovetail.tor import SocksProxy

AMOUNT = 50_000


# opening


async def test_a_folder_is_made_for_its_owner_alone(world: World):
    async with world.agent(world.bob):
        pass
    assert world.bob.folder.stat().st_mode & 0o777 == 0o700


async def test_a_folder_that_cannot_be_made_is_named_as_the_trouble(world: World, tmp_path: Path):
    (tmp_path / "file").touch()
    world.bob.folder = tmp_path / "file" / "folder"
    with pytest.raises(ConfigurationError, match="data directory"):
        async with world.agent(world.bob):
            pass


async def test_a_transport_is_closed_by_who_opened_it(world: World):
    mine = HttpTransport()
    async with Agent.open(
        world.bob.folder,
        wallet=world.bob.wallet,
        chain=world.bob.chain,
        relays=["https://relay.example"],
        transport=mine,
    ):
        pass
    assert not mine.closed
    await mine.aclose()
    async with Agent.open(
        world.bob.folder, wallet=world.bob.wallet, chain=world.bob.chain, direct=True
    ) as agent:
        own = agent.services.transport
    assert isinstance(own, HttpTransport)
    assert own.closed


async def test_without_a_relay_or_leave_to_go_direct_nothing_opens(world: World):
    world.relays = ()
    with pytest.raises(ConfigurationError, match="relay"):
        async with world.agent(world.bob):
            pass


def test_the_systems_clock_counts_whole_seconds():
    assert now() > NOW - 1_000_000_000
    assert isinstance(now(), int)


async def test_an_onion_address_without_tor_is_refused_before_anything_is_signed(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    world.fund(world.alice, 100_000)
    onion = f"bitcoin:{world.bob.wallet.new_address()}?amount=0.0005&pj=http://{'v' * 56}.onion/pj"
    monkeypatch.setattr(world.alice.wallet, "pay", None)  # no wallet is asked
    for tor, error, words in (
        (None, ConfigurationError, "Set `tor`"),
        (SocksProxy("127.0.0.1", 1), TransportError, "start Tor, or correct `tor`"),
    ):
        async with Agent.open(
            world.alice.folder,
            wallet=world.alice.wallet,
            chain=world.alice.chain,
            direct=True,
            tor=tor,
        ) as agent:
            with pytest.raises(error, match=words):
                await agent.send(onion)
            assert agent.sessions == ()


# BIP 78 endpoints


async def test_each_session_at_an_endpoint_has_a_url_of_its_own(world: World):
    async with world.agent(world.bob) as agent:
        urls = set()
        for _ in range(3):
            session = await agent.receive(50_000, endpoint="https://shop.example/pj/")
            uri = PayjoinUri.parse(session.uri)
            assert isinstance(uri.endpoint, V1Endpoint)
            assert uri.endpoint.url.startswith("https://shop.example/pj/")
            assert uri.output_substitution
            urls.add(uri.endpoint.url)
        assert len(urls) == 3


async def test_an_endpoint_is_on_https_and_has_no_query(world: World):
    async with world.agent(world.bob) as agent:
        with pytest.raises(InvalidUri):
            await agent.receive(50_000, endpoint="http://shop.example/pj")
        for url in ("https://shop.example/?a", "https://shop.example/#a"):
            with pytest.raises(UsageError, match="no query"):
                await agent.receive(50_000, endpoint=url)
        assert agent.sessions == ()


async def test_a_nudge_ends_the_wait_for_the_next_look(world: World):
    async with world.agent(world.bob, watch_interval=60.0) as agent:
        session = await agent.receive(50_000, endpoint="https://shop.example/pj")
        async for update in session.updates():
            if update.rested:
                break
        log = agent.services.store.receiver(session.session_id)
        state = receiver.replay(log.load())
        assert isinstance(state, receiver.Initialized)
        state.cancel().save(log)
        session.nudge()
        async with asyncio.timeout(10):
            await session.wait_closed()
