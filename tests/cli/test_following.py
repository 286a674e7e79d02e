"""What `resume` follows: to the end, or until a person has to decide."""

from tests.support.fixtures import alice, bob, node, world
from tests.support.stepping import Side, paid_into
from tests.support.world import World

from dovetail.cli.live.follow import Follower, never
from dovetail.cli.output import Screen
from dovetail.runtime.live_session import live_sender
from dovetail.sessions import sender

__all__ = ["alice", "bob", "node", "world"]


async def followed(alice: Side, bob: Side, world: World, *, paid: bool) -> Follower:
    """A payment that was cancelled, and perhaps made by the receiver since."""
    sending = await paid_into(world, bob.receive(), alice)
    waiting = sending.state
    assert isinstance(waiting, sender.PollingForProposal)
    await waiting.cancel().save_async(sending.log)
    if paid:
        world.node.send(waiting.fallback_transaction)
        world.node.mine()
    session = live_sender(sending.log, sending.services)
    follower = Follower(session, Screen(as_json=False), asks=False, enough=never)
    session.start()
    await follower.follow()
    await session.stop()
    return follower


async def test_a_cancelled_payment_is_followed_until_it_asks(world: World, alice: Side, bob: Side):
    follower = await followed(alice, bob, world, paid=False)
    assert follower.explanation is not None
    assert follower.explanation.needs_decision


async def test_who_would_ask_looks_first_whether_it_was_paid_meanwhile(
    world: World, alice: Side, bob: Side
):
    follower = await followed(alice, bob, world, paid=True)
    assert follower.explanation is not None
    assert follower.explanation.paid
    assert follower.explanation.outcome is not None
