import pytest
from tests.support.stepping import Sending, Side, broadcast, cancelled, double_spend, paid_into
from tests.support.world import World

from dovetail.bitcoin import Transaction
from dovetail.errors import ChainError, StaleSession
from dovetail.runtime.chain_watch import ChainWatch
from dovetail.runtime.policy import AtExpiry
from dovetail.sessions import outcomes, sender

# the fallback


async def test_who_cancelled_is_asked_before_the_fallback(world: World, alice: Side, bob: Side):
    sending = await cancelled(alice, bob)
    pending = sending.state
    assert await sending.step() is pending
    assert alice.party.chain.broadcasts == []


async def test_what_was_cancelled_is_paid_when_it_would_have_expired(
    world: World, alice: Side, bob: Side
):
    sending = await cancelled(alice, bob)
    world.clock.pass_by(3600)
    monitor = await sending.to(sender.Monitor)
    assert world.node.in_mempool(monitor.fallback_transaction.txid)


async def test_what_was_cancelled_waits_for_who_wants_to_be_asked(
    world: World, alice: Side, bob: Side
):
    sending = await cancelled(alice, bob, at_expiry=AtExpiry.ASK)
    pending = sending.state
    world.clock.pass_by(100_000)
    assert await sending.step() is pending


async def test_who_wants_to_be_asked_is_asked(world: World, alice: Side, bob: Side):
    sending = await alice.send(bob.receive(lifetime=60).uri, at_expiry=AtExpiry.ASK)
    await sending.to(sender.PollingForProposal)
    world.clock.pass_by(60)
    pending = await sending.to(sender.PendingFallback)
    assert await sending.step() is pending
    assert alice.party.chain.broadcasts == []


async def test_a_payment_that_is_seen_is_not_made_again(world: World, alice: Side, bob: Side):
    """M4"""
    sending = await alice.send(bob.receive(lifetime=60).uri)
    world.clock.pass_by(60)
    pending = await sending.to(sender.PendingFallback)
    world.node.send(pending.fallback_transaction)
    await sending.to(sender.Monitor, steps=1)
    assert sending.tags()[-1] == "ObservedSpend"
    assert alice.party.chain.broadcasts == []


async def test_a_refused_fallback_is_trouble_and_stays_pending(
    world: World, alice: Side, bob: Side
):
    sending = await alice.send(bob.receive(lifetime=60).uri)
    world.clock.pass_by(60)
    await sending.to(sender.PendingFallback)
    alice.party.chain.refuses = lambda _tx: True
    asked = await sending.step()
    with pytest.raises(ChainError, match="refuses the ordinary payment"):
        await sending.step()
    assert sending.state is asked


async def test_what_never_left_is_decided_on_before_it_leaves(alice: Side, bob: Side, world: World):
    """M4: nobody may close the session as unpaid at the moment at which the policy pays."""
    sending = await alice.send(bob.receive(lifetime=60).uri)
    world.clock.pass_by(60)
    pending = await sending.to(sender.PendingFallback)
    assert pending.may_end_unpaid
    asked = await sending.step()
    assert isinstance(asked, sender.PendingFallback)
    assert asked.requested
    assert alice.party.chain.broadcasts == []
    with pytest.raises(StaleSession):
        pending.release(spends=()).save(sending.log)
    await sending.to(sender.Monitor, steps=1)
    assert world.node.in_mempool(pending.fallback_transaction.txid)


async def test_what_was_asked_for_competes_with_what_waits_and_gives_way_to_it(
    world: World, alice: Side, bob: Side
):
    sending = await broadcast(alice, bob)
    monitor = sending.state
    assert isinstance(monitor, sender.Monitor)
    sending.state = monitor.request_fallback().save(sending.log)
    sending.reload()
    broadcasts = len(alice.party.chain.broadcasts)
    watched = await sending.to(sender.Monitor, steps=1)
    assert alice.party.chain.broadcasts[broadcasts:] == [monitor.fallback_transaction]
    assert watched.payjoin is not None
    assert watched.expected == watched.payjoin.txid


# the watch


async def test_depth_is_waited_for(world: World, alice: Side, bob: Side):
    sending = await broadcast(alice, bob, depth=3)
    monitor = sending.state
    world.node.mine(2)
    assert await sending.step() is monitor
    world.node.mine()
    await sending.to(sender.Closed, steps=1)


async def test_a_source_that_does_not_show_its_mempool_fills_no_log(
    world: World, alice: Side, bob: Side
):
    sending = await broadcast(alice, bob)
    monitor = sending.state
    alice.party.chain.shows_mempool = False
    for _ in range(10):
        assert await sending.step() is monitor
    assert sending.tags()[-1] == "BroadcastPayjoin"
    world.node.mine()
    await sending.to(sender.Closed, steps=1)


async def test_a_payjoin_that_was_evicted_is_broadcast_again(world: World, alice: Side, bob: Side):
    sending = await broadcast(alice, bob)
    monitor = sending.state
    assert isinstance(monitor, sender.Monitor)
    assert monitor.payjoin is not None
    world.evict(monitor.payjoin.txid)
    assert await sending.step() is monitor
    assert world.node.in_mempool(monitor.payjoin.txid)


async def test_a_reorganisation_reopens_nothing_and_is_told(world: World, alice: Side, bob: Side):
    """M3: the session was not closed before its depth."""
    sending = await broadcast(alice, bob, depth=3)
    monitor, watch = sending.state, ChainWatch()
    world.node.mine(2)
    assert await sending.step(watch=watch) is monitor
    assert watch.sighting is not None
    assert watch.sighting.depth == 2
    world.node.reorg(2)
    assert await sending.step(watch=watch) is monitor
    assert watch.sighting.receded
    assert sending.tags()[-1] == "BroadcastPayjoin"
    world.node.mine(3)
    closed = await sending.to(sender.Closed, watch=watch)
    assert isinstance(closed.outcome, outcomes.Success)


async def test_a_payjoin_that_cannot_come_back_gives_way_to_the_fallback(
    world: World, alice: Side, bob: Side
):
    """The receiver spent its own coin elsewhere, and the network prefers that."""
    sending = await broadcast(alice, bob)
    monitor = sending.state
    assert isinstance(monitor, sender.Monitor)
    assert monitor.payjoin is not None
    world.evict(monitor.payjoin.txid)
    alice.party.chain.refuses = lambda tx: tx == monitor.payjoin
    await sending.to(sender.PendingBroadcast, steps=1)
    await sending.to(sender.PendingFallback, steps=1)
    await sending.to(sender.Monitor, steps=1)
    assert world.node.in_mempool(monitor.fallback_transaction.txid)


async def test_a_spend_that_comes_in_sight_after_the_refusal_is_believed(
    world: World, alice: Side, bob: Side
):
    sending = await broadcast(alice, bob)
    monitor = sending.state
    alice.party.chain.shows_mempool = False

    def refuse(_tx: Transaction) -> bool:
        alice.party.chain.shows_mempool = True
        return True

    alice.party.chain.refuses = refuse
    assert await sending.step() is monitor


async def fallen_back(world: World, alice: Side, bob: Side) -> tuple[Sending, sender.Monitor]:
    sending = await alice.send(bob.receive(lifetime=60).uri)
    world.clock.pass_by(60)
    return sending, await sending.to(sender.Monitor)


async def test_a_fallback_that_was_evicted_is_broadcast_again(world: World, alice: Side, bob: Side):
    sending, monitor = await fallen_back(world, alice, bob)
    world.evict(monitor.fallback_transaction.txid)
    assert await sending.step() is monitor
    assert world.node.in_mempool(monitor.fallback_transaction.txid)
    assert sending.tags().count("BroadcastFallback") == 1


async def test_a_fallback_that_cannot_come_back_is_trouble(world: World, alice: Side, bob: Side):
    sending, monitor = await fallen_back(world, alice, bob)
    world.evict(monitor.fallback_transaction.txid)
    alice.party.chain.refuses = lambda _tx: True
    with pytest.raises(ChainError, match="refuses the ordinary payment"):
        await sending.step()
    assert sending.state is monitor


async def test_a_strange_spend_that_vanished_leads_to_the_fallback(
    world: World, alice: Side, bob: Side
):
    sending = await paid_into(world, bob.receive(), alice)
    strange = double_spend(alice, sending)
    world.node.send(strange)
    monitor = await sending.to(sender.Monitor)
    assert monitor.expected == strange.txid
    world.evict(strange.txid)
    await sending.to(sender.PendingFallback, steps=1)
    await sending.to(sender.Monitor, steps=1)
    assert world.node.in_mempool(monitor.fallback_transaction.txid)


async def test_a_payjoin_that_was_given_up_is_not_broadcast_again(
    world: World, alice: Side, bob: Side
):
    sending = await broadcast(alice, bob)
    monitor = sending.state
    assert isinstance(monitor, sender.Monitor)
    assert monitor.payjoin is not None
    sending.state = monitor.request_fallback().save(sending.log)
    monitor = await sending.to(sender.Monitor)
    assert monitor.payjoin is not None
    assert monitor.expected == monitor.payjoin.txid
    world.evict(monitor.payjoin.txid)
    broadcasts = len(alice.party.chain.broadcasts)
    await sending.to(sender.PendingFallback, steps=1)
    await sending.to(sender.Monitor, steps=1)
    assert alice.party.chain.broadcasts[broadcasts:] == [monitor.fallback_transaction]


async def test_a_released_payment_is_watched_and_not_made(world: World, alice: Side, bob: Side):
    sending = await cancelled(alice, bob)
    pending = sending.state
    assert isinstance(pending, sender.PendingFallback)
    sending.state = released = pending.release(spends=()).save(sending.log)
    assert await sending.step() is released
    assert alice.party.chain.broadcasts == []
    world.node.send(double_spend(alice, sending))
    world.node.mine()
    closed = await sending.to(sender.Closed, steps=1)
    assert isinstance(closed.outcome, outcomes.Revoked)


async def test_an_answer_that_tells_neither_leaves_all_as_it_was(
    world: World, alice: Side, bob: Side
):
    alice.party.chain.mumbles = lambda _tx: True
    sending = await cancelled(alice, bob)
    world.clock.pass_by(3600)
    with pytest.raises(ChainError, match="does not say"):
        await sending.to(sender.Monitor)
    assert isinstance(sending.state, sender.PendingFallback)
    alice.party.chain.mumbles = lambda _tx: False
    monitor = await sending.to(sender.Monitor)
    assert world.node.in_mempool(monitor.fallback_transaction.txid)
