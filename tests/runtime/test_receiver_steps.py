from dataclasses import replace

import msgspec
import pytest
from tests.support.stepping import AMOUNT, Receiving, Side, paid_into, refused, told
from tests.support.world import World

from dovetail.bitcoin import FeeRate, Sats, UnixTime
from dovetail.errors import (
    WalletError,
)
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import events
from dovetail.sessions.receiver.payload import Payload

EARLY = (receiver.MaybeInputsOwned, receiver.OutputsUnknown)


async def test_each_typestate_has_its_step(world: World, alice: Side, bob: Side):
    receiving = bob.receive()
    sending = await paid_into(world, receiving, alice)
    monitor = await receiving.to(receiver.Monitor)
    await sending.to(sender.Monitor)
    world.node.mine()
    closed = await receiving.to(receiver.Closed)
    assert isinstance(closed.outcome, outcomes.Success)
    assert await receiving.step() is closed
    assert monitor.payjoin_skeleton is not None
    assert receiving.tags() == [
        "Created",
        "RetrievedOriginalPayload",
        "CheckedBroadcastSuitability",
        "CheckedInputsNotOwned",
        "CheckedNoInputsSeenBefore",
        "IdentifiedReceiverOutputs",
        "CommittedOutputs",
        "CommittedInputs",
        "AppliedFeeRange",
        "FinalizedProposal",
        "PostedPayjoinProposal",
        "Closed",
    ]


# waiting


async def test_an_empty_mailbox_changes_nothing(bob: Side):
    receiving = bob.receive()
    before = receiving.state
    assert await receiving.step() is before
    assert receiving.tags() == ["Created"]


async def test_nobody_pays_until_expiration_and_grace_have_passed(world: World, bob: Side):
    receiving = bob.receive(lifetime=60, grace=600)
    world.clock.pass_by(60)
    waiting = receiving.state
    assert await receiving.step() is waiting, "a sender may make the ordinary payment now"
    world.clock.pass_by(600)
    closed = await receiving.to(receiver.Closed, steps=1)
    assert closed.outcome == outcomes.Expired(received=0)
    assert world.wire.sent == []


async def test_a_plain_payment_closes_the_session_once_it_is_deep_enough(world: World, bob: Side):
    receiving = bob.receive(lifetime=60, depth=2)
    paid = world.node.fund(receiving.uri.address.script_pubkey, AMOUNT, confirmations=0)
    waiting = receiving.state
    assert await receiving.step() is waiting
    world.clock.pass_by(60)
    assert await receiving.step() is waiting, "it was paid before the expiration"
    world.node.mine()
    assert await receiving.step() is waiting
    world.node.mine()
    closed = await receiving.to(receiver.Closed, steps=1)
    assert closed.outcome == outcomes.PaidDirectly(txid=str(paid.txid), received=AMOUNT)


async def test_a_payment_whose_original_was_lost_is_seen_when_it_is_made_at_the_expiration(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive(lifetime=60)
    sending = await alice.send(receiving.uri)
    await sending.to(sender.PollingForProposal)
    world.wire.directory.mailboxes.clear()
    world.clock.pass_by(60)
    await receiving.step()
    await sending.to(sender.Monitor)
    world.node.mine()
    closed = await receiving.to(receiver.Closed, steps=1)
    assert closed.outcome == outcomes.PaidDirectly(
        txid=str(sending.state.fallback_transaction.txid), received=AMOUNT
    )


async def test_less_than_was_asked_for_is_no_payment(world: World, bob: Side):
    receiving = bob.receive()
    world.node.fund(receiving.uri.address.script_pubkey, Sats(AMOUNT - 1))
    await receiving.step()
    assert isinstance(receiving.state, receiver.Initialized)


async def test_without_an_amount_any_payment_counts(world: World, bob: Side):
    receiving = bob.receive(amount=None)
    world.node.fund(receiving.uri.address.script_pubkey, Sats(1000))
    await receiving.to(receiver.Closed, steps=1)


async def test_a_session_served_over_http_does_not_poll(world: World, bob: Side):
    log = bob.store.new_receiver()
    state = receiver.create_v1(
        address=bob.party.wallet.new_address(),
        url="https://shop.example/pj",
        expires_at=UnixTime(world.clock() + 60),
    ).save(log)
    receiving = Receiving(bob.services(), log, state)
    assert await receiving.step() is state
    assert world.wire.sent == []
    world.clock.pass_by(660)
    await receiving.to(receiver.Closed, steps=1)


# the Original


async def test_an_original_is_not_taken_while_a_plain_payment_confirms(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive()
    sending = await paid_into(world, receiving, alice)
    await receiving.to(receiver.UncheckedOriginalPayload)
    paid = world.node.fund(receiving.uri.address.script_pubkey, AMOUNT, confirmations=0)
    refusing = await receiving.to(receiver.HasReplyableError, steps=1)
    assert refusing.reason is Reason.PAID_DIRECTLY
    waiting = await receiving.to(receiver.Initialized, steps=1)
    assert await receiving.step() is waiting, "unconfirmed it is no outcome yet"
    world.node.mine()
    closed = await receiving.to(receiver.Closed)
    assert closed.outcome == outcomes.PaidDirectly(txid=str(paid.txid), received=AMOUNT)
    assert (await sending.to(sender.PendingFallback)).reason is Reason.RECEIVER_UNAVAILABLE


async def test_a_fee_below_the_policy_is_refused(world: World, alice: Side, bob: Side):
    receiving = bob.receive(min_fee_rate=FeeRate.from_sat_per_vb(1000))
    sending = await paid_into(world, receiving, alice)
    await refused(receiving, Reason.ORIGINAL_NOT_BROADCASTABLE)
    await told(receiving, sending, Reason.RECEIVER_ORIGINAL_PSBT_REJECTED)


async def test_an_original_whose_coins_are_spent_is_refused(world: World, alice: Side, bob: Side):
    receiving = bob.receive()
    sending = await paid_into(world, receiving, alice)
    world.node.send(alice.party.wallet.revoke(sending.state.contested[0], fee_rate=FeeRate(1)))
    world.node.mine()
    await refused(receiving, Reason.ORIGINAL_INPUTS_SPENT)


async def test_garbage_burns_nobodys_coins(world: World, alice: Side, bob: Side):
    bob.party.chain.runs_scripts = False
    receiving = bob.receive()
    sending = await paid_into(world, receiving, alice)
    unchecked = await receiving.to(receiver.UncheckedOriginalPayload)
    psbt = unchecked.original
    signature, key = psbt.inputs[0].final_script_witness or (b"", b"")
    spoilt = signature[:20] + bytes([signature[20] ^ 1]) + signature[21:]
    garbage = psbt.with_input(0, psbt.inputs[0].with_final(witness=(spoilt, key)))
    event = msgspec.structs.replace(unchecked.payload.event, psbt=garbage.serialize())
    receiving.state = replace(unchecked, payload=Payload(event))
    await receiving.to(receiver.HasReplyableError, steps=1)
    other = bob.receive()
    assert bob.store.claim(other.log.session_id, sending.state.contested) == frozenset()


async def test_the_wallet_signs_what_it_is_asked_to(world: World, alice: Side, bob: Side):
    receiving = bob.receive()
    sending = await paid_into(world, receiving, alice)
    monitor = await receiving.to(receiver.Monitor)
    await sending.to(sender.Monitor)
    assert monitor.proposal is not None
    outpoints = frozenset(monitor.proposal.unsigned_transaction.contested())
    assert alice.party.wallet.asked_to_sign == frozenset(sending.state.contested)
    assert bob.party.wallet.asked_to_sign == outpoints - frozenset(sending.state.contested)


async def test_an_original_that_spends_our_coins_is_refused(world: World, bob: Side):
    receiving = bob.receive()
    sending = await paid_into(world, receiving, bob)
    await refused(receiving, Reason.ORIGINAL_SPENDS_OUR_COINS)
    await told(receiving, sending, Reason.RECEIVER_ORIGINAL_PSBT_REJECTED)


async def test_inputs_that_another_session_saw_are_refused(world: World, alice: Side, bob: Side):
    """P2"""
    earlier, receiving = bob.receive(), bob.receive()
    sending = await paid_into(world, receiving, alice)
    bob.store.claim(earlier.session_id, sending.state.contested)
    await refused(receiving, Reason.ORIGINAL_INPUTS_SEEN_BEFORE)
    await told(receiving, sending, Reason.RECEIVER_ORIGINAL_PSBT_REJECTED)


async def test_a_session_that_claimed_before_a_crash_goes_on(world: World, alice: Side, bob: Side):
    """The claim is durable before its event: what a crash leaves is our own."""
    receiving = bob.receive()
    sending = await paid_into(world, receiving, alice)
    await receiving.to(receiver.MaybeInputsSeen)
    bob.store.claim(receiving.session_id, sending.state.contested)
    await receiving.to(receiver.OutputsUnknown)


async def test_an_original_that_does_not_pay_us_is_refused(world: World, alice: Side, bob: Side):
    receiving = bob.receive()
    elsewhere = alice.party.wallet.new_address()
    sending = await alice.send(replace(receiving.uri, address=elsewhere))
    await sending.to(sender.PollingForProposal)
    await refused(receiving, Reason.ORIGINAL_DOES_NOT_PAY_US)
    await told(receiving, sending, Reason.RECEIVER_ORIGINAL_PSBT_REJECTED)


# a wallet that is away


@pytest.mark.parametrize("state", [*EARLY, receiver.WantsInputs])
async def test_a_wallet_that_stays_away_is_told_to_the_sender(
    world: World,
    alice: Side,
    bob: Side,
    state: type[receiver.MaybeInputsOwned | receiver.OutputsUnknown | receiver.WantsInputs],
):
    receiving = bob.receive(tries=3)
    sending = await paid_into(world, receiving, alice)
    before = await receiving.to(state)
    bob.party.wallet.away = True
    for failures in range(3):
        with pytest.raises(WalletError):
            await receiving.step(failures=failures)
        assert receiving.state is before
    await receiving.step(failures=3)
    await refused(receiving, Reason.WALLET_UNAVAILABLE)
    pending = await receiving.to(receiver.PendingFallback)
    assert pending.owed == (state is receiver.WantsInputs)
    await told(receiving, sending, Reason.RECEIVER_UNAVAILABLE)


async def test_a_wallet_that_stays_locked_is_told_to_the_sender(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive(tries=3)
    sending = await paid_into(world, receiving, alice)
    await receiving.to(receiver.ProvisionalProposal)
    bob.party.wallet.cannot_sign = True
    with pytest.raises(WalletError):
        await receiving.step(failures=2)
    await receiving.step(failures=3)
    await refused(receiving, Reason.WALLET_CANNOT_SIGN)
    assert bob.store.exposed() == frozenset()
    await told(receiving, sending, Reason.RECEIVER_UNAVAILABLE)


# what is durable before what


class Ordered:
    """A log that looks at the store at the moment of each append."""

    def __init__(self, side: Side, log: object) -> None:
        self.side, self.log = side, log
        self.reserved: dict[str, int] = {}
        self.exposed: dict[str, int] = {}
        self.claimed: dict[str, bool] = {}

    def __getattr__(self, name: str) -> object:
        return getattr(self.log, name)

    async def advance_async(
        self, event: events.ReceiverEvent, state: object, /, *, seq: int, closes: bool
    ) -> None:
        tag = type(event).__name__
        self.reserved[tag] = len(self.side.store.reserved())
        self.exposed[tag] = len(self.side.store.exposed())
        self.claimed[tag] = bool(self.side.store._tables.seen)
        await self.log.advance_async(  # type: ignore[attr-defined]
            event, state, seq=seq, closes=closes
        )


async def test_claims_holds_and_exposure_are_durable_before_the_events_that_rely_on_them(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive()
    await paid_into(world, receiving, alice)
    ordered = Ordered(bob, receiving.log)
    receiving.log = ordered  # type: ignore[assignment]  # it passes everything on
    await receiving.to(receiver.Monitor)
    assert ordered.claimed["CheckedNoInputsSeenBefore"]
    assert (ordered.reserved["CommittedOutputs"], ordered.reserved["CommittedInputs"]) == (0, 1)
    assert (ordered.exposed["AppliedFeeRange"], ordered.exposed["FinalizedProposal"]) == (0, 1)
