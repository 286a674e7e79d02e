import pytest
from tests.support.stepping import (
    AMOUNT,
    Receiving,
    Sending,
    Side,
    paid_into,
    receiving_at,
    sending_at,
)
from tests.support.world import World

from dovetail.actions import Action
from dovetail.bitcoin import FeeRate, Transaction
from dovetail.errors import SessionNotFound, StaleSession, UsageError
from dovetail.runtime import decisions
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.standing import AnySession
from dovetail.stores.integrity import load_session
from dovetail.stores.ports import SessionId

RATE = FeeRate.from_sat_per_vb(5)

LOAD = "dovetail.runtime.async_ports.load_session"


async def test_an_unknown_session_is_not_found(bob: Side):
    for act in (decisions.cancel, decisions.fallback, decisions.release):
        with pytest.raises(SessionNotFound):
            await act(bob.services(), SessionId(7))


def test_a_session_is_loaded_whatever_its_role(bob: Side):
    receiving = bob.receive()
    assert isinstance(load_session(bob.store, receiving.session_id), receiver.Initialized)


# cancel


@pytest.mark.parametrize(
    "state",
    [
        sender.WithReplyKey,
        sender.PostingOriginal,
        sender.PollingForProposal,
        sender.ProposalReceived,
    ],
)
async def test_a_payer_may_cancel_until_the_payjoin_is_signed(
    alice: Side, bob: Side, state: type[sender.WithReplyKey]
):
    sending = await sending_at(alice, bob, state)
    pending = await decisions.cancel(sending.services, sending.session_id)
    assert isinstance(pending, sender.PendingFallback)
    assert pending.reason is Reason.CANCELLED_BY_US
    assert pending.original_out == (state is not sender.WithReplyKey)
    assert isinstance(sending.reload(), sender.PendingFallback)


@pytest.mark.parametrize(
    "state",
    [
        receiver.MaybeInputsOwned,
        receiver.WantsFeeRange,
        receiver.PayjoinProposal,
    ],
)
async def test_a_receiver_that_cancels_keeps_the_fallback(
    world: World, alice: Side, bob: Side, state: type[receiver.ReceiverSession]
):
    receiving = await receiving_at(world, alice, bob, state)
    pending = await decisions.cancel(receiving.services, receiving.session_id)
    assert isinstance(pending, receiver.PendingFallback)
    assert pending.proposal_out == (state is receiver.PayjoinProposal)
    assert len(bob.store.reserved()) == int(pending.proposal_out), "P3"


@pytest.mark.parametrize("state", [receiver.Initialized, receiver.UncheckedOriginalPayload])
async def test_a_receiver_that_holds_nothing_closes(
    world: World, alice: Side, bob: Side, state: type[receiver.Initialized]
):
    receiving = await receiving_at(world, alice, bob, state)
    closed = await decisions.cancel(receiving.services, receiving.session_id)
    assert isinstance(closed, receiver.Closed)
    assert closed.outcome == outcomes.Cancelled(why=Reason.CANCELLED_BY_US, received=0)


async def test_cancelling_what_was_paid_says_so(world: World, bob: Side):
    receiving = bob.receive()
    paid = world.node.fund(receiving.uri.address.script_pubkey, AMOUNT)
    closed = await decisions.cancel(receiving.services, receiving.session_id)
    assert isinstance(closed, receiver.Closed)
    assert closed.outcome == outcomes.PaidDirectly(txid=str(paid.txid), received=AMOUNT)


async def test_what_is_being_paid_cannot_be_cancelled(world: World, bob: Side):
    receiving = bob.receive()
    world.node.fund(receiving.uri.address.script_pubkey, AMOUNT, confirmations=0)
    with pytest.raises(UsageError, match="is not confirmed yet"):
        await decisions.cancel(receiving.services, receiving.session_id)
    assert receiving.tags() == ["Created"]


async def test_a_chain_that_is_away_takes_nobodys_right_to_cancel(bob: Side):
    receiving = bob.receive()
    bob.party.chain.away = True
    closed = await decisions.cancel(receiving.services, receiving.session_id)
    assert isinstance(closed, receiver.Closed)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (sender.PendingBroadcast, "on its way already"),
        (sender.Monitor, "on its way already"),
        (sender.Closed, "is closed"),
    ],
)
async def test_a_payer_cannot_cancel_later(
    world: World, alice: Side, bob: Side, state: type[sender.SenderSession], words: str
):
    sending = await sending_at(alice, bob, sender.Monitor if state is sender.Closed else state)
    if state is sender.Closed:
        world.node.mine()
        await sending.to(sender.Closed)
    with pytest.raises(UsageError, match=words):
        await decisions.cancel(sending.services, sending.session_id)


async def test_nothing_is_cancelled_twice(world: World, alice: Side, bob: Side):
    sending = await sending_at(alice, bob, sender.PollingForProposal)
    receiving = await receiving_at(world, alice, bob, receiver.Initialized)
    await decisions.cancel(sending.services, sending.session_id)
    await decisions.cancel(receiving.services, receiving.session_id)
    with pytest.raises(UsageError, match="has ended already") as refused:
        await decisions.cancel(sending.services, sending.session_id)
    assert refused.value.actions == {Action.FALLBACK, Action.RELEASE}
    with pytest.raises(UsageError, match="nothing left to cancel"):
        await decisions.cancel(receiving.services, receiving.session_id)


@pytest.mark.parametrize("away", [False, True])
async def test_a_receiver_may_cancel_while_only_its_proposal_is_out(
    world: World, alice: Side, bob: Side, *, away: bool
):
    receiving = await receiving_at(world, alice, bob, receiver.Monitor)
    bob.party.chain.away = away
    pending = await decisions.cancel(receiving.services, receiving.session_id)
    assert isinstance(pending, receiver.PendingFallback)
    assert pending.proposal_out
    assert len(bob.store.reserved()) == 1, "P3: the sender may still spend it"


async def test_a_receiver_cannot_cancel_what_is_under_way(world: World, alice: Side, bob: Side):
    receiving = bob.receive()
    sending = await paid_into(world, receiving, alice)
    await receiving.to(receiver.Monitor)
    await sending.to(sender.Monitor)
    with pytest.raises(UsageError, match="on its way already"):
        await decisions.cancel(receiving.services, receiving.session_id)
    await decisions.fallback(receiving.services, receiving.session_id)
    with pytest.raises(UsageError, match="on its way already"):
        await decisions.cancel(receiving.services, receiving.session_id)


# an agent is at work meanwhile


async def test_a_decision_is_made_anew_where_the_agent_was_faster(
    alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    """M5"""
    sending = await sending_at(alice, bob, sender.PostingOriginal)

    def load_and_be_late(*arguments: object) -> AnySession:
        monkeypatch.setattr(LOAD, load_session)
        state = load_session(*arguments)  # type: ignore[arg-type]  # passed on
        receiver_less = sending.state
        assert isinstance(receiver_less, sender.PostingOriginal)
        sending.state = receiver_less.fail(Reason.DIRECTORY_UNREACHABLE).save(sending.log)
        return state

    monkeypatch.setattr(LOAD, load_and_be_late)
    with pytest.raises(UsageError, match="payjoin has ended already"):
        await decisions.cancel(sending.services, sending.session_id)


async def test_who_is_always_too_late_is_told(
    alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    sending = await sending_at(alice, bob, sender.PostingOriginal)
    stale = sending.state
    await sending.to(sender.PollingForProposal)
    monkeypatch.setattr(LOAD, lambda *_: stale)
    with pytest.raises(StaleSession):
        await decisions.cancel(sending.services, sending.session_id)


@pytest.mark.parametrize("role", ["sender", "receiver"])
async def test_a_broadcast_that_the_agent_saw_first_is_no_error(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch, role: str
):
    session: Sending | Receiving
    if role == "sender":
        session = await sending_at(alice, bob, sender.PollingForProposal)
    else:
        session = await receiving_at(world, alice, bob, receiver.WantsInputs)
    session.state = await decisions.cancel(session.services, session.session_id)
    chain = (alice if role == "sender" else bob).party.chain
    broadcast = chain.broadcast

    def broadcast_and_see(transaction: Transaction) -> object:
        answer = broadcast(transaction)
        session.reload().record_spend(transaction).save(session.log)  # type: ignore[union-attr, arg-type]
        return answer

    monkeypatch.setattr(chain, "broadcast", broadcast_and_see)
    monitor = await decisions.fallback(session.services, session.session_id)
    assert session.tags()[-2] == "FallbackRequested"
    assert isinstance(monitor, sender.Monitor | receiver.Monitor)
    assert session.tags()[-1] == "ObservedSpend"
