"""A payer raises the fee of a payment that waits for a block."""

from collections.abc import Collection

import pytest
from tests.support.stepping import AMOUNT, Sending, Side, broadcast, crash, double_spend, sending_at
from tests.support.world import World

from dovetail.bitcoin import FeeRate, OutPoint, Psbt, Transaction
from dovetail.errors import InsufficientFunds, UsageError, WalletError
from dovetail.runtime import decisions
from dovetail.runtime.chain_watch import ChainWatch
from dovetail.runtime.fee_bump import raised
from dovetail.sessions import outcomes, receiver, sender
from dovetail.testing.faults import Crash

RATE = FeeRate.from_sat_per_vb(20)
HOLDING = (
    sender.WithReplyKey,
    sender.PostingOriginal,
    sender.PollingForProposal,
    sender.ProposalReceived,
    sender.PendingBroadcast,
)


# a higher fee


async def waiting(alice: Side, bob: Side) -> Sending:
    """A fallback that waits to be mined."""
    sending = await sending_at(alice, bob, sender.PollingForProposal)
    await decisions.fallback(sending.services, sending.session_id)
    sending.reload()
    return sending


@pytest.mark.parametrize("state", [*HOLDING, sender.Monitor])
async def test_a_payer_raises_the_fee_of_what_is_unconfirmed(
    world: World, alice: Side, bob: Side, state: type[sender.SenderSession]
):
    """M4: the payjoin, or the first fallback, is replaced by the same payment."""
    sending = await sending_at(alice, bob, state)
    address, first = sending.state.terms.address, sending.state.fallback_transaction
    monitor = await decisions.fallback(sending.services, sending.session_id, fee_rate=RATE)
    assert isinstance(monitor, sender.Monitor)
    assert monitor.fallback_transaction != first
    assert monitor.original.fee >= RATE.fee(monitor.fallback_transaction.weight)
    assert world.node.in_mempool(monitor.fallback_transaction.txid)
    assert world.received(address) == [AMOUNT]
    world.node.mine()
    sending.reload()
    closed = await sending.to(sender.Closed)
    assert closed.outcome == outcomes.FallbackBroadcasted(
        txid=str(monitor.fallback_transaction.txid), why=monitor.reason
    )
    assert world.received(address) == [AMOUNT]


async def test_a_diluted_payjoin_pins_nobody(world: World, alice: Side, bob: Side):
    """Whatever rate the payjoin pays, its payer pays another, and beats it."""
    sending = await broadcast(alice, bob)
    monitor = sending.state
    assert isinstance(monitor, sender.Monitor)
    assert monitor.payjoin is not None
    assert monitor.proposal is not None
    after = await decisions.fallback(
        sending.services, sending.session_id, fee_rate=FeeRate.from_sat_per_vb(6)
    )
    assert isinstance(after, sender.Monitor)
    assert after.original.fee > monitor.proposal.fee
    assert not world.node.in_mempool(monitor.payjoin.txid)
    assert world.node.in_mempool(after.fallback_transaction.txid)


async def test_a_raised_fee_is_durable_before_it_leaves(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    sending = await waiting(alice, bob)
    with monkeypatch.context() as changed:
        changed.setattr(alice.party.chain, "broadcast", crash)
        with pytest.raises(Crash):
            await decisions.fallback(sending.services, sending.session_id, fee_rate=RATE)
    assert sending.tags()[-1] == "FallbackBumped"
    sending.reload()
    monitor = await sending.to(sender.Monitor, steps=1)
    assert monitor.expected == monitor.fallback_transaction.txid
    assert world.node.in_mempool(monitor.fallback_transaction.txid)


async def test_the_receiver_reads_a_raised_fallback_as_paid(world: World, alice: Side, bob: Side):
    receiving = bob.receive()
    sending = await alice.send(receiving.uri)
    await sending.to(sender.PollingForProposal)
    await receiving.to(receiver.Monitor)
    await decisions.fallback(sending.services, sending.session_id, fee_rate=RATE)
    world.node.mine()
    closed = await receiving.to(receiver.Closed)
    assert isinstance(closed.outcome, outcomes.PaidDirectly)


async def test_what_another_wallet_made_of_the_payment_is_told_by_its_effect(
    world: World, alice: Side, bob: Side
):
    """`bumpfee` in the wallet: the receiver is paid, and so its payer has paid."""
    sending = await waiting(alice, bob)
    elsewhere = await waiting_elsewhere(sending)
    world.node.send(elsewhere)
    watch = ChainWatch()
    await sending.step(watch=watch)
    assert watch.sighting is not None
    assert watch.sighting.kind == "payment"
    world.node.mine()
    closed = await sending.to(sender.Closed)
    assert closed.outcome == outcomes.PaidDirectly(txid=str(elsewhere.txid))


async def waiting_elsewhere(sending: Sending) -> Transaction:
    assert isinstance(sending.state, sender.Monitor)
    return (
        await raised(sending.state, None, sending.services.async_wallet, fee_rate=RATE)
    ).original.extract()


async def test_a_fee_that_is_no_higher_is_refused(alice: Side, bob: Side):
    sending = await waiting(alice, bob)
    with pytest.raises(UsageError, match="pays that rate already"):
        await decisions.fallback(
            sending.services, sending.session_id, fee_rate=FeeRate.from_sat_per_vb(1)
        )


async def test_a_fee_beyond_the_change_is_refused_before_anything_is_decided(
    alice: Side, bob: Side
):
    sending = await sending_at(alice, bob, sender.PollingForProposal)
    tags = sending.tags()
    with pytest.raises(InsufficientFunds, match="too small for a fee"):
        await decisions.fallback(
            sending.services, sending.session_id, fee_rate=FeeRate.from_sat_per_vb(20_000)
        )
    assert sending.tags() == tags


async def test_a_payment_without_change_cannot_pay_more(
    alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    sending = await waiting(alice, bob)
    monkeypatch.setattr(alice.party.wallet, "owned", lambda _scripts: frozenset())
    with pytest.raises(InsufficientFunds, match="has no change"):
        await decisions.fallback(sending.services, sending.session_id, fee_rate=RATE)


async def test_what_replaces_a_stranger_pays_the_chosen_rate(world: World, alice: Side, bob: Side):
    sending = await waiting(alice, bob)
    world.node.send(double_spend(alice, sending))
    with pytest.raises(WalletError, match="fee raised"):
        await decisions.fallback(
            sending.services, sending.session_id, fee_rate=FeeRate.from_sat_per_vb(6)
        )
    assert sending.tags()[-2:] == ["FallbackBumped", "ObservedSpend"]
    sending.reload()
    assert isinstance(sending.state, sender.Monitor)


async def test_a_refused_raise_stays_owed(alice: Side, bob: Side):
    sending = await sending_at(alice, bob, sender.PollingForProposal)
    alice.party.chain.refuses = lambda _tx: True
    with pytest.raises(WalletError, match="refused the payment with its fee raised"):
        await decisions.fallback(sending.services, sending.session_id, fee_rate=RATE)
    assert sending.tags()[-1] == "FallbackBumped"


async def test_a_wallet_that_only_signs_is_finalized_for(
    alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    sending = await waiting(alice, bob)
    final = alice.party.wallet.sign

    def partly(psbt: Psbt, *, inputs: Collection[OutPoint]) -> Psbt:
        signed = final(psbt, inputs=inputs)
        witness = signed.inputs[0].final_script_witness
        assert witness is not None
        bare = psbt.inputs[0].with_partial_signature(witness[1], witness[0])
        return psbt.with_input(0, bare)

    monkeypatch.setattr(alice.party.wallet, "sign", partly)
    monitor = await decisions.fallback(sending.services, sending.session_id, fee_rate=RATE)
    assert isinstance(monitor, sender.Monitor)


async def test_only_who_pays_can_raise_a_fee(bob: Side):
    receiving = bob.receive()
    with pytest.raises(UsageError, match="Only the payer"):
        await decisions.fallback(receiving.services, receiving.session_id, fee_rate=RATE)
