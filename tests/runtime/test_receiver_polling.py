"""A receiver at its mailbox looks at the chain no more often than it has to."""

import asyncio
from collections.abc import Callable

import pytest
from tests.support.world import World

from dovetail.bitcoin import FeeRate, Sats, Script
from dovetail.runtime.live_session import LiveReceiver
from dovetail.sessions import outcomes, receiver
from dovetail.wallets.ports import Payment

FOR_EVER = 3_600.0


@pytest.fixture(autouse=True)
def looks(pair: World, monkeypatch: pytest.MonkeyPatch) -> list[Script]:
    """The scripts that the receiver's chain source was asked for, one look each."""
    asked: list[Script] = []
    payments_to = pair.bob.chain.payments_to

    def look(script: Script) -> tuple[Payment, ...]:
        asked.append(script)
        return payments_to(script)

    monkeypatch.setattr(pair.bob.chain, "payments_to", look)
    return asked


async def soon(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.005)


def pay(pair: World, live: LiveReceiver) -> None:
    assert isinstance(live.state, receiver.Initialized)
    script = live.state.address.script_pubkey
    psbt = pair.alice.wallet.pay(script, Sats(50_000), fee_rate=FeeRate(1))
    pair.node.send(psbt.finalize().extract())


async def test_a_poll_that_finds_nothing_costs_no_look(pair: World, looks: list[Script]):
    async with pair.agent(pair.bob, watch_interval=FOR_EVER) as bob:
        await bob.receive(50_000)
        await soon(lambda: len(pair.wire.sent) >= 20)
    assert len(looks) == 2  # whether its address is fresh, and the first


async def test_after_a_poll_that_failed_there_is_a_look(pair: World, looks: list[Script]):
    async with pair.agent(pair.bob, watch_interval=FOR_EVER) as bob:
        live = await bob.receive(50_000)
        await soon(lambda: len(pair.wire.sent) >= 3)
        before = len(looks)
        pair.wire.lose_answer = 4
        await soon(lambda: pair.wire.lose_answer == 0 and live.trouble is None)
    assert len(looks) == before + 4


async def test_the_session_that_is_paid_is_told_and_no_other(pair: World, looks: list[Script]):
    """And its end rests on a look of its own (M4)."""
    pair.wire.delay = FOR_EVER
    async with pair.agent(pair.bob) as bob:
        lives = [await bob.receive(50_000) for _ in range(5)]
        await soon(lambda: len(pair.wire.sent) == 5)
        pay(pair, lives[2])
        await soon(lambda: lives[2].sighting is not None)
        pair.node.mine()
        assert isinstance(await lives[2].wait_closed(), outcomes.PaidDirectly)
        assert len(pair.wire.sent) == 5  # no other poll was given up
        assert {live.sighting for live in lives if live is not lives[2]} == {None}
    assert looks


async def test_a_mailbox_that_answers_at_once_keeps_no_payment_out_of_sight(
    pair: World, looks: list[Script]
):
    """As one does that holds a payment which was refused."""
    async with pair.agent(pair.bob, watch_interval=0.3) as bob:
        live = await bob.receive(50_000)
        await soon(lambda: len(pair.wire.sent) >= 5)
        pay(pair, live)
        pair.node.mine()
        async with asyncio.timeout(20):
            assert isinstance(await live.wait_closed(), outcomes.PaidDirectly)
    assert looks


async def test_a_look_that_could_not_be_is_made_up_for(pair: World, looks: list[Script]):
    async with pair.agent(pair.bob) as bob:
        live = await bob.receive(50_000)
        pair.wire.delay = 0.05
        await soon(lambda: len(pair.wire.sent) >= 3)
        pair.bob.chain.away = True
        await soon(lambda: live.trouble is not None)  # the next step looks, and says so
        pay(pair, live)
        pair.bob.chain.away = False
        await soon(lambda: live.sighting is not None)
        pair.node.mine()
        assert isinstance(await live.wait_closed(), outcomes.PaidDirectly)
    assert looks
