"""A receiver whose session had ended hears of what came to its address all the same."""

import pytest
from tests.support.world import World

from dovetail import Agent, PayjoinUri, Sats
from dovetail.bitcoin import Script
from dovetail.errors import ChainError
from dovetail.runtime.decisions import cancel
from dovetail.runtime.late_payments import LOOKED_BACK, look_back
from dovetail.sessions.sightings import SpendKind
from dovetail.stores.ports import SessionId

AMOUNT = 50_000


async def cancelled(agent: Agent, amount: int | None = AMOUNT) -> tuple[SessionId, Script]:
    session = await agent.receive(amount)
    script = PayjoinUri.parse(session.uri).address.script_pubkey
    await session.stop()
    await cancel(agent.services, session.session_id)
    return session.session_id, script


async def test_a_payment_after_the_cancellation_is_told_and_kept(world: World):
    async with world.agent(world.bob) as bob:
        number, script = await cancelled(bob)
        assert await look_back(bob.services) == ()
        paid = world.node.fund(script, Sats(AMOUNT))
        (late,) = await look_back(bob.services)
        assert (late.session_id, late.received, late.asked) == (number, AMOUNT, AMOUNT)
        assert f"Session {number} had ended, and 50,000 of 50,000 sats came" in late.words
        kept = bob.services.store.row(number).sighting
        assert kept == late.sighting
        assert kept is not None
        assert (kept.kind, kept.txid) == (SpendKind.DIRECT, paid.txid)
        assert kept.depth >= kept.wanted
        assert await look_back(bob.services) == (), "it is final, and was said"


async def test_what_came_in_part_is_no_more_than_it_is(world: World):
    async with world.agent(world.bob) as bob:
        _, script = await cancelled(bob)
        world.node.fund(script, Sats(20_000))
        (late,) = await look_back(bob.services)
        assert "20,000 of 50,000 sats" in late.words


async def test_without_an_amount_any_payment_is_told(world: World):
    async with world.agent(world.bob) as bob:
        _, script = await cancelled(bob, None)
        world.node.fund(script, Sats(7_000))
        (late,) = await look_back(bob.services)
        assert "and 7,000 sats came" in late.words


async def test_what_had_come_before_the_end_is_not_told_again(world: World):
    async with world.agent(world.bob) as bob:
        session = await bob.receive(AMOUNT)
        script = PayjoinUri.parse(session.uri).address.script_pubkey
        await session.stop()
        world.node.fund(script, Sats(20_000))
        await cancel(bob.services, session.session_id)
        assert await look_back(bob.services) == ()


async def test_an_open_session_and_one_long_ended_are_not_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    async with world.agent(world.bob) as bob:
        await cancelled(bob)
        await bob.receive(AMOUNT, lifetime=10 * LOOKED_BACK)
        world.clock.pass_by(LOOKED_BACK + 86_401)
        monkeypatch.setattr(type(world.bob.chain), "payments_to", None)
        assert await look_back(bob.services) == ()


async def test_a_chain_that_is_away_is_told(world: World, monkeypatch: pytest.MonkeyPatch):
    def away(_chain: object, _script: Script) -> None:
        raise ChainError("away")

    async with world.agent(world.bob) as bob:
        await cancelled(bob)
        monkeypatch.setattr(type(world.bob.chain), "payments_to", away)
        with pytest.raises(ChainError):
            await look_back(bob.services)
