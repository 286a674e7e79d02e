from collections.abc import Collection

import pytest
from tests.support.stepping import Side, broadcast, paid_into, proposed
from tests.support.world import World

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import OutPoint
from dovetail.errors import ChainError, TransportError, WalletError
from dovetail.protocol.requests import Request
from dovetail.runtime.chain_watch import ChainWatch
from dovetail.runtime.transport import Reply
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.reasons import Reason


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
    assert world.node.in_mempool(pending.fallback_transaction.txid)


@pytest.mark.parametrize("state", [sender.PostingOriginal, sender.PollingForProposal])
async def test_a_fallback_that_the_receiver_broadcast_is_noticed(
    world: World, alice: Side, bob: Side, state: type[sender.PostingOriginal]
):
    sending = await alice.send(bob.receive().uri)
    await sending.to(state)
    world.node.send(sending.state.fallback_transaction)
    pending = await sending.to(sender.PendingFallback, steps=1)
    assert pending.reason is Reason.RECEIVER_TOOK_FALLBACK
    await sending.to(sender.Monitor, steps=1)
    assert alice.party.chain.broadcasts == []


async def test_the_receivers_answer_is_asked_for_before_its_fallback_is_recorded(
    world: World, alice: Side
):
    receiving = Side(world, world.bob).receive()  # without a coin to add
    sending = await paid_into(world, receiving, alice)
    await receiving.to(receiver.PendingFallback)
    await receiving.to(receiver.Monitor)
    assert world.node.in_mempool(sending.state.fallback_transaction.txid)
    pending = await sending.to(sender.PendingFallback, steps=1)
    assert pending.reason is Reason.RECEIVER_UNAVAILABLE
    await sending.to(sender.Monitor, steps=1)
    assert sending.tags()[-1] == "ObservedSpend"


async def test_a_spend_is_recorded_though_nobody_answers(world: World, alice: Side, bob: Side):
    sending = await paid_into(world, bob.receive(), alice)
    world.wire.lose_request = 1
    with pytest.raises(TransportError):
        await sending.step()
    world.node.send(sending.state.fallback_transaction)
    world.wire.lose_request = 1
    pending = await sending.to(sender.PendingFallback, steps=1)
    assert pending.reason is Reason.RECEIVER_TOOK_FALLBACK


@pytest.mark.parametrize("state", [sender.PostingOriginal, sender.PollingForProposal])
async def test_who_was_never_reached_is_the_reason(
    world: World, alice: Side, bob: Side, state: type[sender.PostingOriginal]
):
    sending = await alice.send(bob.receive(lifetime=60).uri)
    await sending.to(state)
    world.clock.pass_by(60)
    watch = ChainWatch(trouble=TransportError("nobody", at="relay"))
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
    world.node.send(sending.state.fallback_transaction)
    pending = await sending.to(sender.PendingFallback, steps=1)
    assert pending.reason is Reason.RECEIVER_TOOK_FALLBACK


async def test_a_signature_that_does_not_cover_everything_is_never_broadcast(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    """M4: what commits to a part only could be turned into another payment."""
    sending, _ = await proposed(alice, bob)
    await sending.to(sender.ProposalReceived)
    sign = alice.party.wallet.keys.sign

    def sign_in_part(psbt: Psbt, *, inputs: Collection[OutPoint]) -> Psbt:
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
        txid=str(pending.fallback_transaction.txid), why=Reason.PAYJOIN_REFUSED_BY_NETWORK
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


async def test_an_untold_payjoin_is_looked_for_before_it_is_tried_again(
    world: World, alice: Side, bob: Side
):
    sending, _ = await proposed(alice, bob)
    pending = await sending.to(sender.PendingBroadcast)
    alice.party.chain.mumbles = lambda _tx: True
    with pytest.raises(ChainError, match="does not say"):
        await sending.step()
    assert sending.state is pending
    world.node.send(pending.payjoin)
    monitor = await sending.step()
    assert isinstance(monitor, sender.Monitor)
