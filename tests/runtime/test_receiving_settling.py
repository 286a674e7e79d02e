from dataclasses import replace
from typing import Any

import pytest
from tests.support.stepping import AMOUNT, Receiving, Sending, Side, paid_into
from tests.support.world import World

from dovetail.bitcoin import FeeRate, UnixTime
from dovetail.errors import ChainError, TransportError
from dovetail.protocol.mailbox import encode_original
from dovetail.protocol.uri import V2Endpoint
from dovetail.runtime import decisions
from dovetail.runtime.chain_watch import ChainWatch
from dovetail.runtime.policy import AtExpiry
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.reasons import Reason
from dovetail.wallets.ports import Accepted


async def pending_fallback(
    world: World, alice: Side, bob: Side, **policy: Any
) -> tuple[Receiving, receiver.PendingFallback]:
    receiving = bob.receive(lifetime=60, **policy)
    await paid_into(world, receiving, alice)
    await receiving.to(receiver.WantsInputs)
    world.clock.pass_by(60)
    return receiving, await receiving.to(receiver.PendingFallback)


async def test_who_wants_to_be_asked_is_asked(world: World, alice: Side, bob: Side):
    receiving, pending = await pending_fallback(world, alice, bob, at_expiry=AtExpiry.ASK)
    assert await receiving.step() is pending
    assert bob.party.chain.broadcasts == []


async def test_a_fallback_that_is_only_held_is_never_broadcast_by_policy(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive(lifetime=60, grace=600)
    await paid_into(world, receiving, alice)
    await receiving.to(receiver.OutputsUnknown)
    pending = await decisions.cancel(receiving.services, receiving.session_id)
    receiving.reload()
    world.clock.pass_by(659)
    waiting = await receiving.step()
    assert waiting == pending
    world.clock.pass_by(1)
    closed = await receiving.to(receiver.Closed, steps=1)
    assert closed.outcome == outcomes.Cancelled(why=Reason.CANCELLED_BY_US, received=0)
    assert bob.party.chain.broadcasts == []


async def test_a_payment_that_is_seen_is_not_made_again(world: World, alice: Side, bob: Side):
    receiving, pending = await pending_fallback(world, alice, bob)
    world.node.send(pending.fallback_transaction)
    monitor = await receiving.to(receiver.Monitor, steps=1)
    assert monitor.seen_spent
    assert bob.party.chain.broadcasts == []


async def test_a_refused_fallback_is_trouble_and_stays_pending(
    world: World, alice: Side, bob: Side
):
    receiving, _ = await pending_fallback(world, alice, bob)
    bob.party.chain.refuses = lambda _tx: True
    asked = await receiving.step()
    with pytest.raises(ChainError, match="refuses the ordinary payment"):
        await receiving.step()
    assert receiving.state is asked


async def requested(
    world: World, alice: Side, bob: Side
) -> tuple[Receiving, Sending, receiver.PendingFallback]:
    receiving = bob.receive()
    sending = await paid_into(world, receiving, alice)
    monitor = await receiving.to(receiver.Monitor)
    pending = await monitor.request_fallback().save_async(receiving.log)
    receiving.state = pending
    return receiving, sending, pending


async def test_a_requested_fallback_is_broadcast_at_once(world: World, alice: Side, bob: Side):
    receiving, _, pending = await requested(world, alice, bob)
    await receiving.to(receiver.Monitor, steps=1)
    assert world.node.in_mempool(pending.fallback_transaction.txid)


async def test_a_requested_fallback_that_came_too_late_gives_way(
    world: World, alice: Side, bob: Side
):
    receiving, sending, _ = await requested(world, alice, bob)
    await sending.to(sender.Monitor)
    world.node.mine()
    await receiving.to(receiver.Monitor, steps=1)
    closed = await receiving.to(receiver.Closed, steps=1)
    assert isinstance(closed.outcome, outcomes.Success)


# the watch


async def test_a_silent_sender_costs_one_fallback_after_the_grace(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive(lifetime=60, grace=600)
    await paid_into(world, receiving, alice)
    monitor = await receiving.to(receiver.Monitor)
    world.clock.pass_by(659)
    assert await receiving.step() is monitor
    world.clock.pass_by(1)
    await receiving.to(receiver.PendingFallback, steps=1)
    await receiving.to(receiver.Monitor, steps=1)
    world.node.mine()
    closed = await receiving.to(receiver.Closed, steps=1)
    assert closed.outcome == outcomes.FallbackBroadcasted(
        txid=str(monitor.fallback_transaction.txid), why=Reason.FALLBACK_DUE
    )
    assert len(bob.party.chain.broadcasts) == 1


async def test_depth_is_waited_for(world: World, alice: Side, bob: Side):
    receiving = bob.receive(depth=3)
    sending = await paid_into(world, receiving, alice)
    monitor = await receiving.to(receiver.Monitor)
    await sending.to(sender.Monitor)
    world.node.mine(2)
    assert await receiving.step() is monitor
    world.node.mine()
    await receiving.to(receiver.Closed, steps=1)


async def test_a_source_that_does_not_show_its_mempool_fills_no_log(
    world: World, alice: Side, bob: Side
):
    receiving, _ = await pending_fallback(world, alice, bob)
    bob.party.chain.shows_mempool = False
    await receiving.to(receiver.Monitor)
    world.clock.pass_by(10_000)
    for _ in range(10):
        await receiving.step()
    assert receiving.tags().count("BroadcastFallback") == 1
    bob.party.chain.refuses = lambda _tx: True
    with pytest.raises(ChainError, match="refuses the ordinary payment"):
        await receiving.step()
    world.node.mine()
    await receiving.to(receiver.Closed, steps=1)


async def test_an_evicted_fallback_of_ours_is_broadcast_again_at_once(
    world: World, alice: Side, bob: Side
):
    receiving, _, pending = await requested(world, alice, bob)
    monitor = await receiving.to(receiver.Monitor)
    world.evict(pending.fallback_transaction.txid)
    assert await receiving.step() is monitor, "long before the expiration, and without an event"
    assert world.node.in_mempool(pending.fallback_transaction.txid)


async def test_an_evicted_payjoin_that_was_seen_is_broadcast_again(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive()
    sending = await paid_into(world, receiving, alice)
    monitor = await receiving.to(receiver.Monitor)
    paid = await sending.to(sender.Monitor)
    assert paid.payjoin is not None
    watch = ChainWatch()
    assert await receiving.step(watch=watch) is monitor
    assert watch.payjoin == paid.payjoin, "with the sender's signatures"
    world.evict(paid.payjoin.txid)
    assert await receiving.step(watch=watch) is monitor
    assert world.node.in_mempool(paid.payjoin.txid)
    assert receiving.tags()[-1] == "PostedPayjoinProposal"


async def test_a_reorganisation_reopens_nothing_and_is_told(world: World, alice: Side, bob: Side):
    """M3: the session was not closed before its depth."""
    receiving = bob.receive(depth=3)
    sending = await paid_into(world, receiving, alice)
    monitor, watch = await receiving.to(receiver.Monitor), ChainWatch()
    await sending.to(sender.Monitor)
    world.node.mine(2)
    await receiving.step(watch=watch)
    world.node.reorg(2)
    assert await receiving.step(watch=watch) is monitor
    assert watch.sighting is not None
    assert watch.sighting.receded
    world.node.mine(3)
    assert isinstance(await receiving.step(watch=watch), receiver.Closed)


async def test_what_was_cancelled_waits_for_the_end_of_the_grace(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive(lifetime=60, grace=600)
    await paid_into(world, receiving, alice)
    wants = await receiving.to(receiver.WantsInputs)
    pending = receiving.state = wants.cancel().save(receiving.log)
    assert await receiving.step() is pending
    world.clock.pass_by(660)
    await receiving.to(receiver.Monitor, steps=2)


async def test_a_v1_sender_who_is_gone_is_final(world: World, alice: Side, bob: Side):
    receiving = bob.receive(v1=True)
    uri = receiving.uri
    assert isinstance(uri.endpoint, V2Endpoint)
    sending = await alice.send(uri)
    facts = sending.state.terms
    body = encode_original(facts.disclosed, replace(facts.params, version=1))
    world.wire.directory.mailboxes[str(uri.endpoint.short_id)] = body
    await receiving.to(receiver.PayjoinProposal)
    world.wire.directory.status = 410
    pending = await receiving.to(receiver.PendingFallback, steps=1)
    assert pending.reason is Reason.SENDER_GONE


@pytest.mark.parametrize("state", [receiver.Initialized, receiver.PayjoinProposal])
async def test_a_directory_that_was_never_reached_is_the_reason(
    world: World, alice: Side, bob: Side, state: type[receiver.Initialized]
):
    receiving = bob.receive(lifetime=60)
    if state is not receiver.Initialized:
        await paid_into(world, receiving, alice)
    await receiving.to(state)
    world.clock.pass_by(60)
    watch = ChainWatch(trouble=TransportError("nobody", at="directory"))
    after = await receiving.step(failures=receiving.services.policy.tries, watch=watch)
    if isinstance(after, receiver.Initialized):
        # Nobody is asked in the grace, so that who failed before has to be remembered.
        watch.trouble = None
        world.clock.pass_by(600)
        after = await receiving.step(watch=watch)
        assert isinstance(after, receiver.Closed)
        assert after.outcome == outcomes.Expired(why=Reason.DIRECTORY_UNREACHABLE, received=0)
    else:
        assert isinstance(after, receiver.PendingFallback)
        assert after.reason is Reason.DIRECTORY_UNREACHABLE


async def test_a_spend_that_vanished_makes_the_fallback_due_again(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive(lifetime=60)
    await paid_into(world, receiving, alice)
    monitor = await receiving.to(receiver.Monitor)
    world.clock.pass_by(10_000)
    receiving.state = replace(monitor, seen_spent=True)
    await receiving.to(receiver.PendingFallback, steps=1)
    await receiving.to(receiver.Monitor, steps=1)
    assert isinstance(bob.party.chain.acceptance(monitor.fallback_transaction), Accepted)


# v1 over HTTP


async def test_who_holds_the_http_request_answers_it_and_the_session_goes_on(
    world: World, alice: Side, bob: Side
):
    for coins in (True, False):
        side = bob if coins else Side(world, world.bob)
        log = side.store.new_receiver()
        state = receiver.create_v1(
            address=side.party.wallet.new_address(),
            url="https://shop.example/pj",
            expires_at=UnixTime(world.clock() + 60),
        ).save(log)
        receiving = Receiving(side.services(), log, state)
        world.fund(world.alice, 100_000)
        original = alice.party.wallet.pay(
            state.address.script_pubkey, AMOUNT, fee_rate=FeeRate(250)
        )
        body = original.to_base64().encode()
        receiving.state = state.receive_v1(body, "v=1", now=world.clock()).save(log)
        if coins:
            await receiving.to(receiver.PayjoinProposal)
            monitor = await receiving.to(receiver.Monitor, steps=1)
            assert monitor.proposal_out
        else:
            outpoints = [coin.outpoint for coin in side.party.wallet.coins()]
            side.store.reserve(side.receive().session_id, outpoints)
            await receiving.to(receiver.HasReplyableError)
            await receiving.to(receiver.PendingFallback, steps=1)
    assert world.wire.sent == []
