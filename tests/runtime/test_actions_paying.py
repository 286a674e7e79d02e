import pytest
from tests.support.stepping import (
    Receiving,
    Sending,
    Side,
    paid_into,
    receiving_at,
    revoke,
    sending_at,
)
from tests.support.wallet import FEE
from tests.support.world import World

from dovetail.bitcoin import FeeRate, Transaction
from dovetail.errors import ChainError, UsageError, WalletError
from dovetail.runtime import decisions
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.reasons import Reason

RATE = FeeRate.from_sat_per_vb(5)


# fallback


async def test_a_cancelled_payment_is_paid_on_the_users_word(world: World, alice: Side, bob: Side):
    sending = await sending_at(alice, bob, sender.PollingForProposal)
    await decisions.cancel(sending.services, sending.session_id)
    monitor = await decisions.fallback(sending.services, sending.session_id)
    assert isinstance(monitor, sender.Monitor)
    assert world.node.in_mempool(monitor.fallback_transaction.txid)
    assert monitor.expected == monitor.fallback_transaction.txid


async def test_a_receiver_pays_itself_on_the_users_word(world: World, alice: Side, bob: Side):
    receiving = await receiving_at(world, alice, bob, receiver.Monitor)
    monitor = await decisions.fallback(receiving.services, receiving.session_id)
    assert isinstance(monitor, receiver.Monitor)
    assert world.node.in_mempool(monitor.fallback_transaction.txid)
    assert "FallbackRequested" in receiving.tags()


async def test_a_pending_fallback_of_a_receiver_is_taken_on_the_users_word(
    world: World, alice: Side, bob: Side
):
    receiving = await receiving_at(world, alice, bob, receiver.WantsInputs)
    await decisions.cancel(receiving.services, receiving.session_id)
    monitor = await decisions.fallback(receiving.services, receiving.session_id)
    assert world.node.in_mempool(monitor.fallback_transaction.txid)  # type: ignore[union-attr]  # no Closed
    assert receiving.tags()[-2:] == ["FallbackRequested", "BroadcastFallback"]


class Died(BaseException):
    """The process ends here."""


@pytest.fixture(params=["sender, nothing left", "sender", "receiver"])
async def decided(
    request: pytest.FixtureRequest,
    world: World,
    alice: Side,
    bob: Side,
    monkeypatch: pytest.MonkeyPatch,
) -> Sending | Receiving:
    """Cancelled, then asked for the fallback, and killed before it could leave."""
    session: Sending | Receiving
    match request.param:
        case "receiver":
            session = await receiving_at(world, alice, bob, receiver.WantsInputs)
        case "sender":
            session = await sending_at(alice, bob, sender.PollingForProposal)
        case _:
            session = await sending_at(alice, bob, sender.WithReplyKey)

    def die(_transaction: Transaction) -> object:
        raise Died

    await decisions.cancel(session.services, session.session_id)
    chain = session.services.chain
    with monkeypatch.context() as changed:
        changed.setattr(chain, "broadcast", die)
        with pytest.raises(Died):
            await decisions.fallback(session.services, session.session_id)
    session.reload()
    return session


async def test_a_decision_is_durable_before_the_fallback_leaves(decided: Sending | Receiving):
    assert decided.tags()[-1] == "FallbackRequested"


async def test_what_was_decided_is_done_after_a_crash_without_asking_again(
    world: World, decided: Sending | Receiving
):
    monitor = await decided.step()
    assert isinstance(monitor, sender.Monitor | receiver.Monitor)
    assert world.node.in_mempool(monitor.fallback_transaction.txid)


async def test_what_was_decided_cannot_be_declined_by_another_process(
    decided: Sending | Receiving,
):
    with pytest.raises(UsageError, match="cannot be declined any more"):
        await decisions.release(decided.services, decided.session_id)
    with pytest.raises(UsageError, match="You requested the ordinary payment already"):
        await decisions.cancel(decided.services, decided.session_id)
    await decisions.fallback(decided.services, decided.session_id)
    assert decided.tags().count("FallbackRequested") == 1


async def test_a_fallback_that_comes_after_the_payjoin_gives_way(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive()
    sending = await paid_into(world, receiving, alice)
    await receiving.to(receiver.Monitor)
    await sending.to(sender.Monitor)
    world.node.mine()
    assert isinstance(
        await decisions.fallback(receiving.services, receiving.session_id), receiver.Monitor
    )
    assert isinstance(
        await decisions.fallback(sending.services, sending.session_id), sender.Monitor
    )
    receiving.reload()
    sending.reload()
    paid = (await sending.to(sender.Closed)).outcome
    got = (await receiving.to(receiver.Closed)).outcome
    assert isinstance(paid, outcomes.Success)
    assert isinstance(got, outcomes.Success)


@pytest.mark.parametrize("role", ["sender", "receiver"])
async def test_a_fallback_that_the_network_refuses_stays_pending(
    world: World, alice: Side, bob: Side, role: str
):
    session: Sending | Receiving
    if role == "sender":
        session = await sending_at(alice, bob, sender.PollingForProposal)
    else:
        session = await receiving_at(world, alice, bob, receiver.WantsInputs)
    await decisions.cancel(session.services, session.session_id)
    for side in (alice, bob):
        side.party.chain.refuses = lambda _tx: True
    with pytest.raises(ChainError, match="refuses the ordinary payment"):
        await decisions.fallback(session.services, session.session_id)
    state = session.reload()
    assert isinstance(state, sender.PendingFallback | receiver.PendingFallback)


async def test_nothing_is_held_before_the_first_check(world: World, alice: Side, bob: Side):
    receiving = await receiving_at(world, alice, bob, receiver.UncheckedOriginalPayload)
    with pytest.raises(UsageError, match="No payment is held"):
        await decisions.fallback(receiving.services, receiving.session_id)


async def test_a_closed_session_pays_nothing(world: World, alice: Side, bob: Side):
    receiving = await receiving_at(world, alice, bob, receiver.Initialized)
    await decisions.cancel(receiving.services, receiving.session_id)
    with pytest.raises(UsageError, match="nothing left to pay"):
        await decisions.fallback(receiving.services, receiving.session_id)
    with pytest.raises(UsageError, match="nothing left to release"):
        await decisions.release(receiving.services, receiving.session_id)


# release and revoke


async def test_what_never_left_is_over_when_it_is_released(alice: Side, bob: Side):
    sending = await sending_at(alice, bob, sender.WithReplyKey)
    await decisions.cancel(sending.services, sending.session_id)
    assert alice.store.reserved() != frozenset()
    closed = await decisions.release(sending.services, sending.session_id)
    assert isinstance(closed, sender.Closed)
    assert closed.outcome == outcomes.Cancelled(why=Reason.CANCELLED_BY_US)
    assert alice.store.reserved() == frozenset()


async def released(alice: Side, bob: Side) -> Sending:
    sending = await sending_at(alice, bob, sender.PollingForProposal)
    await decisions.cancel(sending.services, sending.session_id)
    monitor = await decisions.release(sending.services, sending.session_id)
    assert isinstance(monitor, sender.Monitor)
    assert monitor.released
    sending.reload()
    return sending


async def test_what_has_left_keeps_its_coins_when_it_is_released(alice: Side, bob: Side):
    sending = await released(alice, bob)
    assert alice.store.reserved() == set(sending.state.contested)
    with pytest.raises(UsageError, match="only the chain can end it"):
        await decisions.release(sending.services, sending.session_id)


async def test_a_receiver_releases_what_it_will_not_take(world: World, alice: Side, bob: Side):
    receiving = await receiving_at(world, alice, bob, receiver.WantsInputs)
    with pytest.raises(UsageError, match="cancel the session first"):
        await decisions.release(receiving.services, receiving.session_id)
    await decisions.cancel(receiving.services, receiving.session_id)
    closed = await decisions.release(receiving.services, receiving.session_id)
    assert isinstance(closed, receiver.Closed)


@pytest.mark.parametrize("role", ["sender", "receiver"])
async def test_what_was_paid_meanwhile_cannot_be_released(
    world: World, alice: Side, bob: Side, role: str
):
    session: Sending | Receiving
    if role == "sender":
        session = await sending_at(alice, bob, sender.WithReplyKey)
    else:
        session = await receiving_at(world, alice, bob, receiver.WantsInputs)
    pending = await decisions.cancel(session.services, session.session_id)
    assert isinstance(pending, sender.PendingFallback | receiver.PendingFallback)
    world.node.send(pending.fallback_transaction)
    monitor = await decisions.release(session.services, session.session_id)
    assert isinstance(monitor, sender.Monitor | receiver.Monitor)
    assert session.tags()[-1] == "ObservedSpend"


async def test_a_released_payment_is_revoked(world: World, alice: Side, bob: Side):
    sending = await released(alice, bob)
    transaction = await revoke(sending.services, sending.session_id, fee_rate=RATE)
    assert world.node.in_mempool(transaction.txid)
    world.node.mine()
    closed = await sending.to(sender.Closed)
    assert closed.outcome == outcomes.Revoked(txid=str(transaction.txid))


async def test_a_revocation_is_shown_with_its_cost_before_it_leaves(
    world: World, alice: Side, bob: Side
):
    sending = await released(alice, bob)
    prepared = await decisions.prepare_revocation(
        sending.services, sending.session_id, fee_rate=RATE
    )
    assert prepared.fee == 20 * FEE
    assert not prepared.replaces
    assert not world.node.in_mempool(prepared.transaction.txid)
    world.node.send(sending.state.fallback_transaction)
    prepared = await decisions.prepare_revocation(
        sending.services, sending.session_id, fee_rate=RATE
    )
    assert prepared.replaces
    await decisions.revoke(sending.services, prepared)
    assert world.node.in_mempool(prepared.transaction.txid)


async def test_a_fallback_that_waits_for_its_block_can_still_be_revoked(
    world: World, alice: Side, bob: Side
):
    sending = await released(alice, bob)
    world.node.send(sending.state.fallback_transaction)
    transaction = await revoke(sending.services, sending.session_id, fee_rate=RATE)
    assert world.node.in_mempool(transaction.txid)
    assert not world.node.in_mempool(sending.state.fallback_transaction.txid)


async def test_what_has_confirmed_cannot_be_revoked(world: World, alice: Side, bob: Side):
    sending = await released(alice, bob)
    world.node.send(sending.state.fallback_transaction)
    world.node.mine()
    with pytest.raises(UsageError, match="spent already"):
        await revoke(sending.services, sending.session_id, fee_rate=RATE)


async def test_only_a_released_payment_can_be_revoked(world: World, alice: Side, bob: Side):
    sending = await sending_at(alice, bob, sender.Monitor)
    receiving = bob.receive()
    with pytest.raises(UsageError, match="cancel and release it first"):
        await revoke(sending.services, sending.session_id, fee_rate=RATE)
    with pytest.raises(UsageError, match="cancel and release it first"):
        await revoke(receiving.services, receiving.session_id, fee_rate=RATE)


async def test_a_revocation_that_the_network_refuses_is_an_error(alice: Side, bob: Side):
    sending = await released(alice, bob)
    alice.party.chain.refuses = lambda _tx: True
    with pytest.raises(WalletError, match="higher fee rate"):
        await revoke(sending.services, sending.session_id, fee_rate=RATE)
