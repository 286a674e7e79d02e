"""Payjoins that pay another script of the receiver than the address that the sender was given."""

from dataclasses import replace

import msgspec
import pytest
from tests.support.settling_wallet import ColdSettlingNodeWallet
from tests.support.stepping import AMOUNT, Receiving, Sending, Side, paid_into
from tests.support.world import World

from dovetail.bitcoin import Sats, Script, Transaction
from dovetail.runtime.async_ports import AsyncWallet
from dovetail.runtime.late_payments import late_payments
from dovetail.sessions import outcomes, receiver, sender
from dovetail.sessions.amounts import Received, amounts_of
from dovetail.sessions.overpayment import brought_by
from dovetail.sessions.reasons import Reason
from dovetail.sessions.sender.events import Created
from dovetail.wallets import SettlingWallet


@pytest.fixture
def wallet(world: World) -> ColdSettlingNodeWallet:
    return ColdSettlingNodeWallet(f"shop of {world.folder.name}", world.node)


@pytest.fixture
def shop(world: World, wallet: ColdSettlingNodeWallet) -> Side:
    """Bob with a wallet that settles elsewhere."""
    party = replace(world.bob, wallet=wallet)
    world.fund(party, 70_000, 80_000)
    return Side(world, party)


def paid_scripts(transaction: Transaction) -> set[Script]:
    return {output.script_pubkey for output in transaction.outputs}


def skeleton(monitor: receiver.Monitor) -> Transaction:
    assert monitor.payjoin_skeleton is not None
    return monitor.payjoin_skeleton


async def negotiated(
    world: World, shop: Side, alice: Side
) -> tuple[Receiving, Sending, receiver.Monitor]:
    receiving = shop.receive()
    sending = await paid_into(world, receiving, alice)
    return receiving, sending, await receiving.to(receiver.Monitor)


async def test_the_payjoin_pays_the_settlement_script_and_settles(
    world: World, alice: Side, shop: Side, wallet: ColdSettlingNodeWallet
):
    receiving, sending, monitor = await negotiated(world, shop, alice)
    address = receiving.uri.address.script_pubkey
    cold = wallet.settlements[address]
    (coin,) = (coin for coin in wallet.coins() if coin.outpoint in monitor.exposed)
    (ours,) = (out for out in skeleton(monitor).outputs if out.script_pubkey == cold)
    assert address not in paid_scripts(skeleton(monitor))
    paying = await sending.to(sender.Monitor)
    assert world.node.in_mempool(skeleton(monitor).txid)
    assert paying.expected == skeleton(monitor).txid
    world.node.mine()
    closed = await receiving.to(receiver.Closed)
    assert isinstance(closed.outcome, outcomes.Success)
    assert closed.outcome.txid == str(skeleton(monitor).txid)
    amounts = amounts_of(closed)
    assert isinstance(amounts, Received)
    assert (
        int(amounts.amount) == int(ours.value) - int(coin.utxo.value) == AMOUNT - int(amounts.paid)
    )
    assert brought_by(monitor, skeleton(monitor)) == amounts.amount


async def test_after_a_settlement_elsewhere_nothing_is_told_as_late(
    world: World, alice: Side, shop: Side
):
    receiving, sending, _ = await negotiated(world, shop, alice)
    await sending.to(sender.Monitor)
    world.node.mine()
    await receiving.to(receiver.Closed)
    assert list(late_payments(shop.store, shop.party.chain, world.clock())) == []
    paid = world.node.fund(receiving.uri.address.script_pubkey, AMOUNT)
    (late,) = late_payments(shop.store, shop.party.chain, world.clock())
    assert late.sighting.txid == paid.txid
    assert late.received > AMOUNT, "the payjoin brought nearly as much before"


async def test_the_fallback_pays_the_address_and_settles(
    world: World, alice: Side, shop: Side, wallet: ColdSettlingNodeWallet
):
    receiving, _, monitor = await negotiated(world, shop, alice)
    world.clock.pass_by(3600 + 600)
    await receiving.to(receiver.PendingFallback)
    await receiving.to(receiver.Monitor)
    fallback = monitor.fallback_transaction
    assert world.node.in_mempool(fallback.txid)
    assert paid_scripts(fallback).isdisjoint(wallet.settlements.values())
    world.node.mine()
    closed = await receiving.to(receiver.Closed)
    assert closed.outcome == outcomes.FallbackBroadcasted(
        txid=str(fallback.txid), why=Reason.FALLBACK_DUE
    )


async def test_a_plain_payment_beside_a_payjoin_to_another_script_is_told(
    world: World, alice: Side, shop: Side
):
    receiving, sending, _ = await negotiated(world, shop, alice)
    await sending.to(sender.Monitor)
    paid = world.node.fund(receiving.uri.address.script_pubkey, AMOUNT)
    closed = await receiving.to(receiver.Closed)
    assert isinstance(closed.outcome, outcomes.Success)
    assert closed.outcome.beside == AMOUNT
    assert str(paid.txid) in map(str, closed.outcome.others)


async def test_a_wallet_without_cold_keys_keeps_the_address(
    world: World, alice: Side, shop: Side, wallet: ColdSettlingNodeWallet
):
    wallet.has_no_cold_keys = True
    receiving, _, monitor = await negotiated(world, shop, alice)
    assert receiving.uri.address.script_pubkey in paid_scripts(skeleton(monitor))


async def paid_with(world: World, receiving: Receiving, alice: Side, *, allowed: bool) -> None:
    """Alice's payment waits, whose request allows output substitution or forbids it."""
    sending = await alice.send(receiving.uri)
    state = sending.state
    assert isinstance(state, sender.WithReplyKey)
    created = state.terms.created
    assert isinstance(created, Created)
    assert created.output_substitution is not allowed
    changed = msgspec.structs.replace(created, output_substitution=allowed)
    sending.state = replace(state, terms=replace(state.terms, created=changed))
    await sending.to(sender.PollingForProposal)


async def test_a_sender_who_forbids_it_pays_the_address(
    world: World, alice: Side, shop: Side, wallet: ColdSettlingNodeWallet
):
    receiving = shop.receive()
    assert receiving.uri.output_substitution
    await paid_with(world, receiving, alice, allowed=False)
    monitor = await receiving.to(receiver.Monitor)
    assert receiving.uri.address.script_pubkey in paid_scripts(skeleton(monitor))
    assert wallet.settlements == {}


async def test_a_uri_that_forbids_it_keeps_the_address_whatever_the_sender_says(
    world: World, alice: Side, shop: Side, wallet: ColdSettlingNodeWallet
):
    receiving = shop.receive(v1=True)
    assert not receiving.uri.output_substitution
    await paid_with(world, receiving, alice, allowed=True)
    monitor = await receiving.to(receiver.Monitor)
    assert receiving.uri.address.script_pubkey in paid_scripts(skeleton(monitor))
    assert wallet.settlements == {}


async def test_an_output_to_another_address_of_ours_keeps_its_script(
    world: World, alice: Side, shop: Side, wallet: ColdSettlingNodeWallet
):
    receiving = shop.receive()
    sending = await paid_into(world, receiving, alice)
    address = receiving.uri.address.script_pubkey
    other = paid_scripts(sending.state.fallback_transaction) - {address}
    wallet.also_owns = frozenset(other)
    committed = await receiving.to(receiver.WantsInputs)
    cold = wallet.settlements[address]
    assert {output.script_pubkey for output in committed.draft.outputs} == other | {cold}
    assert committed.draft.outputs[committed.draft.drain].script_pubkey == cold


async def test_a_script_that_the_sender_pays_already_is_not_taken(
    world: World, alice: Side, shop: Side, wallet: ColdSettlingNodeWallet
):
    receiving = shop.receive()
    sending = await paid_into(world, receiving, alice)
    paid = paid_scripts(sending.state.fallback_transaction)
    (wallet.settles_to,) = paid - {receiving.uri.address.script_pubkey}
    committed = await receiving.to(receiver.WantsInputs)
    assert committed.draft.outputs == sending.state.fallback_transaction.outputs


async def test_an_amount_that_is_dust_at_the_settlement_script_stays_at_the_address(
    world: World, alice: Side, shop: Side, wallet: ColdSettlingNodeWallet
):
    wallet.settles_to = Script(b"\x51\x20" + bytes(32))
    assert wallet.settles_to.dust_limit > 300
    receiving = shop.receive(amount=Sats(300))
    sending = await paid_into(world, receiving, alice)
    committed = await receiving.to(receiver.WantsInputs)
    assert committed.draft.outputs == sending.state.fallback_transaction.outputs


async def test_a_crash_before_the_event_pays_the_same_script_afterwards(
    world: World, alice: Side, shop: Side, wallet: ColdSettlingNodeWallet
):
    receiving = shop.receive()
    await paid_into(world, receiving, alice)
    wants = await receiving.to(receiver.WantsOutputs)
    first = await shop.services().async_wallet.settlement_script(wants.address.script_pubkey)
    receiving.reload()
    monitor = await receiving.to(receiver.Monitor)
    assert first in paid_scripts(skeleton(monitor))


async def test_only_a_settling_wallet_is_asked(world: World, wallet: ColdSettlingNodeWallet):
    script = world.bob.wallet.new_address().script_pubkey
    assert not isinstance(world.bob.wallet, SettlingWallet)
    assert await AsyncWallet(world.bob.wallet).settlement_script(script) is None
    assert isinstance(wallet, SettlingWallet)
    assert await AsyncWallet(wallet).settlement_script(script) == wallet.settlements[script]
