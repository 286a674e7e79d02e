"""Coins that vanish under a payment: one rule for both roles, whatever is restarted (M3, M4)."""

from contextlib import suppress
from dataclasses import replace

import pytest
from tests.support.chain import NodeChain
from tests.support.stepping import Receiving, Sending, Side, paid_into
from tests.support.world import World

from dovetail.bitcoin import FeeRate, OutPoint, Sats, Transaction
from dovetail.bitcoin.psbt import PsbtInput
from dovetail.errors import ChainError
from dovetail.protocol.coin import Coin
from dovetail.regtest.node import RegtestNode
from dovetail.runtime import decisions
from dovetail.runtime.policy import AtExpiry
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.coin_presence import BLOCKS_WITHOUT
from dovetail.sessions.reasons import Reason

MISSED = (receiver.events.CoinsMissed, sender.events.CoinsMissed)


def on_sand(world: World, alice: Side, monkeypatch: pytest.MonkeyPatch) -> Transaction:
    """Alice pays with the change of a payment of hers that waits in the mempool."""
    wallet = alice.party.wallet
    own = wallet.new_address().script_pubkey
    parent = wallet.pay(own, Sats(1_000), fee_rate=FeeRate(1)).extract()
    world.node.send(parent)
    change = parent.outputs[1]
    coin = Coin(OutPoint(parent.txid, 1), PsbtInput().with_witness_utxo(change), change)
    monkeypatch.setattr(wallet, "coins", lambda: (coin,))
    return parent


def replace_by_fee(world: World, alice: Side, parent: Transaction) -> None:
    """Another transaction that pays more spends what the parent spent, and is mined (BIP 125)."""
    (spent,) = parent.contested()
    rival = alice.party.wallet.revoke(spent, fee_rate=FeeRate(1))
    world.node.send(rival)
    assert not world.node.in_mempool(parent.txid)
    world.node.mine()
    assert world.node.confirmations(rival.txid) == 1


async def step(session: Receiving | Sending) -> None:
    """One step of a process that knows what the log says, and no more."""
    session.reload()
    with suppress(ChainError):
        await session.step()


async def ended(world: World, session: Receiving | Sending) -> int:
    """Go on, block by block, until the session is closed: after how many blocks without."""
    for _ in range(40):
        await step(session)
        if session.state.closed:
            break
        if any(isinstance(event, MISSED) for event in session.log.load()):
            world.node.mine()
        world.clock.pass_by(600)
    assert session.state.closed
    assert session.state.outcome == outcomes.Cancelled(  # type: ignore[union-attr]
        why=Reason.COINS_GONE,
        received=0 if isinstance(session, Receiving) else None,
    )
    missed = next(event for event in session.log.load() if isinstance(event, MISSED))
    return world.node.height - missed.height


HOLDING = {
    "committed": receiver.WantsFeeRange,
    "unsigned": receiver.ProvisionalProposal,
    "unposted": receiver.PayjoinProposal,
    "posted": receiver.Monitor,
}


@pytest.mark.parametrize("at_expiry", AtExpiry)
@pytest.mark.parametrize("place", HOLDING)
async def test_a_receiver_gets_its_coin_back_whatever_state_holds_it(
    world: World,
    alice: Side,
    bob: Side,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    at_expiry: AtExpiry,
):
    parent = on_sand(world, alice, monkeypatch)
    receiving = bob.receive(unconfirmed_inputs=True, at_expiry=at_expiry)
    await paid_into(world, receiving, alice)
    await receiving.to(HOLDING[place])
    assert bob.store.reserved()
    replace_by_fee(world, alice, parent)
    assert await ended(world, receiving) == BLOCKS_WITHOUT
    assert bob.store.reserved() == frozenset()


@pytest.mark.parametrize("decision", ["cancelled", "declined", "asked for"])
async def test_a_receiver_who_decided_gets_its_coin_back_too(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch, decision: str
):
    parent = on_sand(world, alice, monkeypatch)
    receiving = bob.receive(unconfirmed_inputs=True)
    await paid_into(world, receiving, alice)
    await receiving.to(receiver.Monitor)
    if decision == "asked for":
        await decisions.fallback(receiving.services, receiving.session_id)
    else:
        await decisions.cancel(receiving.services, receiving.session_id)
    if decision == "declined":
        await decisions.release(receiving.services, receiving.session_id)
    replace_by_fee(world, alice, parent)
    assert await ended(world, receiving) == BLOCKS_WITHOUT
    assert bob.store.reserved() == frozenset()


async def test_a_greater_depth_is_waited_for(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    parent = on_sand(world, alice, monkeypatch)
    receiving = bob.receive(unconfirmed_inputs=True, depth=9)
    await paid_into(world, receiving, alice)
    await receiving.to(receiver.Monitor)
    replace_by_fee(world, alice, parent)
    assert await ended(world, receiving) == 9


WHERE = ("polling", "answered", "signed", "payjoin out", "fallback out", "declined", "waiting")


async def brought(
    world: World, alice: Side, bob: Side, where: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[Sending, Transaction]:
    """A payment from an unconfirmed coin, at this place; and what made the coin."""
    parent = on_sand(world, alice, monkeypatch)
    receiving = bob.receive(unconfirmed_inputs=True)
    at_expiry = AtExpiry.ASK if where == "waiting" else AtExpiry.BROADCAST
    sending = await alice.send(receiving.uri, at_expiry=at_expiry)
    await sending.to(sender.PollingForProposal)
    if where in ("fallback out", "declined"):
        await decisions.cancel(sending.services, sending.session_id)
        decide = decisions.fallback if where == "fallback out" else decisions.release
        await decide(sending.services, sending.session_id)
        return sending, parent
    if where in ("answered", "signed", "payjoin out"):
        await receiving.to(receiver.Monitor)
        states = {"answered": sender.ProposalReceived, "signed": sender.PendingBroadcast}
        await sending.to(states.get(where, sender.Monitor))
    return sending, parent


@pytest.mark.parametrize("where", WHERE)
async def test_a_payer_gets_the_session_closed_whatever_its_state(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch, where: str
):
    sending, parent = await brought(world, alice, bob, where, monkeypatch)
    replace_by_fee(world, alice, parent)
    assert await ended(world, sending) == BLOCKS_WITHOUT
    assert alice.store.reserved() == frozenset()


async def test_a_coin_that_comes_back_ends_nothing_and_the_payment_is_made(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    """M4: a reorganisation takes the rival away, and mines what had made the coin."""
    sending, parent = await brought(world, alice, bob, "fallback out", monkeypatch)
    replace_by_fee(world, alice, parent)
    await step(sending)
    world.node.mine(4)
    await step(sending)
    world.node.reorg(5, transactions=[parent])
    for _ in range(3):
        await step(sending)
    assert sending.tags()[-2:] == ["CoinsMissed", "CoinsFound"]
    world.node.mine(2)
    await step(sending)
    assert isinstance(sending.state, sender.Closed)
    assert isinstance(sending.state.outcome, outcomes.FallbackBroadcasted)


async def test_a_source_that_is_away_is_no_absence(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    sending, _ = await brought(world, alice, bob, "fallback out", monkeypatch)
    alice.party.chain.away = True
    world.node.mine(9)
    await step(sending)
    alice.party.chain.away = False
    await step(sending)
    assert sending.tags().count("CoinsMissed") == 0


async def test_a_server_that_is_still_behind_says_nothing_by_its_silence(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    """A payer changes to a node that has hardly begun to load the chain."""
    sending, _ = await brought(world, alice, bob, "declined", monkeypatch)
    with RegtestNode(blocks=3) as young:
        sending.services = replace(sending.services, chain=NodeChain(young))
        for _ in range(10):
            await step(sending)
            young.mine()
    assert sending.tags()[-1] == "Released"


async def test_a_network_that_takes_the_payment_has_its_coins(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    """A server's index lost a coin for good, and the node behind it has it."""
    sending, _ = await brought(world, alice, bob, "fallback out", monkeypatch)
    chain = alice.party.chain
    monkeypatch.setattr(chain, "outputs", lambda _outpoints: {})
    monkeypatch.setattr(chain, "spends_of", lambda _outpoints: {})
    known = world.node.height
    for blocks in range(1, 12):
        monkeypatch.setattr(chain, "height", lambda blocks=blocks: known + blocks)
        await step(sending)
    assert sending.tags()[-1] == "CoinsMissed"
