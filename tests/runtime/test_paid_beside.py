"""A receiver that was paid twice hears how much came in all, by what, and what to do."""

import pytest
from tests.runtime.test_paid_once import at, pay_directly
from tests.support.stepping import AMOUNT, Side, double_spend, paid_into
from tests.support.world import World

from dovetail.bitcoin import Sats, Txid
from dovetail.explain.chain import describe_sighting
from dovetail.explain.session import explain
from dovetail.runtime import decisions
from dovetail.runtime.chain_watch import ChainWatch
from dovetail.runtime.late_payments import look_back
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.overpayment import surplus_seen
from dovetail.sessions.sightings import SpendKind

TWICE = 2 * AMOUNT


async def test_a_payjoin_and_a_direct_payment_are_told_at_once_and_at_the_end(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive(depth=2)
    sending = await alice.send(receiving.uri)
    await sending.to(sender.PollingForProposal)
    await receiving.to(receiver.Monitor)
    payjoin = (await sending.to(sender.Monitor)).expected
    script = receiving.uri.address.script_pubkey
    direct = world.node.fund(script, AMOUNT, confirmations=0)
    watch = ChainWatch()
    await receiving.step(watch=watch)
    seen = watch.sighting
    assert seen is not None
    assert (seen.kind, seen.txid, seen.came, seen.asked) == (
        SpendKind.PAYJOIN,
        payjoin,
        TWICE,
        AMOUNT,
    )
    assert describe_sighting(seen).endswith(
        "100,000 sats have come to the address in all, 50,000 more than was asked for: also by"
        f" {direct.txid}."
    )
    told = explain(receiving.state, world.clock(), seen=seen).surplus
    assert told is not None
    assert (told.received, told.too_much, told.txids) == (TWICE, AMOUNT, (str(direct.txid),))
    world.node.mine(2)
    closed = await receiving.to(receiver.Closed, watch=watch)
    assert isinstance(closed.outcome, outcomes.Success)
    assert (closed.outcome.txid, closed.outcome.beside) == (str(payjoin), AMOUNT)
    assert closed.outcome.others == (str(direct.txid),)
    ended = explain(closed, world.clock())
    assert ended.paid
    assert ended.surplus == told
    assert ended.advice.startswith("Give 50,000 sats back to whoever paid too much")
    assert explain(receiver.replay(receiving.log.load()), world.clock()).surplus == told


async def test_a_fallback_and_a_direct_payment_are_both_in_the_outcome(
    world: World, alice: Side, bob: Side
):
    receiving = await at(world, alice, bob, receiver.WantsInputs)
    await decisions.cancel(receiving.services, receiving.session_id)
    await decisions.fallback(receiving.services, receiving.session_id)
    receiving.reload()
    await receiving.to(receiver.Monitor)
    (direct,) = pay_directly(world, receiving, 20_000)
    closed = await receiving.to(receiver.Closed)
    assert isinstance(closed.outcome, outcomes.FallbackBroadcasted)
    assert (closed.outcome.beside, closed.outcome.others) == (20_000, (direct,))
    told = explain(closed, world.clock()).surplus
    assert told is not None
    assert (told.received, told.too_much) == (70_000, 20_000)


async def test_two_direct_payments_are_one_too_many(world: World, alice: Side, bob: Side):
    receiving = bob.receive()
    txids = pay_directly(world, receiving, AMOUNT, AMOUNT)
    closed = await receiving.to(receiver.Closed)
    outcome = closed.outcome
    assert isinstance(outcome, outcomes.PaidDirectly)
    assert {outcome.txid, *outcome.beyond} == set(txids)
    told = explain(closed, world.clock()).surplus
    assert told is not None
    assert (told.received, told.too_much, told.txids) == (TWICE, AMOUNT, outcome.beyond)


async def test_one_direct_payment_of_more_names_itself(world: World, bob: Side):
    receiving = bob.receive()
    txids = pay_directly(world, receiving, 60_000)
    watch = ChainWatch()
    closed = await receiving.to(receiver.Closed, watch=watch)
    told = explain(closed, world.clock()).surplus
    assert told is not None
    assert (told.too_much, told.txids) == (10_000, tuple(txids))
    assert surplus_seen(watch.sighting) == told


async def test_what_is_asked_for_is_no_surplus(world: World, bob: Side):
    receiving = bob.receive()
    pay_directly(world, receiving, 20_000, 30_000)
    assert explain(await receiving.to(receiver.Closed), world.clock()).surplus is None


async def test_without_an_amount_nothing_is_too_much(world: World, bob: Side):
    receiving = bob.receive(amount=None)
    txids = pay_directly(world, receiving, 7_000, 3_000)
    told = explain(await receiving.to(receiver.Closed), world.clock()).surplus
    assert told is not None
    assert (told.received, told.too_much, told.advice) == (10_000, None, None)
    assert told.txids == (txids[1],)


async def test_parts_are_told_as_they_come(world: World, bob: Side):
    receiving, watch = bob.receive(depth=1), ChainWatch()
    script = receiving.uri.address.script_pubkey

    async def told() -> str:
        await receiving.step(watch=watch)
        assert watch.sighting is not None
        assert not watch.sighting.receded
        return describe_sighting(watch.sighting)

    world.node.fund(script, Sats(20_000), confirmations=0)
    assert await told() == ("20,000 of 50,000 sats have come to the address, not confirmed yet.")
    world.node.mine()
    assert "20,000 of 50,000 sats have come to the address, with 1 of 1 confirm" in await told()
    world.node.fund(script, Sats(10_000), confirmations=0)
    assert "30,000 of 50,000 sats have come to the address, not confirmed" in await told()
    world.node.fund(script, Sats(20_000), confirmations=0)
    assert (
        await told() == "The network has an ordinary payment to the address; it waits to be mined."
    )


async def test_a_payjoin_after_a_part_is_no_reorganisation(world: World, alice: Side, bob: Side):
    receiving, watch = bob.receive(depth=2), ChainWatch()
    sending = await paid_into(world, receiving, alice)
    pay_directly(world, receiving, 20_000)
    await receiving.to(receiver.Monitor, watch=watch)
    await receiving.step(watch=watch)
    assert watch.sighting is not None
    assert (watch.sighting.kind, watch.sighting.depth) == (SpendKind.DIRECT, 1)
    await sending.to(sender.Monitor)
    await receiving.step(watch=watch)
    assert watch.sighting is not None
    assert (watch.sighting.kind, watch.sighting.receded) == (SpendKind.PAYJOIN, False)


@pytest.mark.parametrize("confirmations", [0, 1])
async def test_a_second_payment_after_the_end_is_told_as_what_it_is(
    world: World, alice: Side, bob: Side, confirmations: int
):
    receiving = bob.receive()
    sending = await paid_into(world, receiving, alice)
    await receiving.to(receiver.Monitor)
    await sending.to(sender.Monitor)
    world.node.mine()
    closed = await receiving.to(receiver.Closed)
    assert isinstance(closed.outcome, outcomes.Success)
    assert await look_back(receiving.services) == (), "the payjoin itself is nothing beside it"
    direct = world.node.fund(
        receiving.uri.address.script_pubkey, AMOUNT, confirmations=confirmations
    )
    (late,) = await look_back(receiving.services)
    assert late.paid
    assert (late.received, late.sighting.txid) == (TWICE, direct.txid)
    assert f"Session {receiving.session_id} was paid, and then its address again" in late.words
    assert ("not confirmed yet" in late.words) is (confirmations == 0)
    assert late.surplus is not None
    assert (late.surplus.too_much, late.surplus.txids) == (AMOUNT, (str(direct.txid),))
    seen = bob.store.row(receiving.session_id).sighting
    assert seen == late.sighting
    assert explain(closed, world.clock(), seen=seen).surplus == late.surplus
    again = await look_back(receiving.services)
    assert bool(again) is (confirmations == 0), "final, and was said"


@pytest.mark.parametrize("mined", [False, True])
async def test_a_second_payment_that_is_gone_again_is_no_surplus(
    world: World, alice: Side, bob: Side, *, mined: bool
):
    receiving = bob.receive()
    sending = await paid_into(world, receiving, alice)
    await receiving.to(receiver.Monitor)
    await sending.to(sender.Monitor)
    world.node.mine()
    closed = await receiving.to(receiver.Closed)
    direct = world.node.fund(
        receiving.uri.address.script_pubkey, AMOUNT, confirmations=1 if mined else 0
    )
    (late,) = await look_back(receiving.services)
    assert late.surplus is not None
    if mined:
        world.node.reorg(1)
    world.evict(direct.txid)
    assert await look_back(receiving.services) == ()
    seen = bob.store.row(receiving.session_id).sighting
    assert seen is not None
    assert (seen.gone, seen.receded) == (True, mined)
    assert explain(closed, world.clock(), seen=seen).surplus is None
    how = "A reorganisation removed" if mined else "The network dropped"
    assert describe_sighting(seen, ended=True) == f"{how} an ordinary payment to the address."


async def test_a_third_payment_of_one_paid_directly_is_told(world: World, bob: Side):
    receiving = bob.receive()
    pay_directly(world, receiving)
    await receiving.to(receiver.Closed)
    assert await look_back(receiving.services) == ()
    (again,) = pay_directly(world, receiving)
    (late,) = await look_back(receiving.services)
    assert late.sighting.txid == Txid.from_hex(again)
    assert late.surplus is not None
    assert (late.received, late.surplus.too_much, late.surplus.txids) == (TWICE, AMOUNT, (again,))
    (third,) = pay_directly(world, receiving, 1_000)
    (late,) = await look_back(receiving.services)
    assert late.received == TWICE + 1_000
    assert late.surplus is not None
    assert set(late.surplus.txids) == {again, third}


async def test_a_payjoin_after_a_direct_payment_counts_without_our_own_coins(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive(lifetime=60, grace=600)
    sending = await paid_into(world, receiving, alice)
    await receiving.to(receiver.Monitor)
    payjoin = (await sending.to(sender.PendingBroadcast)).payjoin
    pay_directly(world, receiving)
    world.clock.pass_by(700)
    closed = await receiving.to(receiver.Closed)
    assert isinstance(closed.outcome, outcomes.PaidDirectly)
    world.node.send(payjoin)
    (late,) = await look_back(receiving.services)
    assert (late.received, late.sighting.txid) == (TWICE, payjoin.txid)


async def test_what_came_to_a_session_that_ended_unpaid_otherwise(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive()
    sending = await paid_into(world, receiving, alice)
    await receiving.to(receiver.Monitor)
    world.node.send(double_spend(alice, sending))
    world.node.mine()
    closed = await receiving.to(receiver.Closed)
    assert isinstance(closed.outcome, outcomes.Unrecognized)
    assert await look_back(receiving.services) == ()
    pay_directly(world, receiving)
    (late,) = await look_back(receiving.services)
    assert not late.paid
    assert "50,000 of 50,000 sats came to its address afterwards" in late.words
