"""A payer's word for the fallback: from every state, once, and at a higher fee."""

from collections.abc import Collection

import pytest
from tests.support.stepping import AMOUNT, Sending, Side, broadcast, crash, double_spend, sending_at
from tests.support.world import World

from dovetail.bitcoin import FeeRate, OutPoint, Sats, Script, Transaction, TxOut
from dovetail.errors import ChainError, DuplicateSession, UsageError
from dovetail.runtime import decisions
from dovetail.runtime.chain_watch import ChainWatch
from dovetail.sessions import outcomes, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sightings import SpendKind
from dovetail.testing.faults import Crash

RATE = FeeRate.from_sat_per_vb(20)
HOLDING = (
    sender.WithReplyKey,
    sender.PostingOriginal,
    sender.PollingForProposal,
    sender.ProposalReceived,
    sender.PendingBroadcast,
)


@pytest.mark.parametrize("state", HOLDING)
async def test_one_word_pays_from_every_state_that_holds_a_fallback(
    world: World, alice: Side, bob: Side, state: type[sender.SenderSession]
):
    sending = await sending_at(alice, bob, state)
    monitor = await decisions.fallback(sending.services, sending.session_id)
    assert isinstance(monitor, sender.Monitor)
    assert monitor.expected == monitor.fallback_transaction.txid
    assert world.node.in_mempool(monitor.fallback_transaction.txid)
    assert sending.tags()[-2:] == ["FallbackRequested", "BroadcastFallback"]


@pytest.mark.parametrize("state", HOLDING)
async def test_said_again_it_changes_nothing(
    alice: Side, bob: Side, state: type[sender.SenderSession]
):
    sending = await sending_at(alice, bob, state)
    first = await decisions.fallback(sending.services, sending.session_id)
    tags, sent = sending.tags(), len(alice.party.chain.broadcasts)
    assert await decisions.fallback(sending.services, sending.session_id) == first
    assert sending.tags() == tags
    assert len(alice.party.chain.broadcasts) == sent


async def test_said_again_against_a_payjoin_it_changes_nothing(alice: Side, bob: Side):
    sending = await broadcast(alice, bob)
    first = await decisions.fallback(sending.services, sending.session_id)
    assert isinstance(first, sender.Monitor)
    assert first.payjoin is not None
    assert first.expected == first.payjoin.txid
    tags, sent = sending.tags(), len(alice.party.chain.broadcasts)
    assert await decisions.fallback(sending.services, sending.session_id) == first
    assert sending.tags() == tags
    assert len(alice.party.chain.broadcasts) == sent


async def test_nothing_is_asked_for_once_a_payment_is_in_a_block(
    world: World, alice: Side, bob: Side
):
    sending = await broadcast(alice, bob, depth=3)
    world.node.mine()
    tags = sending.tags()
    assert await decisions.fallback(sending.services, sending.session_id) == sending.state
    assert sending.tags() == tags
    with pytest.raises(UsageError, match="in a block already"):
        await decisions.fallback(sending.services, sending.session_id, fee_rate=RATE)


@pytest.mark.parametrize("state", HOLDING)
async def test_the_word_is_durable_before_the_fallback_leaves(
    world: World,
    alice: Side,
    bob: Side,
    monkeypatch: pytest.MonkeyPatch,
    state: type[sender.SenderSession],
):
    sending = await sending_at(alice, bob, state)
    with monkeypatch.context() as changed:
        changed.setattr(alice.party.chain, "broadcast", crash)
        with pytest.raises(Crash):
            await decisions.fallback(sending.services, sending.session_id)
    pending = sending.reload()
    assert isinstance(pending, sender.PendingFallback)
    assert pending.requested
    monitor = await sending.to(sender.Monitor, steps=1)
    assert world.node.in_mempool(monitor.fallback_transaction.txid)


async def test_a_chain_that_is_away_takes_nobodys_right_to_decide(alice: Side, bob: Side):
    sending = await sending_at(alice, bob, sender.PollingForProposal)
    alice.party.chain.away = True
    with pytest.raises(ChainError):
        await decisions.fallback(sending.services, sending.session_id)
    assert sending.tags()[-1] == "FallbackRequested"


# what nobody answers for


@pytest.mark.parametrize("silence", ["mumbles", "raises"])
async def test_a_payjoin_that_nobody_answers_for_gives_way_after_a_time(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch, silence: str
):
    """Neither accepted nor refused: it is tried again, and not for ever."""
    sending = await sending_at(alice, bob, sender.PendingBroadcast)

    def away(_transaction: Transaction) -> object:
        raise ChainError("The chain is away.")

    with monkeypatch.context() as changed:
        if silence == "raises":
            changed.setattr(alice.party.chain, "broadcast", away)
        alice.party.chain.mumbles = lambda _tx: True
        for _ in range(3):
            with pytest.raises(ChainError):
                await sending.step()
        assert isinstance(sending.reload(), sender.PendingBroadcast)
        world.clock.pass_by(599)
        with pytest.raises(ChainError):
            await sending.step()
        world.clock.pass_by(1)
        pending = await sending.step()
    assert isinstance(pending, sender.PendingFallback)
    assert pending.reason is Reason.PAYJOIN_UNANSWERED
    alice.party.chain.mumbles = lambda _tx: False
    monitor = await sending.to(sender.Monitor)
    assert world.node.in_mempool(monitor.fallback_transaction.txid)


async def test_a_log_without_a_time_counts_from_when_it_was_first_tried(
    world: World, alice: Side, bob: Side
):
    sending = await sending_at(alice, bob, sender.ProposalReceived)
    assert isinstance(sending.state, sender.ProposalReceived)
    signed = alice.party.wallet.sign(sending.state.psbt_to_sign, inputs=sending.state.contested)
    sending.state = sending.state.record_signed(signed).save(sending.log)
    alice.party.chain.mumbles = lambda _tx: True
    watch = ChainWatch()
    world.clock.pass_by(100_000)
    with pytest.raises(ChainError):
        await sending.step(watch=watch)
    world.clock.pass_by(600)
    assert isinstance(await sending.step(watch=watch), sender.PendingFallback)


async def test_a_confirmed_rival_is_seen_before_anything_is_broadcast(
    world: World, alice: Side, bob: Side
):
    """The receiver's fallback has confirmed: the payjoin is not thrown at it for ever."""
    sending = await sending_at(alice, bob, sender.PendingBroadcast)
    world.node.send(sending.state.fallback_transaction)
    world.node.mine()
    pending = await sending.step()
    assert isinstance(pending, sender.PendingFallback)
    assert pending.reason is Reason.RECEIVER_TOOK_FALLBACK
    assert alice.party.chain.broadcasts == []
    closed = await sending.to(sender.Closed)
    assert isinstance(closed.outcome, outcomes.FallbackBroadcasted)


async def test_a_rival_that_waits_to_be_mined_is_competed_with(
    world: World, alice: Side, bob: Side
):
    sending = await sending_at(alice, bob, sender.PendingBroadcast)
    assert isinstance(sending.state, sender.PendingBroadcast)
    world.node.send(sending.state.fallback_transaction)
    payjoin = sending.state.payjoin
    await sending.step()
    assert alice.party.chain.broadcasts == [payjoin]


async def test_a_payjoin_that_is_there_already_is_not_broadcast_again(
    world: World, alice: Side, bob: Side
):
    sending = await sending_at(alice, bob, sender.PendingBroadcast)
    assert isinstance(sending.state, sender.PendingBroadcast)
    world.node.send(sending.state.payjoin)
    monitor = await sending.step()
    assert isinstance(monitor, sender.Monitor)
    assert alice.party.chain.broadcasts == []


async def test_a_rival_beside_an_unclear_answer_ends_the_payjoin(
    world: World, alice: Side, bob: Side
):
    sending = await sending_at(alice, bob, sender.PendingBroadcast)
    alice.party.chain.mumbles = lambda _tx: True
    world.node.send(double_spend(alice, sending))
    pending = await sending.step()
    assert isinstance(pending, sender.PendingFallback)
    assert pending.reason is Reason.INPUTS_ALREADY_SPENT


async def test_what_was_asked_for_gives_way_to_a_block(world: World, alice: Side, bob: Side):
    sending = await sending_at(alice, bob, sender.PollingForProposal)
    polling = sending.state
    assert isinstance(polling, sender.PollingForProposal)
    sending.state = polling.request_fallback().save(sending.log)
    world.node.send(double_spend(alice, sending))
    world.node.mine()
    await sending.to(sender.Monitor, steps=1)
    assert alice.party.chain.broadcasts == []


# an invoice that was paid otherwise


@pytest.mark.parametrize("parts", [(AMOUNT,), (AMOUNT - 1_000, 1_000)])
async def test_the_policy_does_not_pay_an_invoice_that_is_paid_already(
    world: World, alice: Side, bob: Side, parts: tuple[int, ...]
):
    """M4: a payer who lost their state paid the address from other coins. Their word decides."""
    sending = await alice.send(bob.receive(lifetime=60).uri)
    await sending.to(sender.PollingForProposal)
    address = sending.state.terms.address
    world.node.fund_many([TxOut(Sats(part), address.script_pubkey) for part in parts])
    world.clock.pass_by(60)
    await sending.to(sender.PendingFallback)
    watch = ChainWatch()
    with pytest.raises(UsageError, match="was paid that amount already"):
        await sending.step(watch=watch)
    assert watch.sighting is not None
    assert watch.sighting.kind == "direct"
    assert alice.party.chain.broadcasts == []
    alice.store.saw(sending.session_id, watch.sighting)
    await decisions.fallback(sending.services, sending.session_id)
    assert world.received(address)[-1] == AMOUNT


@pytest.mark.parametrize("rate", [None, RATE])
@pytest.mark.parametrize("state", HOLDING)
async def test_a_word_that_would_pay_a_second_time_has_to_be_said_twice(
    world: World,
    alice: Side,
    bob: Side,
    state: type[sender.SenderSession],
    rate: FeeRate | None,
):
    """M4: who says `fallback` may not know that the invoice is paid."""
    sending = await sending_at(alice, bob, state)
    address, tags = sending.state.terms.address, sending.tags()
    world.node.fund(address.script_pubkey, AMOUNT, confirmations=0)
    with pytest.raises(UsageError, match="a second time"):
        await decisions.fallback(sending.services, sending.session_id, fee_rate=rate)
    assert sending.tags() == tags
    assert alice.party.chain.broadcasts == []
    paid = await decisions.fallback(sending.services, sending.session_id, fee_rate=rate)
    assert world.node.in_mempool(paid.fallback_transaction.txid)  # type: ignore[union-attr]  # a sender's


async def test_no_payjoin_is_signed_for_an_invoice_that_is_paid_already(
    world: World, alice: Side, bob: Side
):
    """M4: paid from other coins after the receiver had looked, or by one who does not look."""
    sending = await sending_at(alice, bob, sender.ProposalReceived)
    paid = world.node.fund(sending.state.terms.address.script_pubkey, AMOUNT, confirmations=0)
    watch = ChainWatch()
    pending = await sending.to(sender.PendingFallback, steps=1, watch=watch)
    assert pending.reason is Reason.PAID_DIRECTLY
    assert watch.sighting is not None
    assert watch.sighting.txid == paid.txid
    with pytest.raises(UsageError, match="was paid that amount already"):
        await sending.step()
    assert alice.party.chain.broadcasts == []
    world.evict(paid.txid)
    await sending.to(sender.Monitor, steps=1)
    assert world.node.in_mempool(pending.fallback_transaction.txid)


async def test_less_than_the_invoice_is_no_reason_not_to_pay(world: World, alice: Side, bob: Side):
    sending = await alice.send(bob.receive(lifetime=60).uri)
    await sending.to(sender.PollingForProposal)
    script = sending.state.terms.address.script_pubkey
    world.node.fund_many([TxOut(Sats(AMOUNT - 1), script)])
    world.clock.pass_by(60)
    await sending.to(sender.Monitor)


async def test_a_source_that_cannot_tell_keeps_nobody_from_paying(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    sending = await alice.send(bob.receive(lifetime=60).uri)
    await sending.to(sender.PollingForProposal)
    world.clock.pass_by(60)

    def away(_script: Script) -> object:
        raise ChainError("The chain is away.")

    monkeypatch.setattr(alice.party.chain, "payments_to", away)
    await sending.to(sender.Monitor)


async def test_who_pays_an_address_again_is_not_kept_from_it(world: World, alice: Side, bob: Side):
    receiving = bob.receive(lifetime=60)
    script = receiving.uri.address.script_pubkey
    world.node.fund_many([TxOut(Sats(AMOUNT), script)])
    agent = alice.agent()
    with pytest.raises(DuplicateSession, match="was paid that amount already"):
        await agent.prepare(receiving.uri)
    payment = await agent.prepare(receiving.uri, again=True)
    live = await agent.start(payment)
    await live.stop()
    log = alice.store.sender(live.session_id)
    sending = Sending(agent.services, log, sender.replay(log.load()))
    assert sending.state.created.again  # type: ignore[union-attr]  # no ordinary payment
    await sending.to(sender.PollingForProposal)
    world.clock.pass_by(60)
    await sending.to(sender.Monitor)


# what the lists say of it


async def test_what_was_replaced_is_no_longer_told_as_seen(world: World, alice: Side, bob: Side):
    sending = await broadcast(alice, bob)
    monitor = sending.state
    assert isinstance(monitor, sender.Monitor)
    watch = ChainWatch()
    await sending.step(watch=watch)
    assert watch.sighting is not None
    assert watch.sighting.kind is SpendKind.PAYJOIN
    alice.store.saw(sending.session_id, watch.sighting)
    raised_one = await decisions.fallback(sending.services, sending.session_id, fee_rate=RATE)
    seen = alice.store.row(sending.session_id).sighting
    assert seen is not None
    assert seen.txid == raised_one.fallback_transaction.txid  # type: ignore[union-attr]  # a sender's
    assert seen.kind is SpendKind.FALLBACK
    assert await decisions.fallback(sending.services, sending.session_id) == raised_one
    assert alice.store.row(sending.session_id).sighting == seen


async def test_a_decision_needs_no_look(alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch):
    sending = await sending_at(alice, bob, sender.PollingForProposal)

    def away(_outpoints: Collection[OutPoint]) -> object:
        raise ChainError("The chain is away.")

    monkeypatch.setattr(alice.party.chain, "spends_of", away)
    assert isinstance(
        await decisions.fallback(sending.services, sending.session_id), sender.Monitor
    )
    assert alice.store.row(sending.session_id).sighting is None
