import pytest
from tests.support.stepping import AMOUNT, Receiving, Side
from tests.support.world import World

from dovetail.bitcoin import UnixTime
from dovetail.errors import TransportError
from dovetail.protocol.requests import Request
from dovetail.protocol.uri import PayjoinUri
from dovetail.runtime.chain_watch import ChainWatch
from dovetail.runtime.transport import Reply
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.reasons import Reason

# BIP 78


class Shop:
    """A v1 receiver that answers within the request."""

    def __init__(self, side: Side, world: World) -> None:
        self.side, self.world = side, world
        self.receiving: Receiving
        self.lose_answers = 0

    def invoice(self) -> PayjoinUri:
        log = self.side.store.new_receiver()
        state = receiver.create_v1(
            address=self.side.party.wallet.new_address(),
            url="https://shop.example/pj",
            expires_at=UnixTime(self.world.clock() + 3600),
            amount=AMOUNT,
        ).save(log)
        self.receiving = Receiving(self.side.services(), log, state)
        return state.payjoin_uri

    async def __call__(self, request: Request) -> Reply:
        state = self.receiving.state
        query = request.url.partition("?")[2]
        if isinstance(state, receiver.Initialized):
            now = self.world.clock()
            arrived = state.receive_v1(request.body, query, now=now)
            self.receiving.state = arrived.save(self.receiving.log)
        if not isinstance(self.receiving.state, receiver.Monitor):
            proposal = await self.receiving.to(receiver.PayjoinProposal)
            self.body = proposal.v1_body
            self.receiving.state = proposal.record_posted().save(self.receiving.log)
        if self.lose_answers:
            self.lose_answers -= 1
            raise TransportError("lost on the way back")
        return Reply(200, self.body)


async def test_a_v1_receiver_answers_at_once(world: World, alice: Side, bob: Side):
    shop = Shop(bob, world)
    world.wire.v1 = shop
    shop.lose_answers = 1
    sending = await alice.send(shop.invoice())
    await sending.to(sender.PostingOriginal)
    with pytest.raises(TransportError):
        await sending.step()
    await sending.to(sender.Monitor)
    world.node.mine()
    assert isinstance((await sending.to(sender.Closed)).outcome, outcomes.Success)
    assert isinstance((await shop.receiving.to(receiver.Closed)).outcome, outcomes.Success)


async def test_a_redirect_is_not_followed_and_its_payment_is_made_by_the_fallback(
    world: World, alice: Side, bob: Side
):
    shop = Shop(bob, world)

    async def moved(_request: Request) -> Reply:
        return Reply(302, b"")

    world.wire.v1 = moved
    sending = await alice.send(shop.invoice())
    await sending.to(sender.PostingOriginal)
    watch = ChainWatch()
    with pytest.raises(TransportError, match="another address \\(status 302\\)") as caught:
        await sending.step(watch=watch)
    assert caught.value.at == "receiver"
    watch.trouble = caught.value
    world.clock.pass_by(600)
    await sending.step(failures=sending.services.policy.tries, watch=watch)
    assert isinstance(sending.state, sender.PendingFallback)
    assert sending.state.reason is Reason.RECEIVER_UNREACHABLE
    assert len(world.wire.sent) == 1


async def test_a_receiver_that_takes_the_repeated_original_for_a_replay_is_paid_by_the_fallback(
    world: World, alice: Side, bob: Side
):
    """BIP 78 has receivers refuse inputs they have seen: that costs the payjoin, no money."""
    shop = Shop(bob, world)
    answers = iter([None, Reply(400, b'{"errorCode":"original-psbt-rejected","message":""}')])

    async def forgetful(_request: Request) -> Reply:
        answer = next(answers)
        if answer is None:
            raise TransportError("lost on the way back")
        return answer

    world.wire.v1 = forgetful
    sending = await alice.send(shop.invoice())
    await sending.to(sender.PostingOriginal)
    with pytest.raises(TransportError, match=r"receiver's server failed\. "):
        await sending.step()
    pending = await sending.to(sender.PendingFallback, steps=1)
    assert pending.reason is Reason.RECEIVER_ORIGINAL_PSBT_REJECTED
    first, second = world.wire.sent
    assert (first.url, first.body) == (second.url, second.body)


async def test_when_tor_is_down_the_receiver_is_not_blamed(world: World, alice: Side, bob: Side):
    shop = Shop(bob, world)

    async def down(_request: Request) -> Reply:
        raise TransportError("Tor does not answer.", at="tor")

    world.wire.v1 = down
    sending = await alice.send(shop.invoice())
    await sending.to(sender.PostingOriginal)
    watch = ChainWatch()
    with pytest.raises(TransportError, match="Tor does not answer") as caught:
        await sending.step()
    watch.trouble = caught.value
    world.clock.pass_by(600)
    await sending.step(failures=sending.services.policy.tries, watch=watch)
    assert isinstance(sending.state, sender.PendingFallback)
    assert sending.state.reason is Reason.TOR_UNREACHABLE
