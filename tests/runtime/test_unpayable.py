"""What a receiver does with an Original that may never confirm, or never can (M3)."""

from dataclasses import replace

import msgspec
import pytest
from tests.runtime.side import Side, paid_into
from tests.runtime.world import World

from dovetail.bitcoin import FeeRate, OutPoint, Psbt, Transaction
from dovetail.bitcoin.psbt import PsbtInput
from dovetail.protocol.contribution import Coin
from dovetail.sessions import outcomes, receiver
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver.payload import Payload


def unconfirmed_coin(world: World, alice: Side, monkeypatch: pytest.MonkeyPatch) -> Transaction:
    """Alice's coin moves to herself in the mempool, and she pays with what comes of it."""
    wallet = alice.party.wallet
    parent = wallet.revoke(wallet.coins()[0].outpoint, fee_rate=FeeRate(1))
    world.node.send(parent)
    known = PsbtInput().with_witness_utxo(parent.outputs[0]).with_non_witness_utxo(parent)
    coin = Coin(OutPoint(parent.txid, 0), known, parent.outputs[0])
    monkeypatch.setattr(wallet, "coins", lambda: (coin,))
    return parent


def replaced(world: World, alice: Side, parent: Transaction) -> None:
    """Another transaction spends what the parent spent, and is mined."""
    (spent,) = parent.contested()
    world.evict(parent.txid)
    world.node.send(alice.party.wallet.revoke(spent, fee_rate=FeeRate(1)))
    world.node.mine()


def _carrying(session: receiver.Monitor, parent: Transaction) -> Payload:
    """The Original as wallets send it that leave the previous transaction in."""
    psbt = session.payload.original
    psbt = psbt.with_input(0, psbt.inputs[0].with_non_witness_utxo(parent))
    return Payload(msgspec.structs.replace(session.payload.event, psbt=psbt.serialize()))


def _with_a_bit_flipped(session: receiver.WantsInputs) -> Payload:
    psbt: Psbt = session.payload.original
    signature, key = psbt.inputs[0].final_script_witness or (b"", b"")
    wrong = signature[:20] + bytes([signature[20] ^ 1]) + signature[21:]
    garbage = psbt.with_input(0, psbt.inputs[0].with_final(witness=(wrong, key)))
    return Payload(msgspec.structs.replace(session.payload.event, psbt=garbage.serialize()))


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


async def test_a_payment_whose_coin_was_replaced_for_good_ends_its_session(
    world: World, alice: Side, bob: Side, monkeypatch: pytest.MonkeyPatch
):
    parent = unconfirmed_coin(world, alice, monkeypatch)
    receiving = bob.receive(unconfirmed_inputs=True)
    await paid_into(world, receiving, alice)
    monitor = await receiving.to(receiver.Monitor)
    receiving.state = monitor = replace(monitor, payload=_carrying(monitor, parent))
    world.evict(parent.txid)
    assert await receiving.step() is monitor, "what was dropped may come back"
    world.node.send(parent)
    replaced(world, alice, parent)
    closed = await receiving.to(receiver.Closed, steps=1)
    assert isinstance(closed.outcome, outcomes.Cancelled)
    assert closed.outcome.why is Reason.ORIGINAL_INPUTS_GONE
    assert bob.party.chain.broadcasts == []


async def test_a_fallback_that_no_network_can_take_is_not_kept_for_ever(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive(lifetime=60)
    await paid_into(world, receiving, alice)
    wants = await receiving.to(receiver.WantsInputs)
    receiving.state = (
        replace(wants, payload=_with_a_bit_flipped(wants))
        .fail(Reason.WALLET_UNAVAILABLE)
        .save(receiving.log)
    )
    await receiving.step()
    closed = await receiving.to(receiver.Closed, steps=1)
    assert isinstance(closed.outcome, outcomes.Cancelled)
    assert closed.outcome.why is Reason.FALLBACK_INVALID
