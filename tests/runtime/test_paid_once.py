"""M4 for a receiver: an invoice is paid once, whoever pays it, and however."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.stepping import AMOUNT, Receiving, Side, double_spend, paid_into, revoke
from tests.support.world import World

from dovetail.bitcoin import FeeRate, Sats
from dovetail.errors import ChainError, UsageError
from dovetail.explain.chain import rival_words
from dovetail.runtime import decisions
from dovetail.runtime.chain_watch import ChainWatch
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sightings import SpendKind

GUARDED = (receiver.WantsInputs, receiver.ProvisionalProposal)
HELD = (
    receiver.MaybeInputsOwned,
    receiver.MaybeInputsSeen,
    receiver.OutputsUnknown,
    receiver.WantsOutputs,
    receiver.WantsInputs,
    receiver.WantsFeeRange,
    receiver.ProvisionalProposal,
    receiver.PayjoinProposal,
    receiver.Monitor,
)


def pay_directly(world: World, receiving: Receiving, *amounts: int, depth: int = 1) -> list[str]:
    script = receiving.uri.address.script_pubkey
    paid = [world.node.fund(script, Sats(each), confirmations=0) for each in amounts or (AMOUNT,)]
    world.node.mine(depth)
    return [str(transaction.txid) for transaction in paid]


async def at(world: World, alice: Side, bob: Side, state: type, **policy: Any) -> Receiving:
    receiving = bob.receive(lifetime=60, grace=600, **policy)
    await paid_into(world, receiving, alice)
    await receiving.to(state)
    return receiving


@pytest.mark.parametrize("state", HELD)
async def test_a_payer_who_pays_directly_is_not_charged_again(
    world: World, alice: Side, bob: Side, state: type
):
    receiving = await at(world, alice, bob, state)
    (txid,) = pay_directly(world, receiving)
    for _ in range(12):
        await receiving.step()
    world.clock.pass_by(700)
    closed = await receiving.to(receiver.Closed)
    assert closed.outcome == outcomes.PaidDirectly(txid=txid, received=AMOUNT)
    assert bob.party.chain.broadcasts == []
    assert bob.store.reserved() == frozenset()


@pytest.mark.parametrize("state", [*GUARDED, receiver.PayjoinProposal])
async def test_a_paid_invoice_posts_no_proposal(world: World, alice: Side, bob: Side, state: type):
    receiving = await at(world, alice, bob, state)
    script = receiving.uri.address.script_pubkey
    world.node.fund(script, AMOUNT, confirmations=0)
    pending = await receiving.to(receiver.PendingFallback)
    assert pending.reason is Reason.PAID_DIRECTLY
    assert pending.paid_by
    assert pending.due_at is None
    assert "PostedPayjoinProposal" not in receiving.tags()


async def test_one_look_that_misses_the_payment_charges_nobody(
    world: World, alice: Side, bob: Side
):
    receiving = await at(world, alice, bob, receiver.WantsInputs)
    paid = world.node.fund(receiving.uri.address.script_pubkey, AMOUNT, confirmations=0)
    await receiving.to(receiver.PendingFallback)
    world.evict(paid.txid)
    world.clock.pass_by(10_000)
    for _ in range(3):
        await receiving.step()
    assert bob.party.chain.broadcasts == []
    assert not receiving.state.closed


async def test_the_senders_own_payment_is_not_told_as_dropped(world: World, alice: Side, bob: Side):
    """It waits to be mined before the Original is read from the mailbox."""
    receiving, watch = bob.receive(lifetime=60), ChainWatch()
    sending = await paid_into(world, receiving, alice)
    world.node.send(sending.state.fallback_transaction)
    await receiving.to(receiver.UncheckedOriginalPayload, watch=watch)
    before = watch.sighting
    assert before is not None
    await receiving.to(receiver.HasReplyableError, watch=watch)
    assert watch.sighting == before
    assert not before.gone


async def test_parts_add_up_to_a_payment(world: World, bob: Side):
    """49,000 and 1,000 sats for an invoice of 50,000."""
    receiving = bob.receive(lifetime=60)
    first, second = pay_directly(world, receiving, 49_000, 1_000)
    closed = await receiving.to(receiver.Closed, steps=1)
    assert closed.outcome == outcomes.PaidDirectly(txid=first, others=(second,), received=50_000)


async def test_a_part_is_told_and_is_no_payment(world: World, bob: Side):
    receiving, watch = bob.receive(lifetime=60, grace=600), ChainWatch()
    (part,) = pay_directly(world, receiving, 49_000)
    await receiving.step(watch=watch)
    assert watch.received.amount == 49_000
    assert not watch.received.full
    world.clock.pass_by(660)
    closed = await receiving.to(receiver.Closed, steps=1)
    assert closed.outcome == outcomes.Expired(received=49_000, txids=(part,))


@pytest.mark.parametrize("confirmed", [False, True])
@pytest.mark.parametrize("state", [*GUARDED, receiver.PayjoinProposal])
async def test_no_coin_is_shown_to_a_payment_that_is_dead(
    world: World, alice: Side, bob: Side, state: type, *, confirmed: bool
):
    receiving = bob.receive(lifetime=60)
    sending = await paid_into(world, receiving, alice)
    await receiving.to(state)
    world.node.send(double_spend(alice, sending))
    if confirmed:
        world.node.mine()
    for _ in range(4):
        await receiving.step()
    assert "PostedPayjoinProposal" not in receiving.tags()
    if state is not receiver.PayjoinProposal:
        assert bob.store.exposed() == frozenset()
        assert bob.store.reserved() == frozenset()
    if confirmed:
        closed = await receiving.to(receiver.Closed)
        assert isinstance(closed.outcome, outcomes.Unrecognized)


async def test_an_original_whose_coins_are_spent_in_the_mempool_is_refused(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive()
    sending = await paid_into(world, receiving, alice)
    await receiving.to(receiver.UncheckedOriginalPayload)
    world.node.send(double_spend(alice, sending))
    refusing = await receiving.to(receiver.HasReplyableError, steps=1)
    assert refusing.reason is Reason.ORIGINAL_INPUTS_SPENT


async def test_an_unconfirmed_stranger_does_not_keep_the_fallback_out(
    world: World, alice: Side, bob: Side
):
    receiving, watch = bob.receive(lifetime=60, grace=600), ChainWatch()
    sending = await paid_into(world, receiving, alice)
    monitor = await receiving.to(receiver.Monitor)
    world.node.send(double_spend(alice, sending))
    assert await receiving.step(watch=watch) is monitor
    assert watch.rival is not None
    assert watch.rival.rate is not None
    assert watch.rival.rate > watch.rival.ours
    assert rival_words(watch.rival).endswith("too little to replace it.")
    assert watch.sighting is not None
    assert watch.sighting.kind is SpendKind.UNRECOGNIZED
    assert watch.sighting.rate == watch.rival.rate
    told = watch.sighting
    assert await receiving.step(watch=watch) is monitor
    assert watch.sighting == told, "a second look tells nothing new"
    cheap = replace(watch.rival, rate=FeeRate.BROADCAST_MIN)
    assert rival_words(cheap).startswith("It pays 1 sat/vB, the ordinary payment ")
    assert rival_words(cheap).endswith("and may replace it.")
    assert "is not known" in rival_words(replace(cheap, rate=None))
    world.clock.pass_by(660)
    bob.party.chain.refuses = lambda _tx: True
    await receiving.to(receiver.PendingFallback, steps=1, watch=watch)
    lost = await receiving.to(receiver.Monitor, steps=1, watch=watch)
    assert lost.reason is Reason.FALLBACK_DUE
    tried = len(bob.party.chain.broadcasts)
    await receiving.step(watch=watch)
    assert len(bob.party.chain.broadcasts) == tried
    world.clock.pass_by(600)
    await receiving.step(watch=watch)
    assert len(bob.party.chain.broadcasts) == tried + 1


async def test_an_original_that_pays_its_sender_blocks_nobody(world: World, alice: Side, bob: Side):
    receiving = bob.receive(lifetime=60, grace=600)
    await paid_into(world, receiving, bob)
    await receiving.to(receiver.HasReplyableError)
    waiting = await receiving.to(receiver.Initialized, steps=1)
    assert waiting.refused
    assert await receiving.step() is waiting, "what lies in the mailbox is not judged again"
    (txid,) = pay_directly(world, receiving)
    closed = await receiving.to(receiver.Closed, steps=1)
    assert closed.outcome == outcomes.PaidDirectly(txid=txid, received=AMOUNT)


@pytest.mark.parametrize("state", HELD)
async def test_the_fallback_is_one_command_and_said_twice_it_changes_nothing(
    world: World, alice: Side, bob: Side, state: type
):
    receiving = await at(world, alice, bob, state)
    first = await decisions.fallback(receiving.services, receiving.session_id)
    assert isinstance(first, receiver.Monitor)
    tags = receiving.tags()
    assert tags[-2:] == ["FallbackRequested", "BroadcastFallback"]
    assert await decisions.fallback(receiving.services, receiving.session_id) == first
    assert receiving.tags() == tags
    assert len(bob.party.chain.broadcasts) == 1


@pytest.mark.parametrize("state", [receiver.WantsInputs, receiver.Monitor])
async def test_a_word_for_the_fallback_is_asked_for_again_once_it_would_pay_twice(
    world: World, alice: Side, bob: Side, state: type
):
    receiving = await at(world, alice, bob, state, depth=2)
    pay_directly(world, receiving)
    with pytest.raises(UsageError, match="charge the sender twice"):
        await decisions.fallback(receiving.services, receiving.session_id)
    assert bob.party.chain.broadcasts == []
    insisted = await decisions.fallback(receiving.services, receiving.session_id)
    assert isinstance(insisted, receiver.Monitor)
    assert len(bob.party.chain.broadcasts) == 1


async def test_a_coin_that_was_shown_is_freed_by_spending_it(world: World, alice: Side, bob: Side):
    receiving = await at(world, alice, bob, receiver.Monitor)
    released = await decisions.cancel(receiving.services, receiving.session_id)
    assert isinstance(released, receiver.PendingFallback)
    await decisions.release(receiving.services, receiving.session_id)
    rate = FeeRate.from_sat_per_vb(5)
    freeing = await revoke(receiving.services, receiving.session_id, fee_rate=rate)
    world.node.mine()
    receiving.reload()
    closed = await receiving.to(receiver.Closed, steps=1)
    assert closed.outcome == outcomes.Revoked(txid=str(freeing.txid))
    assert bob.store.reserved() == frozenset()


async def test_a_freed_coin_does_not_hide_that_the_invoice_was_paid(
    world: World, alice: Side, bob: Side
):
    receiving = await at(world, alice, bob, receiver.Monitor)
    await decisions.cancel(receiving.services, receiving.session_id)
    await decisions.release(receiving.services, receiving.session_id)
    rate = FeeRate.from_sat_per_vb(5)
    await revoke(receiving.services, receiving.session_id, fee_rate=rate)
    (txid,) = pay_directly(world, receiving)
    receiving.reload()
    closed = await receiving.to(receiver.Closed, steps=1)
    assert closed.outcome == outcomes.PaidDirectly(txid=txid, received=AMOUNT)


async def test_a_payjoin_that_waits_to_be_mined_frees_nothing(world: World, alice: Side, bob: Side):
    receiving = bob.receive()
    sending = await paid_into(world, receiving, alice)
    await receiving.to(receiver.Monitor)
    await sending.to(sender.Monitor)
    with pytest.raises(UsageError, match="spent already, or about to be"):
        await revoke(receiving.services, receiving.session_id, fee_rate=FeeRate(500))


async def test_a_refused_fallback_that_is_valid_is_tried_again(
    world: World, alice: Side, bob: Side
):
    receiving = await at(world, alice, bob, receiver.WantsInputs)
    world.clock.pass_by(60)
    bob.party.chain.refuses = lambda _tx: True
    await receiving.to(receiver.PendingFallback)
    await receiving.step()
    with pytest.raises(ChainError):
        await receiving.step()
    assert isinstance(receiving.state, receiver.PendingFallback)
