import pytest
from tests.support.stepping import AMOUNT, Side, paid_into
from tests.support.world import World

from dovetail.bitcoin import FeeRate
from dovetail.errors import (
    TransportError,
)
from dovetail.sessions import outcomes, receiver
from dovetail.sessions.reasons import Reason

OWING = (
    receiver.WantsOutputs,
    receiver.WantsInputs,
    receiver.WantsFeeRange,
    receiver.ProvisionalProposal,
)


# answers


async def test_a_lost_answer_is_posted_again_with_fresh_bytes(world: World, alice: Side, bob: Side):
    """P1"""
    receiving = bob.receive()
    await paid_into(world, receiving, alice)
    proposal = await receiving.to(receiver.PayjoinProposal)
    world.wire.lose_answer = 1
    with pytest.raises(TransportError):
        await receiving.step()
    assert receiving.state is proposal
    await receiving.to(receiver.Monitor, steps=1)
    bodies = world.wire.bodies()
    assert len(set(bodies)) == len(bodies)


async def test_a_proposal_that_could_not_be_posted_counts_as_out(
    world: World, alice: Side, bob: Side
):
    """M4: the sender may hold it, so the fallback waits for the expiration and a grace."""
    receiving = bob.receive(lifetime=60, grace=600)
    await paid_into(world, receiving, alice)
    await receiving.to(receiver.PayjoinProposal)
    world.clock.pass_by(60)
    pending = await receiving.to(receiver.PendingFallback, steps=1)
    assert pending.due_at == pending.expires_at + 600
    world.clock.pass_by(599)
    assert await receiving.step() is pending
    assert bob.party.chain.broadcasts == []
    world.clock.pass_by(1)
    await receiving.to(receiver.Monitor, steps=1)
    assert bob.party.chain.broadcasts == [pending.fallback_transaction]


async def test_a_reply_that_nobody_took_until_the_expiration_is_given_up(world: World, alice: Side):
    receiving = Side(world, world.bob).receive(lifetime=60)
    await paid_into(world, receiving, alice)
    await receiving.to(receiver.HasReplyableError)
    world.wire.directory.status = 503
    with pytest.raises(TransportError):
        await receiving.step()
    world.clock.pass_by(60)
    await receiving.to(receiver.PendingFallback, steps=1)


@pytest.mark.parametrize("in_time", [True, False])
async def test_a_session_without_a_fallback_looks_at_its_address_before_it_closes(
    world: World, alice: Side, bob: Side, *, in_time: bool
):
    receiving = bob.receive(lifetime=60, min_fee_rate=FeeRate.from_sat_per_vb(1000))
    await paid_into(world, receiving, alice)
    await receiving.to(receiver.HasReplyableError)
    paid = world.node.fund(receiving.uri.address.script_pubkey, AMOUNT)
    world.clock.pass_by(0 if in_time else 60)
    closed = await receiving.to(receiver.Closed, steps=2)
    assert closed.outcome == outcomes.PaidDirectly(txid=str(paid.txid), received=AMOUNT)


async def test_an_unconfirmed_payment_does_not_end_a_refused_session(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive(min_fee_rate=FeeRate.from_sat_per_vb(1000))
    await paid_into(world, receiving, alice)
    await receiving.to(receiver.HasReplyableError)
    paid = world.node.fund(receiving.uri.address.script_pubkey, AMOUNT, confirmations=0)
    waiting = await receiving.to(receiver.Initialized, steps=1)
    assert await receiving.step() is waiting
    world.node.mine()
    closed = await receiving.to(receiver.Closed, steps=1)
    assert closed.outcome == outcomes.PaidDirectly(txid=str(paid.txid), received=AMOUNT)


# the expiration


@pytest.mark.parametrize("state", OWING)
async def test_past_the_expiration_an_owed_fallback_is_paid(
    world: World, alice: Side, bob: Side, state: type[receiver.WantsInputs]
):
    receiving = bob.receive(lifetime=60)
    await paid_into(world, receiving, alice)
    await receiving.to(state)
    world.clock.pass_by(60)
    pending = await receiving.to(receiver.PendingFallback, steps=1)
    assert pending.owed
    assert bob.store.reserved() == frozenset()
    assert bob.store.exposed() == frozenset()
    asked = await receiving.step()
    assert isinstance(asked, receiver.PendingFallback)
    assert asked.requested, "M4: nobody may end it unpaid while it leaves"
    assert not world.node.in_mempool(pending.fallback_transaction.txid)
    await receiving.to(receiver.Monitor, steps=1)
    world.node.mine()
    closed = await receiving.to(receiver.Closed)
    assert closed.outcome == outcomes.FallbackBroadcasted(
        txid=str(pending.fallback_transaction.txid), why=Reason.EXPIRED_BEFORE_REPLY
    )


async def test_past_the_expiration_the_checks_go_on_until_the_fallback_is_owed(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive(lifetime=60)
    await paid_into(world, receiving, alice)
    await receiving.to(receiver.UncheckedOriginalPayload)
    world.clock.pass_by(60)
    assert (await receiving.to(receiver.PendingFallback)).owed


# the fallback
