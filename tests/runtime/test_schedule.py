from dataclasses import replace

from tests.support.stepping import Receiving, Side, paid_into
from tests.support.world import QUICK, World

from dovetail.bitcoin import UnixTime
from dovetail.runtime.schedule import next_deadline, pause
from dovetail.sessions import receiver, sender
from dovetail.sessions.receiver import ReceiverSession
from dovetail.sessions.sender import SenderSession

SLOW = replace(QUICK, poll_pause=1, watch_interval=15)


async def test_mailboxes_are_asked_more_often_than_the_chain(world: World, alice: Side, bob: Side):
    world.policy = SLOW
    receiving = bob.receive(lifetime=60)
    services = receiving.services
    assert pause(receiving.state, services) == 1
    sending = await paid_into(world, receiving, alice)
    assert pause(sending.state, services) == 1
    await receiving.to(receiver.Monitor)
    assert pause(receiving.state, services) == 15


async def test_where_nothing_is_polled_the_chain_sets_the_pace(world: World, bob: Side):
    world.policy = SLOW
    receiving = bob.receive(lifetime=60)
    world.clock.pass_by(60)
    assert pause(receiving.state, receiving.services) == 15, "it was paid, and waits for a block"
    log = bob.store.new_receiver()
    shop = receiver.create_v1(
        address=bob.party.wallet.new_address(),
        url="https://shop.example/pj",
        expires_at=UnixTime(world.clock() + 60),
    ).save(log)
    assert pause(shop, receiving.services) == 15


def after(state: ReceiverSession | SenderSession, now: int) -> int | None:
    return next_deadline(state, UnixTime(now))


async def test_the_deadlines_of_a_receiver(world: World, alice: Side, bob: Side):
    receiving: Receiving = bob.receive(lifetime=60, grace=600)
    ends = receiving.state.expires_at
    assert after(receiving.state, ends - 60) == ends
    assert after(receiving.state, ends) == ends + 600, "until then a payment is looked for"
    await paid_into(world, receiving, alice)
    await receiving.step()
    while not isinstance(receiving.state, receiver.Monitor):
        assert after(receiving.state, ends - 60) == ends
        assert after(receiving.state, ends) is None
        await receiving.step()
    assert after(receiving.state, ends) == ends + 600
    world.clock.pass_by(660)
    await receiving.to(receiver.PendingFallback)
    assert after(receiving.state, ends) == ends + 600
    await receiving.to(receiver.Monitor)
    world.node.mine()
    assert after(await receiving.to(receiver.Closed), 0) is None


async def test_the_deadlines_of_a_sender(world: World, alice: Side, bob: Side):
    receiving = bob.receive(lifetime=60)
    ends = receiving.state.expires_at
    sending = await alice.send(receiving.uri, signing_deadline=ends + 30)
    assert after(sending.state, ends - 60) == ends
    await sending.to(sender.PollingForProposal)
    await receiving.to(receiver.Monitor)
    assert after(sending.state, ends - 60) == ends - 5, "the last poll"
    assert after(sending.state, ends - 5) == ends
    await sending.to(sender.ProposalReceived)
    assert after(sending.state, ends) == ends + 30
    await sending.to(sender.PendingBroadcast)
    assert after(sending.state, 0) is None
