"""A fallback whose fee is too low is told, and told again only after a while."""

import pytest
from tests.support.stepping import Sending, Side
from tests.support.world import World

from dovetail.bitcoin import FeeRate
from dovetail.errors import ChainError
from dovetail.explain.chain import low_fee_words
from dovetail.runtime.chain_watch import ChainWatch, LowFee
from dovetail.runtime.fees import AGAIN_AFTER, estimated_rate, low_fee, tell_fee
from dovetail.runtime.turn import Turn
from dovetail.sessions import receiver, sender


async def waiting(world: World, alice: Side, bob: Side) -> tuple[Sending, sender.Monitor]:
    sending = await alice.send(bob.receive(lifetime=60).uri)
    world.clock.pass_by(60)
    return sending, await sending.to(sender.Monitor)


def ask(monkeypatch: pytest.MonkeyPatch, side: Side, rate: float | None) -> list[int]:
    asked: list[int] = []

    def fee_rate(*, target: int) -> FeeRate:
        asked.append(target)
        if rate is None:
            raise ChainError("away")
        return FeeRate.from_sat_per_vb(rate)

    monkeypatch.setattr(side.party.chain, "fee_rate", fee_rate)
    return asked


async def test_a_fee_below_what_is_asked_for_is_low(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    sending, monitor = await waiting(world, alice, bob)
    assert await low_fee(monitor, sending.services) is None
    ask(monkeypatch, alice, 40)
    found = await low_fee(monitor, sending.services)
    assert found is not None
    assert found.paid < found.asked == FeeRate.from_sat_per_vb(40)
    assert "40 sat/vB is the going rate" in low_fee_words(found)
    ask(monkeypatch, alice, None)
    assert await low_fee(monitor, sending.services) is None, "nobody can tell"


async def test_fees_are_looked_at_now_and_then(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    sending, monitor = await waiting(world, alice, bob)
    asked = ask(monkeypatch, alice, 40)
    watch = ChainWatch()
    for _ in range(3):
        await tell_fee(monitor, Turn(sending.log, sending.services, watch=watch))
    assert len(asked) == 1
    assert isinstance(watch.low_fee, LowFee)
    world.clock.pass_by(AGAIN_AFTER)
    ask(monkeypatch, alice, 1)
    await tell_fee(monitor, Turn(sending.log, sending.services, watch=watch))
    assert watch.low_fee is None


async def test_steps_of_both_roles_tell_it(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    for side in (alice, bob):
        ask(monkeypatch, side, 40)
    receiving = bob.receive()
    sending = await alice.send(receiving.uri)
    await sending.to(sender.PollingForProposal)
    monitor = await receiving.to(receiver.Monitor)
    receiving.state = monitor.request_fallback().save(receiving.log)
    watch = ChainWatch()
    await receiving.to(receiver.Monitor, watch=watch)
    assert watch.low_fee is not None
    watch = ChainWatch()
    await receiving.step(watch=watch)
    assert watch.low_fee is not None
    world.node.mine()
    watch = ChainWatch()
    await receiving.step(watch=watch)
    assert watch.low_fee is None, "it was enough"
    watch = ChainWatch()
    await sending.to(sender.ProposalReceived)
    sending.state = sending.reload()
    await sending.to(sender.Closed, watch=watch)
    assert watch.sighting is not None


async def test_an_estimate_beyond_all_measure_is_not_paid(
    alice: Side, monkeypatch: pytest.MonkeyPatch
):
    services = alice.services()
    ask(monkeypatch, alice, 2_000)
    assert estimated_rate(services) == FeeRate.from_sat_per_vb(2_000)
    ask(monkeypatch, alice, 2_001)
    with pytest.raises(ChainError, match="far too high"):
        estimated_rate(services)
