"""What a receiver does with an Original that may never confirm, or never can (M3)."""

from typing import Any

import pytest
from tests.support.stepping import Side, paid_into
from tests.support.world import World

from dovetail.bitcoin import FeeRate, OutPoint, Psbt, Transaction
from dovetail.bitcoin.psbt import PsbtInput
from dovetail.protocol.coin import Coin
from dovetail.sessions import outcomes, receiver
from dovetail.sessions.reasons import Reason


def unconfirmed_coin(world: World, alice: Side, monkeypatch: pytest.MonkeyPatch) -> Transaction:
    """Alice's coin moves to herself in the mempool, and she pays with what comes of it."""
    wallet = alice.party.wallet
    parent = wallet.revoke(wallet.coins()[0].outpoint, fee_rate=FeeRate(1))
    world.node.send(parent)
    known = PsbtInput().with_witness_utxo(parent.outputs[0]).with_non_witness_utxo(parent)
    coin = Coin(OutPoint(parent.txid, 0), known, parent.outputs[0])
    monkeypatch.setattr(wallet, "coins", lambda: (coin,))
    return parent


def forged(alice: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alice is dishonest: one bit of each signature that she sends is another."""
    pay = alice.party.wallet.pay

    def badly(*args: Any, **named: Any) -> Psbt:
        psbt = pay(*args, **named)
        signature, key = psbt.inputs[0].final_script_witness or (b"", b"")
        wrong = signature[:20] + bytes([signature[20] ^ 1]) + signature[21:]
        return psbt.with_input(0, psbt.inputs[0].with_final(witness=(wrong, key)))

    monkeypatch.setattr(alice.party.wallet, "pay", badly)


async def test_unconfirmed_inputs_are_refused(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    unconfirmed_coin(world, alice, monkeypatch)
    receiving = bob.receive()
    await paid_into(world, receiving, alice)
    refusing = await receiving.to(receiver.HasReplyableError)
    assert refusing.reason is Reason.ORIGINAL_UNCONFIRMED_INPUTS


async def test_a_policy_takes_unconfirmed_inputs(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    unconfirmed_coin(world, alice, monkeypatch)
    receiving = bob.receive(unconfirmed_inputs=True)
    await paid_into(world, receiving, alice)
    monitor = await receiving.to(receiver.Monitor)
    assert monitor.proposal_out


async def test_a_payment_that_nobody_signed_is_refused_before_a_coin_is_chosen(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    forged(alice, monkeypatch)
    bob.party.chain.runs_scripts = False
    receiving = bob.receive()
    await paid_into(world, receiving, alice)
    refusing = await receiving.to(receiver.HasReplyableError)
    assert refusing.reason is Reason.ORIGINAL_SIGNATURE_INVALID
    assert bob.store.reserved() == frozenset()


async def test_a_fallback_that_no_network_can_take_is_not_kept_for_ever(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    """Releases that verified no signatures took it; this one finds it in their log."""
    forged(alice, monkeypatch)
    receiving = bob.receive(lifetime=60)
    await paid_into(world, receiving, alice)
    unchecked = await receiving.to(receiver.UncheckedOriginalPayload)
    taken = receiver.events.CheckedBroadcastSuitability()
    receiving.log.append(taken, seq=unchecked.seq, closes=False)
    receiving.reload()
    wants = await receiving.to(receiver.WantsFeeRange)
    assert bob.store.reserved()
    receiving.state = wants.fail(Reason.WALLET_UNAVAILABLE).save(receiving.log)
    await receiving.step()
    closed = await receiving.to(receiver.Closed, steps=1)
    assert isinstance(closed.outcome, outcomes.Cancelled)
    assert closed.outcome.why is Reason.FALLBACK_INVALID
    assert bob.store.reserved() == frozenset()
