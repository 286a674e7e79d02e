"""P3: a session gives its coins back as soon as nobody else can spend them, however it ends."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

import pytest
from tests.support.stepping import (
    AMOUNT,
    Receiving,
    Sending,
    Side,
    double_spend,
    paid_into,
    revoke,
    sending_at,
)
from tests.support.world import World

from dovetail.bitcoin import FeeRate
from dovetail.errors import ChainError, UsageError
from dovetail.runtime import decisions
from dovetail.runtime.coin_locks import hold_coins
from dovetail.sessions import receiver, sender
from dovetail.sessions.reasons import Reason
from dovetail.sessions.standing import AnySession
from dovetail.stores.memory import MemoryStore
from dovetail.stores.sql import SqliteStore

DEPTH = 3  # what ends the negotiation does not end the session
UNSHOWN = [receiver.WantsFeeRange, receiver.ProvisionalProposal]
SHOWN = [receiver.PayjoinProposal, receiver.Monitor]


async def holding(world: World, alice: Side, bob: Side, state: type) -> tuple[Receiving, Sending]:
    """A session that holds a coin."""
    receiving = bob.receive(depth=DEPTH, lifetime=60)
    sending = await paid_into(world, receiving, alice)
    await receiving.to(state)
    assert len(bob.store.reserved()) == 1
    return receiving, sending


def spent(world: World, alice: Side, receiving: Receiving, sending: Sending) -> None:
    world.node.send(double_spend(alice, sending))


def spent_in_a_block(world: World, alice: Side, receiving: Receiving, sending: Sending) -> None:
    spent(world, alice, receiving, sending)
    world.node.mine()


def taken(world: World, alice: Side, receiving: Receiving, sending: Sending) -> None:
    world.node.send(sending.state.terms.fallback_transaction)


def paid(world: World, alice: Side, receiving: Receiving, sending: Sending) -> None:
    world.node.fund(receiving.uri.address.script_pubkey, AMOUNT)


Event: TypeAlias = Callable[[World, Side, Receiving, Sending], None]
Word: TypeAlias = Callable[..., Awaitable[AnySession]]


# a receiver


@pytest.mark.parametrize("state", [*UNSHOWN, *SHOWN])
async def test_a_receiver_that_cancels_gives_back_what_nobody_was_shown(
    world: World, alice: Side, bob: Side, state: type
):
    receiving, _ = await holding(world, alice, bob, state)
    await decisions.cancel(receiving.services, receiving.session_id)
    assert len(bob.store.reserved()) == (state in SHOWN)


@pytest.mark.parametrize("state", [*UNSHOWN, *SHOWN])
@pytest.mark.parametrize("away", [False, True])
async def test_a_receiver_that_takes_the_fallback_gives_back_what_nobody_was_shown(
    world: World,
    alice: Side,
    bob: Side,
    monkeypatch: pytest.MonkeyPatch,
    state: type,
    *,
    away: bool,
):
    """Also where the broadcast fails, as the word is durable before it."""
    receiving, _ = await holding(world, alice, bob, state)

    def fail(_transaction: object) -> None:
        raise ChainError("The chain is away.")

    if away:
        monkeypatch.setattr(bob.party.chain, "broadcast", fail)
        with pytest.raises(ChainError):
            await decisions.fallback(receiving.services, receiving.session_id)
    else:
        await decisions.fallback(receiving.services, receiving.session_id)
    assert isinstance(receiving.reload(), receiver.PendingFallback if away else receiver.Monitor)
    assert len(bob.store.reserved()) == (state in SHOWN)


@pytest.mark.parametrize("state", [*UNSHOWN, *SHOWN])
@pytest.mark.parametrize("event", [taken, spent_in_a_block])
async def test_a_word_that_comes_after_the_coins_are_spent_gives_back_the_same(
    world: World, alice: Side, bob: Side, state: type, event: Event
):
    receiving, sending = await holding(world, alice, bob, state)
    event(world, alice, receiving, sending)
    await decisions.fallback(receiving.services, receiving.session_id)
    assert isinstance(receiving.reload(), receiver.Monitor)
    assert len(bob.store.reserved()) == (state in SHOWN)


@pytest.mark.parametrize("state", [*UNSHOWN, *SHOWN])
async def test_a_word_for_what_is_paid_already_gives_back_the_same(
    world: World, alice: Side, bob: Side, state: type
):
    receiving, sending = await holding(world, alice, bob, state)
    paid(world, alice, receiving, sending)
    with pytest.raises(UsageError, match="charge the sender twice"):
        await decisions.fallback(receiving.services, receiving.session_id)
    assert len(bob.store.reserved()) == (state in SHOWN)


@pytest.mark.parametrize("event", [spent, spent_in_a_block, taken, paid])
async def test_a_negotiation_that_the_chain_ends_gives_back_at_once(
    world: World, alice: Side, bob: Side, event: Event
):
    """In the very step that notices, and not with the answer or at the depth."""
    receiving, sending = await holding(world, alice, bob, receiver.ProvisionalProposal)
    event(world, alice, receiving, sending)
    after = await receiving.step()
    assert isinstance(after, receiver.HasReplyableError | receiver.Monitor)
    assert bob.store.reserved() == frozenset()


@pytest.mark.parametrize("state", UNSHOWN)
async def test_a_receiver_that_refuses_gives_back_with_its_answer(
    world: World, alice: Side, bob: Side, state: type
):
    receiving, _ = await holding(world, alice, bob, state)
    refusing = await receiving.step(failures=receiving.services.policy.tries)
    assert isinstance(refusing, receiver.HasReplyableError)
    await receiving.step()
    assert bob.store.reserved() == frozenset()


@pytest.mark.parametrize("state", [*UNSHOWN, *SHOWN])
async def test_what_a_crash_kept_is_given_back_by_the_next_process(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch, state: type
):
    """The end of the negotiation is saved, and the process dies before it gives back."""
    receiving, sending = await holding(world, alice, bob, state)

    def die(_session_id: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(bob.store, "release", die)
        await decisions.fallback(receiving.services, receiving.session_id)
    spent(world, alice, receiving, sending)
    assert isinstance(receiving.reload(), receiver.PendingFallback | receiver.Monitor)
    assert len(bob.store.reserved()) == 1
    await receiving.step()
    assert len(bob.store.reserved()) == (state in SHOWN)


@pytest.mark.parametrize("word", [decisions.cancel, decisions.fallback])
async def test_the_wallet_hears_of_what_a_word_gives_back(
    world: World, alice: Side, bob: Side, word: Word
):
    """Which nobody else may be there to tell it."""
    receiving, _ = await holding(world, alice, bob, receiver.WantsFeeRange)
    await hold_coins(receiving.services)
    assert len(bob.party.wallet.held) == 1
    await word(receiving.services, receiving.session_id)
    assert bob.party.wallet.held == frozenset()


# a sender


async def declined(world: World, sending: Sending) -> None:
    await decisions.cancel(sending.services, sending.session_id)
    await decisions.release(sending.services, sending.session_id)


async def revoked(world: World, sending: Sending) -> None:
    await declined(world, sending)
    rate = FeeRate.from_sat_per_vb(5)
    await revoke(sending.services, sending.session_id, fee_rate=rate)


async def paid_plainly(world: World, sending: Sending) -> None:
    await decisions.fallback(sending.services, sending.session_id)


async def refused(world: World, sending: Sending) -> None:
    state = sending.state
    assert isinstance(state, sender.PollingForProposal)
    await state.fail(Reason.RECEIVER_UNAVAILABLE).save_async(sending.log)


async def left_alone(world: World, sending: Sending) -> None:
    pass


ENDINGS = {
    "cancelled before it left": (sender.WithReplyKey, declined),
    "cancelled and taken back": (sender.PollingForProposal, revoked),
    "refused": (sender.PollingForProposal, refused),
    "asked to pay plainly": (sender.ProposalReceived, paid_plainly),
    "the payjoin": (sender.Monitor, left_alone),
}


@pytest.fixture(params=[MemoryStore, SqliteStore])
def paying(request: pytest.FixtureRequest, alice: Side, tmp_path):
    """A payer with each kind of store."""
    if request.param is MemoryStore:
        yield alice
        return
    with SqliteStore.open(tmp_path / "payer.db") as store:
        alice.store = store  # type: ignore[assignment]  # any store will do
        yield alice


@pytest.mark.parametrize("how", ENDINGS)
async def test_a_payer_has_its_coins_back_when_the_session_is_over_and_not_before(
    world: World, paying: Side, bob: Side, how: str
):
    state, end = ENDINGS[how]
    sending = await sending_at(paying, bob, state)
    held = frozenset(sending.state.contested)
    await end(world, sending)
    sending.reload()
    for _ in range(8):
        if isinstance(sending.state, sender.Closed):
            break
        assert paying.store.reserved() == held
        await sending.step()
        world.node.mine()
    assert isinstance(sending.state, sender.Closed)
    assert paying.store.reserved() == frozenset()
