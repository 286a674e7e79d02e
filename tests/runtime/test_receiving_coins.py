"""What a receiver adds: coins of its own, and who else holds them."""

from collections.abc import Collection
from dataclasses import replace

import pytest
from tests.protocol.builders import P2PKH, P2WPKH, coin
from tests.support.stepping import Side, paid_into, receiving_at, refused, told
from tests.support.world import World

from dovetail.bitcoin import FeeRate, OutPoint, Sats
from dovetail.bitcoin.transaction import TxOut
from dovetail.errors import (
    DovetailError,
    InvalidPsbt,
    PayloadTooLarge,
    UsageError,
)
from dovetail.protocol.coin import Coin
from dovetail.runtime.receiver_steps import _too_large
from dovetail.sessions import receiver, sender
from dovetail.sessions.reasons import Reason
from dovetail.stores.ports import SessionId


async def test_without_coins_the_sender_is_told(world: World, alice: Side):
    receiving = Side(world, world.bob).receive()
    sending = await paid_into(world, receiving, alice)
    await refused(receiving, Reason.NO_COINS_TO_CONTRIBUTE)
    await told(receiving, sending, Reason.RECEIVER_UNAVAILABLE)
    pending = await receiving.to(receiver.PendingFallback)
    assert pending.owed
    await receiving.to(receiver.Monitor)
    assert world.node.in_mempool(pending.fallback_transaction.txid)


async def test_coins_that_cost_more_than_they_are_worth_are_not_missing(alice: Side, bob: Side):
    receiving = bob.receive(max_fee_rate=FeeRate.from_sat_per_vb(3))
    sending = await alice.send(receiving.uri, minimum=FeeRate.from_sat_per_vb(9_000))
    await sending.to(sender.PollingForProposal)
    await refused(receiving, Reason.FEE_CAP)
    await told(receiving, sending, Reason.RECEIVER_NOT_ENOUGH_MONEY)


async def test_above_the_fee_cap_the_sender_is_told(world: World, alice: Side, bob: Side):
    receiving = bob.receive(
        min_fee_rate=FeeRate.from_sat_per_vb(1), max_fee_rate=FeeRate.from_sat_per_vb(1)
    )
    sending = await alice.send(receiving.uri)
    state = sending.state
    assert isinstance(state, sender.WithReplyKey)
    # A sender who adds nothing and asks for a lot.
    terms = replace(state.terms, created=_greedy(state))
    sending.state = replace(state, terms=terms)
    await sending.to(sender.PollingForProposal)
    await refused(receiving, Reason.FEE_CAP)
    await told(receiving, sending, Reason.RECEIVER_NOT_ENOUGH_MONEY)


@pytest.mark.parametrize("floor", ["0.1", "30"])
async def test_a_payjoin_pays_what_the_receivers_own_node_relays_from(
    alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch, floor: str
):
    receiving = bob.receive()
    sending = await alice.send(receiving.uri)
    await sending.to(sender.PollingForProposal)
    told = FeeRate.from_sat_per_vb(floor)
    monkeypatch.setattr(type(receiving.services.chain), "min_fee_rate", lambda _: told)
    state = await receiving.to(receiver.ProvisionalProposal)
    added = int(state.draft.fee - state.draft.original.fee)
    assert (added >= 30 * 68) == (floor == "30")


def _greedy(state: sender.WithReplyKey) -> sender.events.Created:
    fields = {name: getattr(state.created, name) for name in state.created.__struct_fields__}
    return sender.events.Created(**(fields | {"min_fee_rate": 1000, "fee_contribution": None}))


async def test_two_sessions_never_offer_the_same_coin(world: World, alice: Side, bob: Side):
    """P3"""
    world.fund(world.alice, 100_000, 100_000)
    sessions = [bob.receive() for _ in range(3)]
    for each in sessions:
        await paid_into(world, each, alice)
    offered = []
    for each in sessions[:2]:
        state = await each.to(receiver.WantsFeeRange)
        offered.append({placed.coin.outpoint for placed in state.draft.inputs})
    assert offered[0].isdisjoint(offered[1])
    await refused(sessions[2], Reason.NO_COINS_TO_CONTRIBUTE)


async def test_coins_that_others_hold_are_left_out_before_the_choice(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    """P3: one reservation, however many coins other sessions hold."""
    script = bob.party.wallet.new_address().script_pubkey
    world.node.fund_many([TxOut(Sats(70_000), script)] * 200)
    earlier, receiving = bob.receive(), bob.receive()
    await paid_into(world, receiving, alice)
    await receiving.to(receiver.WantsInputs)
    *others, free = sorted(coin.outpoint for coin in bob.party.wallet.coins())
    assert len(others) >= 200
    bob.store.reserve(earlier.session_id, others)
    asked: list[Collection[OutPoint]] = []
    reserve = bob.store.reserve

    def reserve_and_note(
        session_id: SessionId, outpoints: Collection[OutPoint]
    ) -> frozenset[OutPoint]:
        asked.append(outpoints)
        return reserve(session_id, outpoints)

    monkeypatch.setattr(bob.store, "reserve", reserve_and_note)
    state = await receiving.to(receiver.WantsFeeRange)
    assert [list(each) for each in asked] == [[free]]
    assert [placed.coin.outpoint for placed in state.draft.inputs] == [free]


async def test_a_coin_that_another_takes_after_the_look_is_not_offered(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    """P3: the reservation has the last word."""
    receiving, other = bob.receive(), bob.receive()
    await paid_into(world, receiving, alice)
    await receiving.to(receiver.WantsInputs)
    wallet = bob.party.wallet
    first, second = sorted(coin.outpoint for coin in wallet.coins())
    look = wallet.coins

    def as_another_takes_one() -> tuple[Coin, ...]:
        seen = look()
        bob.store.reserve(other.session_id, [first])
        return seen

    bob.store.reserve(other.session_id, [first])
    bob.store.expose(other.session_id)  # which has it chosen before others
    bob.store.release(other.session_id)
    monkeypatch.setattr(wallet, "coins", as_another_takes_one)
    state = await receiving.to(receiver.WantsFeeRange)
    assert [placed.coin.outpoint for placed in state.draft.inputs] == [second]


async def test_coins_of_a_failed_attempt_are_free_again(world: World, alice: Side, bob: Side):
    world.fund(world.alice, 100_000)
    first, second = bob.receive(), bob.receive()
    for each in (first, second):
        await paid_into(world, each, alice)
    await first.to(receiver.WantsFeeRange)
    assert len(bob.store.reserved()) == 1
    bob.party.wallet.signs_nothing = True
    await refused(first, Reason.WALLET_CANNOT_SIGN)
    await first.to(receiver.PendingFallback)
    assert bob.store.reserved() == frozenset()
    bob.party.wallet.signs_nothing = False
    await second.to(receiver.Monitor)


async def test_a_coin_that_is_spent_and_given_back_during_the_look_is_not_offered(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    """P3"""
    world.fund(world.alice, 100_000)
    first, second = bob.receive(), bob.receive()
    for each in (first, second):
        await paid_into(world, each, alice)
    held = (await first.to(receiver.WantsFeeRange)).draft.inputs[0].coin.outpoint
    await second.to(receiver.WantsInputs)
    wallet = bob.party.wallet
    look = wallet.coins

    def as_the_first_ends() -> tuple[Coin, ...]:
        seen = look()
        if held in world.node.chain.index.coins:
            world.node.send(wallet.revoke(held, fee_rate=FeeRate.BROADCAST_MIN))
            world.node.mine()
            bob.store.expose(first.session_id)  # which has it offered before others
            bob.store.release(first.session_id)
        return seen

    monkeypatch.setattr(wallet, "coins", as_the_first_ends)
    state = await second.to(receiver.WantsFeeRange)
    assert held not in {placed.coin.outpoint for placed in state.draft.inputs}


async def test_a_coin_that_the_session_holds_since_a_crash_is_still_its_own(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive()
    await paid_into(world, receiving, alice)
    await receiving.to(receiver.WantsInputs)
    coins = {coin.outpoint for coin in bob.party.wallet.coins()}
    bob.store.reserve(receiving.session_id, coins)
    state = await receiving.to(receiver.WantsFeeRange)
    assert {placed.coin.outpoint for placed in state.draft.inputs} <= coins


async def test_a_coin_that_a_sender_saw_is_offered_again_before_others(
    world: World, alice: Side, bob: Side
):
    """P3"""
    coins = sorted(coin.outpoint for coin in bob.party.wallet.coins())
    for shown in coins:
        store_side = Side(world, world.bob)
        earlier = store_side.receive()
        store_side.store.reserve(earlier.session_id, [shown])
        store_side.store.expose(earlier.session_id)
        store_side.store.release(earlier.session_id)
        receiving = store_side.receive()
        world.fund(world.alice, 100_000)
        await paid_into(world, receiving, alice)
        state = await receiving.to(receiver.WantsFeeRange)
        assert [placed.coin.outpoint for placed in state.draft.inputs] == [shown]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (UsageError("The coin does not fit."), Reason.NO_COINS_TO_CONTRIBUTE),
        (InvalidPsbt("The coin's data are damaged."), Reason.NO_COINS_TO_CONTRIBUTE),
    ],
)
@pytest.mark.parametrize("useless", [1, 2])
async def test_a_coin_that_does_not_fit_is_left_out(
    world: World,
    alice: Side,
    bob: Side,
    monkeypatch: pytest.MonkeyPatch,
    fault: DovetailError,
    reason: Reason,
    useless: int,
):
    commit = receiver.WantsInputs.commit_inputs
    tried: set[OutPoint] = set()

    def commit_inputs(session: receiver.WantsInputs, coins: Collection[Coin]) -> object:
        tried.update(coin.outpoint for coin in coins)
        if len(tried) <= useless:
            raise fault
        return commit(session, coins)

    monkeypatch.setattr(receiver.WantsInputs, "commit_inputs", commit_inputs)
    receiving = bob.receive()
    sending = await paid_into(world, receiving, alice)
    if useless == 1:
        await receiving.to(receiver.Monitor)
    else:
        await refused(receiving, reason)
        await told(receiving, sending, Reason.RECEIVER_UNAVAILABLE)
    assert len(tried) == 2


async def test_where_a_coin_is_too_large_others_no_smaller_are_not_tried(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    tried: list[OutPoint] = []

    def commit_inputs(_session: receiver.WantsInputs, coins: Collection[Coin]) -> object:
        tried.extend(coin.outpoint for coin in coins)
        raise PayloadTooLarge("The Original leaves no room.")

    monkeypatch.setattr(receiver.WantsInputs, "commit_inputs", commit_inputs)
    for _ in range(10):
        world.fund(world.bob, 70_000)
    receiving = bob.receive()
    sending = await paid_into(world, receiving, alice)
    await refused(receiving, Reason.PROPOSAL_TOO_LARGE)
    await told(receiving, sending, Reason.RECEIVER_UNAVAILABLE)
    assert len(tried) == 1


def test_after_a_coin_that_was_too_large_only_the_smallest_is_tried():
    legacy, larger, small = (
        coin(script=P2PKH, seed=1), coin(script=P2PKH, seed=2), coin(script=P2WPKH, seed=3)
    )  # fmt: skip
    coins = {each.outpoint: each for each in (legacy, larger, small)}
    after = _too_large(coins, [legacy.outpoint])
    assert after == {legacy.outpoint, larger.outpoint}
    left = {small.outpoint: small}
    assert _too_large(left, [small.outpoint]) == {small.outpoint}


@pytest.mark.parametrize("state", [receiver.WantsFeeRange, receiver.ProvisionalProposal])
async def test_a_negotiation_that_ends_unpaid_holds_no_coin(
    world: World, alice: Side, bob: Side, state: type[receiver.ReceiverSession]
):
    """P3: nobody was shown it, so that other sessions may offer it at once."""
    receiving = await receiving_at(world, alice, bob, state)
    assert bob.store.reserved()
    world.clock.pass_by(3_600)
    await receiving.step()
    assert isinstance(receiving.state, receiver.PendingFallback)
    assert bob.store.reserved() == frozenset()
