"""What is noticed while a session waits: each poll here lasts longer than any test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tests.support.world import World, until

from dovetail import Agent
from dovetail.bitcoin import FeeRate, Sats, Script, Transaction
from dovetail.errors import StoreUnavailable
from dovetail.protocol.requests import Request
from dovetail.runtime import decisions
from dovetail.runtime.live_session import LiveReceiver, LiveSender
from dovetail.runtime.transport import Reply
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.sightings import Sighting, SpendKind
from dovetail.stores.ports import Store
from dovetail.wallets.ports import Payment

FOR_EVER = 3600.0
SLOW: dict[str, Any] = {
    "poll_pause": FOR_EVER,
    "watch_interval": FOR_EVER,
    "longest_retry": FOR_EVER,
}
Live = LiveReceiver | LiveSender


@pytest.fixture(autouse=True)
async def _soon() -> AsyncIterator[None]:
    async with asyncio.timeout(20):
        yield


async def soon(found: Callable[[], bool]) -> None:
    while not found():  # noqa: ASYNC110 - what is waited for is in another process, or nearly
        await asyncio.sleep(0.001)


async def waiting(world: World, requests: int) -> None:
    """Until so many requests have left; then each is under way."""
    await soon(lambda: len(world.wire.sent) >= requests)


async def test_a_receiver_at_its_mailbox_hears_of_a_cancel(pair: World):
    pair.wire.delay = FOR_EVER
    async with pair.agent(pair.bob, **SLOW) as bob:
        live = await bob.receive(50_000)
        await waiting(pair, 1)
        async with pair.agent(pair.bob, resume=False) as other:
            await decisions.cancel(other.services, live.session_id)
        assert isinstance(await live.wait_closed(), outcomes.Cancelled)


async def test_a_receiver_at_its_own_server_hears_of_a_cancel(pair: World):
    async with pair.agent(pair.bob, **SLOW) as bob:
        live = await bob.receive(50_000, endpoint="https://shop.example/pj")
        async for update in live.updates():
            if update.rested:
                break
        async with pair.agent(pair.bob, resume=False) as other:
            await decisions.cancel(other.services, live.session_id)
        assert isinstance(await live.wait_closed(), outcomes.Cancelled)


async def begun(pair: World, alice: Agent, *, posted: bool) -> LiveSender:
    async with pair.agent(pair.bob, resume=False) as bob:
        uri = (await bob.receive(50_000)).uri
    pair.wire.delay = 0.0 if posted else FOR_EVER
    before = len(pair.wire.sent)
    live = await alice.send(uri)
    if posted:
        await until(live, sender.PollingForProposal)
        pair.wire.delay = FOR_EVER
        live.nudge()
        before = len(pair.wire.sent)
    await waiting(pair, before + 1)
    return live


@pytest.mark.parametrize("posted", [False, True])
async def test_a_sender_hears_of_a_cancel_while_it_posts_and_while_it_polls(
    pair: World, *, posted: bool
):
    async with pair.agent(pair.alice, watch_interval=FOR_EVER) as alice:
        live = await begun(pair, alice, posted=posted)
        async with pair.agent(pair.alice, resume=False) as other:
            await decisions.cancel(other.services, live.session_id)
        assert isinstance(await until(live, sender.PendingFallback), sender.PendingFallback)


async def test_a_sender_at_a_server_hears_of_a_cancel(pair: World):
    async def silent(_request: Request) -> Reply:
        await asyncio.sleep(FOR_EVER)
        raise AssertionError

    pair.wire.v1 = silent
    async with pair.agent(pair.bob, resume=False) as bob:
        uri = (await bob.receive(50_000, endpoint="https://shop.example/pj")).uri
    async with pair.agent(pair.alice, **SLOW) as alice:
        live = await alice.send(uri)
        await waiting(pair, 1)
        async with pair.agent(pair.alice, resume=False) as other:
            await decisions.cancel(other.services, live.session_id)
        await until(live, sender.PendingFallback)


@pytest.mark.parametrize("decide", [decisions.fallback, decisions.release])
async def test_who_waits_for_a_word_hears_it_from_elsewhere(
    pair: World, decide: Callable[..., Awaitable[object]]
):
    async with pair.agent(pair.alice, watch_interval=FOR_EVER) as alice:
        live = await begun(pair, alice, posted=True)
        async with pair.agent(pair.alice, resume=False) as other:
            await decisions.cancel(other.services, live.session_id)
            await until(live, sender.PendingFallback)
            await decide(other.services, live.session_id)
        await until(live, sender.Monitor)


async def test_who_watches_the_chain_hears_of_a_word_from_elsewhere(pair: World):
    async with pair.agent(pair.bob) as bob, pair.agent(pair.alice, resume=False):
        live = await bob.receive(50_000)
        async with pair.agent(pair.alice) as alice:
            paying = await alice.send(live.uri)
            pair.alice.wallet.cannot_sign = True
            pair.alice.chain.refuses = lambda _tx: True  # nor is her fallback there before his
            await until(live, receiver.Monitor)
            await paying.stop()
        await live.stop()
    async with pair.agent(pair.bob, **SLOW) as bob:
        (resumed,) = bob.sessions
        async for update in resumed.updates():
            if update.rested:
                break
        async with pair.agent(pair.bob, resume=False) as other:
            await decisions.fallback(other.services, live.session_id)
        async for update in resumed.updates():
            if isinstance(update.state, receiver.Monitor) and update.state.fallback_broadcast:
                break


def pay(world: World, live: LiveReceiver) -> Transaction:
    """Alice's wallet pays the address and ignores that it is a payjoin's."""
    assert isinstance(live.state, receiver.Initialized)
    script = live.state.address.script_pubkey
    psbt = world.alice.wallet.pay(script, Sats(50_000), fee_rate=FeeRate(1))
    transaction = psbt.finalize().extract()
    world.node.send(transaction)
    return transaction


async def sighting(live: Live, depth: int) -> Sighting:
    async with asyncio.timeout(20):
        async for update in live.updates():
            if update.sighting is not None and update.sighting.depth >= depth:
                return update.sighting
    raise AssertionError("it ended unseen")


async def test_a_payment_to_the_address_is_told_while_the_mailbox_is_asked(pair: World):
    pair.wire.delay = FOR_EVER
    async with pair.agent(pair.bob) as bob:
        live = await bob.receive(50_000)
        await waiting(pair, 1)
        paid = pay(pair, live)
        seen = await sighting(live, 0)
        assert (seen.kind, seen.txid, seen.depth) == (SpendKind.DIRECT, paid.txid, 0)
        assert isinstance(live.state, receiver.Initialized)
        assert len(pair.wire.sent) == 1, "the poll goes on: an Original may still come"
        pair.node.mine()
        assert isinstance(await live.wait_closed(), outcomes.PaidDirectly)


async def test_a_sighting_is_there_for_who_did_not_see_it(pair: World):
    pair.wire.delay = FOR_EVER
    async with pair.agent(pair.bob) as bob:
        live = await bob.receive(50_000)
        pay(pair, live)
        seen = await sighting(live, 0)
        async with pair.agent(pair.bob, resume=False) as other:
            store = other.services.store
            await soon(lambda: store.row(live.session_id).sighting == seen)
    async with pair.agent(pair.bob, watch_interval=FOR_EVER) as bob:
        (resumed,) = bob.sessions
        await until(resumed, receiver.Initialized)
        assert resumed.sighting == seen
        assert bob.services.store.row(resumed.session_id).seen_at is not None


async def test_a_sighting_that_cannot_be_kept_is_told_all_the_same(
    pair: World, monkeypatch: pytest.MonkeyPatch
):
    def full(_store: Store, _session: int, _seen: Sighting) -> None:
        raise StoreUnavailable("The disk is full.")

    pair.wire.delay = FOR_EVER
    async with pair.agent(pair.bob) as bob:
        monkeypatch.setattr(type(bob.services.store), "saw", full)
        live = await bob.receive(50_000)
        pay(pair, live)
        await sighting(live, 0)
        pair.node.mine()
        assert isinstance(await live.wait_closed(), outcomes.PaidDirectly)


@pytest.mark.parametrize("posted", [False, True])
async def test_a_waiting_sender_hears_of_its_own_payment(pair: World, *, posted: bool):
    async with pair.agent(pair.alice) as alice:
        live = await begun(pair, alice, posted=posted)
        assert live.state is not None
        fallback = live.state.fallback_transaction
        pair.node.send(fallback)
        seen = await sighting(live, 0)
        assert (seen.kind, seen.txid) == (SpendKind.FALLBACK, fallback.txid)
        await until(live, sender.Monitor)
        pair.node.mine()
        assert isinstance(await live.wait_closed(), outcomes.FallbackBroadcasted)


async def test_the_chain_may_be_away_while_the_mailbox_is_asked(
    pair: World, monkeypatch: pytest.MonkeyPatch
):
    looks: list[bool] = []
    payments_to = pair.bob.chain.payments_to

    def look(script: Script) -> tuple[Payment, ...]:
        looks.append(pair.bob.chain.away)
        return payments_to(script)

    monkeypatch.setattr(pair.bob.chain, "payments_to", look)
    pair.wire.delay = FOR_EVER
    async with pair.agent(pair.bob) as bob:
        live = await bob.receive(50_000)
        await waiting(pair, 1)
        pair.bob.chain.away = True
        await soon(lambda: sum(looks) >= 3)
        pair.bob.chain.away = False
        assert live.trouble is None
        assert len(pair.wire.sent) == 1
        pay(pair, live)
        await sighting(live, 0)


async def test_a_poll_that_is_given_up_loses_no_message(pair: World):
    """P1 is held by the fixture: no ciphertext leaves twice."""
    pair.wire.delay = FOR_EVER
    async with pair.agent(pair.bob) as bob, pair.agent(pair.alice) as alice:
        live = await bob.receive(50_000)
        await waiting(pair, 1)
        pair.wire.delay = 0.0
        paying = await alice.send(live.uri)
        await until(paying, sender.PollingForProposal)
        live.nudge()
        await until(live, receiver.Monitor)
        await until(paying, sender.Monitor)
        pair.node.mine()
        assert isinstance(await live.wait_closed(), outcomes.Success)
