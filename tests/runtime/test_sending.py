from typing import Any

import pytest
from tests.runtime.side import AMOUNT, Receiving, Sending, Side, paid_into
from tests.runtime.world import World

from dovetail.bitcoin import FeeRate, Transaction, UnixTime
from dovetail.bitcoin.psbt import Psbt
from dovetail.errors import ChainError, StaleSession, TransportError, WalletError
from dovetail.protocol.exchange import Request
from dovetail.protocol.uri import PayjoinUri
from dovetail.runtime.services import AtExpiry
from dovetail.runtime.transport import Reply
from dovetail.runtime.watching import Watch
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.reasons import Reason


async def proposed(
    alice: Side, bob: Side, *, signing_deadline: int | None = None, **policy: Any
) -> tuple[Sending, Receiving]:
    """A payment whose proposal is in the mailbox."""
    receiving = bob.receive()
    sending = await alice.send(receiving.uri, signing_deadline=signing_deadline, **policy)
    await sending.to(sender.PollingForProposal)
    await receiving.to(receiver.Monitor)
    return sending, receiving


async def broadcast(alice: Side, bob: Side, **policy: Any) -> Sending:
    """A payment whose payjoin is in the mempool."""
    sending, _ = await proposed(alice, bob, **policy)
    await sending.to(sender.Monitor)
    return sending


def double_spend(side: Side, sending: Sending) -> Transaction:
    """The payer's coin back to the payer."""
    return side.party.wallet.revoke(sending.state.contested[0], fee_rate=FeeRate(1))


async def test_each_typestate_has_its_step(world: World, alice: Side, bob: Side):
    sending = await broadcast(alice, bob)
    world.node.mine()
    closed = await sending.to(sender.Closed)
    assert isinstance(closed.outcome, outcomes.Success)
    assert await sending.step() is closed
    assert sending.tags() == [
        "Created",
        "StartedPosting",
        "PostedOriginalPsbt",
        "ReceivedProposal",
        "SignedPayjoin",
        "BroadcastPayjoin",
        "Closed",
    ]


# posting and polling


async def test_that_posting_began_is_durable_before_the_first_byte_leaves(
    world: World, alice: Side, bob: Side
):
    sending = await alice.send(bob.receive().uri)
    await sending.to(sender.PostingOriginal)
    assert sending.tags()[-1] == "StartedPosting"
    assert world.wire.sent == []


async def test_a_payment_that_expired_before_it_began_never_leaves(
    world: World, alice: Side, bob: Side
):
    sending = await alice.send(bob.receive(lifetime=60).uri)
    world.clock.pass_by(60)
    pending = await sending.to(sender.PendingFallback, steps=1)
    assert not pending.original_out
    assert world.wire.sent == []


async def test_a_post_whose_answer_got_lost_is_repeated_with_fresh_bytes(
    world: World, alice: Side, bob: Side
):
    """P1"""
    sending = await alice.send(bob.receive().uri)
    posting = await sending.to(sender.PostingOriginal)
    world.wire.lose_request = 1
    world.wire.lose_answer = 1
    for _ in range(2):
        with pytest.raises(TransportError):
            await sending.step()
        assert sending.state is posting
    await sending.to(sender.PollingForProposal, steps=1)
    assert len(set(world.wire.bodies())) == 3


@pytest.mark.parametrize("state", [sender.PostingOriginal, sender.PollingForProposal])
async def test_the_expiration_ends_posting_and_polling(
    world: World, alice: Side, bob: Side, state: type[sender.PostingOriginal]
):
    sending = await alice.send(bob.receive(lifetime=60).uri)
    await sending.to(state)
    world.clock.pass_by(60)
    pending = await sending.to(sender.PendingFallback, steps=1)
    assert pending.original_out
    await sending.to(sender.Monitor, steps=1)
    assert world.node.in_mempool(pending.fallback.txid)


@pytest.mark.parametrize("state", [sender.PostingOriginal, sender.PollingForProposal])
async def test_a_fallback_that_the_receiver_broadcast_is_noticed(
    world: World, alice: Side, bob: Side, state: type[sender.PostingOriginal]
):
    sending = await alice.send(bob.receive().uri)
    await sending.to(state)
    world.node.send(sending.state.fallback)
    pending = await sending.to(sender.PendingFallback, steps=1)
    assert pending.reason is Reason.INPUTS_ALREADY_SPENT
    await sending.to(sender.Monitor, steps=1)
    assert alice.party.chain.broadcasts == []


async def test_the_receivers_answer_is_asked_for_before_its_fallback_is_recorded(
    world: World, alice: Side
):
    receiving = Side(world, world.bob).receive()  # without a coin to add
    sending = await paid_into(world, receiving, alice)
    await receiving.to(receiver.PendingFallback)
    await receiving.to(receiver.Monitor)
    assert world.node.in_mempool(sending.state.fallback.txid)
    pending = await sending.to(sender.PendingFallback, steps=1)
    assert pending.reason is Reason.RECEIVER_UNAVAILABLE
    await sending.to(sender.Monitor, steps=1)
    assert sending.tags()[-1] == "ObservedSpend"


async def test_a_spend_is_recorded_though_nobody_answers(world: World, alice: Side, bob: Side):
    sending = await paid_into(world, bob.receive(), alice)
    world.wire.lose_request = 1
    with pytest.raises(TransportError):
        await sending.step()
    world.node.send(sending.state.fallback)
    world.wire.lose_request = 1
    pending = await sending.to(sender.PendingFallback, steps=1)
    assert pending.reason is Reason.INPUTS_ALREADY_SPENT


@pytest.mark.parametrize("state", [sender.PostingOriginal, sender.PollingForProposal])
async def test_who_was_never_reached_is_the_reason(
    world: World, alice: Side, bob: Side, state: type[sender.PostingOriginal]
):
    sending = await alice.send(bob.receive(lifetime=60).uri)
    await sending.to(state)
    world.clock.pass_by(60)
    watch = Watch(trouble=TransportError("nobody", at="relay"))
    await sending.step(failures=sending.services.policy.tries, watch=watch)
    assert isinstance(sending.state, sender.PendingFallback)
    assert sending.state.reason is Reason.RELAY_UNREACHABLE


async def test_a_chain_source_that_is_away_delays_no_negotiation(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive()
    sending = await alice.send(receiving.uri)
    alice.party.chain.away = True
    await sending.to(sender.PollingForProposal)
    await receiving.to(receiver.Monitor)
    await sending.to(sender.ProposalReceived)


async def test_an_empty_mailbox_changes_nothing(world: World, alice: Side, bob: Side):
    sending = await paid_into(world, bob.receive(), alice)
    polling = sending.state
    assert await sending.step() is polling
    assert sending.tags()[-1] == "PostedOriginalPsbt"


async def test_a_poll_that_crosses_the_expiration_still_brings_the_proposal(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive(lifetime=60)
    sending = await paid_into(world, receiving, alice)
    await receiving.to(receiver.Monitor)

    def late(_request: Request, reply: Reply) -> Reply:
        world.clock.pass_by(60)
        return reply

    world.wire.fault = late
    await sending.to(sender.ProposalReceived, steps=1)


# signing


async def test_a_locked_wallet_is_waited_for_past_the_expiration(
    world: World, alice: Side, bob: Side
):
    sending, _ = await proposed(alice, bob)
    received = await sending.to(sender.ProposalReceived)
    alice.party.wallet.cannot_sign = True
    world.clock.pass_by(100_000)
    with pytest.raises(WalletError):
        await sending.step()
    assert sending.state is received
    alice.party.wallet.cannot_sign = False
    await sending.to(sender.PendingBroadcast, steps=1)


async def test_a_signing_deadline_ends_the_wait(world: World, alice: Side, bob: Side):
    sending, _ = await proposed(alice, bob, signing_deadline=world.clock() + 60)
    alice.party.wallet.cannot_sign = True
    await sending.to(sender.ProposalReceived)
    world.clock.pass_by(60)
    pending = await sending.to(sender.PendingFallback, steps=1)
    assert pending.reason is Reason.SIGNING_DEADLINE_PASSED


async def test_a_wallet_that_signs_nothing_leads_to_the_fallback(
    world: World, alice: Side, bob: Side
):
    sending, _ = await proposed(alice, bob)
    await sending.to(sender.ProposalReceived)
    alice.party.wallet.signs_nothing = True
    pending = await sending.to(sender.PendingFallback, steps=1)
    assert pending.reason is Reason.WALLET_CANNOT_SIGN


async def test_a_spend_that_appears_before_the_signature_is_noticed(
    world: World, alice: Side, bob: Side
):
    sending, _ = await proposed(alice, bob)
    await sending.to(sender.ProposalReceived)
    world.node.send(sending.state.fallback)
    pending = await sending.to(sender.PendingFallback, steps=1)
    assert pending.reason is Reason.INPUTS_ALREADY_SPENT


async def test_a_signature_that_does_not_cover_everything_is_never_broadcast(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    """M4: what commits to a part only could be turned into another payment."""
    sending, _ = await proposed(alice, bob)
    await sending.to(sender.ProposalReceived)
    sign = alice.party.wallet.keys.sign

    def sign_in_part(psbt: Psbt) -> Psbt:
        signed = sign(psbt)
        for index, each in enumerate(signed.inputs):
            if signed.unsigned_transaction.contested()[index] in sending.state.contested:
                signature, key = each.final_script_witness or (b"", b"")
                witness = (signature[:-1] + b"\x81", key)
                signed = signed.with_input(index, each.with_final(b"", witness))
        return signed

    monkeypatch.setattr(alice.party.wallet, "sign", sign_in_part)
    await sending.to(sender.PendingFallback, steps=1)
    assert alice.party.chain.broadcasts == []


# broadcasting


async def test_a_payjoin_that_the_network_refuses_gives_way_to_the_fallback(
    world: World, alice: Side, bob: Side
):
    sending, _ = await proposed(alice, bob)
    pending = await sending.to(sender.PendingBroadcast)
    alice.party.chain.refuses = lambda tx: tx == pending.payjoin
    after = await sending.to(sender.PendingFallback, steps=1)
    assert after.reason is Reason.PAYJOIN_REFUSED_BY_NETWORK
    await sending.to(sender.Monitor, steps=1)
    world.node.mine()
    closed = await sending.to(sender.Closed)
    assert closed.outcome == outcomes.FallbackBroadcasted(
        txid=str(pending.fallback.txid), why=Reason.PAYJOIN_REFUSED_BY_NETWORK
    )


async def test_a_payjoin_that_confirmed_before_the_crash_is_no_refusal(
    world: World, alice: Side, bob: Side
):
    sending, _ = await proposed(alice, bob)
    pending = await sending.to(sender.PendingBroadcast)
    world.node.send(pending.payjoin)
    world.node.mine()
    alice.party.chain.refuses = lambda _tx: True
    await sending.to(sender.Monitor, steps=1)
    closed = await sending.to(sender.Closed, steps=1)
    assert isinstance(closed.outcome, outcomes.Success)


# the fallback


async def cancelled(alice: Side, bob: Side, **policy: Any) -> Sending:
    sending = await alice.send(bob.receive().uri, **policy)
    polling = await sending.to(sender.PollingForProposal)
    sending.state = polling.cancel().save(sending.log)
    return sending


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
    assert world.node.in_mempool(monitor.fallback.txid)


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
    world.node.send(pending.fallback)
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
    with pytest.raises(ChainError, match="refuses the fallback"):
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
    assert world.node.in_mempool(pending.fallback.txid)


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
    assert alice.party.chain.broadcasts[broadcasts:] == [monitor.fallback]
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
    monitor, watch = sending.state, Watch()
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
    assert world.node.in_mempool(monitor.fallback.txid)


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
    world.evict(monitor.fallback.txid)
    assert await sending.step() is monitor
    assert world.node.in_mempool(monitor.fallback.txid)
    assert sending.tags().count("BroadcastFallback") == 1


async def test_a_fallback_that_cannot_come_back_is_trouble(world: World, alice: Side, bob: Side):
    sending, monitor = await fallen_back(world, alice, bob)
    world.evict(monitor.fallback.txid)
    alice.party.chain.refuses = lambda _tx: True
    with pytest.raises(ChainError, match="refuses the fallback"):
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
    assert world.node.in_mempool(monitor.fallback.txid)


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
    assert alice.party.chain.broadcasts[broadcasts:] == [monitor.fallback]


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
    watch = Watch()
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
    with pytest.raises(TransportError, match="receiver's server failed: lost"):
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
    watch = Watch()
    with pytest.raises(TransportError, match="Tor does not answer") as caught:
        await sending.step()
    watch.trouble = caught.value
    world.clock.pass_by(600)
    await sending.step(failures=sending.services.policy.tries, watch=watch)
    assert isinstance(sending.state, sender.PendingFallback)
    assert sending.state.reason is Reason.TOR_UNREACHABLE
