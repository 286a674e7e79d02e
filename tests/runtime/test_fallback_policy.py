"""When the policy acts on a fallback, and when it waits for a word."""

import pytest
from tests.support.stepping import Side, paid_into
from tests.support.world import World

from dovetail.runtime import decisions
from dovetail.runtime.fallback_policy import is_due
from dovetail.sessions import receiver, sender
from dovetail.sessions.fallback_policy import AT_ONCE, due_at


async def test_a_payer_who_cancelled_has_until_the_expiration(world: World, alice: Side, bob: Side):
    sending = await paid_into(world, bob.receive(lifetime=60), alice)
    pending = await decisions.cancel(sending.services, sending.session_id)
    assert isinstance(pending, sender.PendingFallback)
    assert due_at(pending) == pending.expires_at
    assert due_at(pending, ask=True) is None
    assert not is_due(pending, sending.services)
    world.clock.pass_by(60)
    assert is_due(pending, sending.services)


@pytest.mark.parametrize("state", [receiver.WantsInputs, receiver.Monitor])
async def test_a_receiver_who_cancelled_has_until_the_end_of_the_grace(
    world: World, alice: Side, bob: Side, state: type[receiver.ReceiverSession]
):
    receiving = bob.receive(lifetime=60, grace=600)
    await paid_into(world, receiving, alice)
    await receiving.to(state)
    pending = await decisions.cancel(receiving.services, receiving.session_id)
    assert isinstance(pending, receiver.PendingFallback)
    assert due_at(pending) == pending.expires_at + 600
    assert due_at(pending, ask=True) is None


async def test_what_was_asked_for_is_due_whatever_the_policy(world: World, alice: Side, bob: Side):
    receiving = bob.receive()
    await paid_into(world, receiving, alice)
    monitor = await receiving.to(receiver.Monitor)
    assert due_at(monitor) == monitor.due_at
    pending = monitor.request_fallback().save(receiving.log)
    assert due_at(pending, ask=True) == AT_ONCE


async def test_what_is_only_held_is_never_due(world: World, alice: Side, bob: Side):
    receiving = bob.receive()
    await paid_into(world, receiving, alice)
    await receiving.to(receiver.OutputsUnknown)
    pending = await decisions.cancel(receiving.services, receiving.session_id)
    assert isinstance(pending, receiver.PendingFallback)
    assert due_at(pending) is None


async def test_a_payer_who_only_watches_owes_nothing_by_policy(alice: Side, bob: Side):
    receiving = bob.receive()
    sending = await alice.send(receiving.uri)
    await sending.to(sender.PollingForProposal)
    await receiving.to(receiver.Monitor)
    assert due_at(await sending.to(sender.Monitor)) is None
