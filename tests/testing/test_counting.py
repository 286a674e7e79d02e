"""The counted ports do what the bare ones do, and each effect is counted at its place."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.stores.callers import MemoryCaller
from tests.support.stepping import Receiving, Sending, Side
from tests.support.wire import Wire
from tests.support.world import World

from dovetail.bitcoin import FeeRate, Sats
from dovetail.protocol.requests import GATEWAY_PATH, Request
from dovetail.runtime.services import Services
from dovetail.sessions import receiver, sender
from dovetail.stores.memory import MemoryStore
from dovetail.testing.counting import (
    CountingChain,
    CountingLog,
    CountingStore,
    CountingTransport,
    CountingWallet,
)
from dovetail.testing.kill import Killer, effects
from dovetail.testing.store_contract import StoreContract
from dovetail.testing.store_samples import NOW
from dovetail.wallets.ports import Accepted

RATE = FeeRate.from_sat_per_vb(2)


class TestCountingStore(StoreContract):
    """A counted store keeps what every store keeps."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[CountingStore]:
        bare = MemoryStore(clock=lambda: NOW)
        with CountingStore(bare, Killer(tmp_path / "journal")) as store:
            yield store

    @pytest.fixture
    def caller(self, tmp_path: Path) -> MemoryCaller:
        caller = MemoryCaller()
        caller.store = CountingStore(caller.store, Killer(tmp_path / "journal"))
        return caller


@pytest.fixture
def killer(tmp_path: Path) -> Killer:
    return Killer(tmp_path / "journal")


def counted(services: Services, killer: Killer) -> Services:
    return replace(
        services,
        wallet=CountingWallet(services.wallet, killer),
        chain=CountingChain(services.chain, killer),
        store=CountingStore(services.store, killer),
        transport=CountingTransport(services.transport, killer),
    )


async def test_each_effect_of_a_payjoin_is_counted_at_its_place(
    world: World, alice: Side, bob: Side, tmp_path: Path
) -> None:
    hers, his = Killer(tmp_path / "hers"), Killer(tmp_path / "his")
    bare = bob.receive()
    receiving = Receiving(counted(bare.services, his), CountingLog(bare.log, his), state=bare.state)
    unpaid = await alice.send(bare.uri)
    sending = Sending(
        counted(unpaid.services, hers), CountingLog(unpaid.log, hers), state=unpaid.state
    )

    await sending.to(sender.PollingForProposal)
    await receiving.to(receiver.Monitor)
    await sending.to(sender.Monitor)
    world.node.mine()
    await sending.to(sender.Closed)
    await receiving.to(receiver.Closed)

    assert effects(tmp_path / "hers") == (
        "append StartedPosting",
        "request leaves",
        "response",
        "append PostedOriginalPsbt",
        "request leaves",
        "response",
        "append ReceivedProposal",
        "sign",
        "append SignedPayjoin",
        "broadcast leaves",
        "broadcast answered",
        "append BroadcastPayjoin",
        "append Closed",
    )
    assert effects(tmp_path / "his") == (
        "request leaves",
        "response",
        "append RetrievedOriginalPayload",
        "append CheckedBroadcastSuitability",
        "append CheckedInputsNotOwned",
        "claim",
        "append CheckedNoInputsSeenBefore",
        "append IdentifiedReceiverOutputs",
        "append CommittedOutputs",
        "reserve",
        "append CommittedInputs",
        "append AppliedFeeRange",
        "sign",
        "expose",
        "append FinalizedProposal",
        "request leaves",
        "response",
        "append PostedPayjoinProposal",
        "append Closed",
    )


def test_a_counted_wallet_is_the_wallet(world: World, alice: Side, killer: Killer) -> None:
    bare = world.alice.wallet
    wallet = CountingWallet(bare, killer)
    wallet.sync()
    (coin,) = wallet.coins()
    address = wallet.new_address()

    wallet.pay(address.script_pubkey, Sats(10_000), fee_rate=RATE)
    wallet.revoke(coin.outpoint, fee_rate=RATE)

    assert (wallet.network, wallet.balance()) == (bare.network, bare.balance())
    assert wallet.owned([address.script_pubkey]) == {address.script_pubkey}
    assert effects(killer.journal) == ("new address", "sign Original", "sign revocation")


def test_looks_at_the_chain_are_no_effects(world: World, alice: Side, killer: Killer) -> None:
    bare = world.alice.chain
    chain = CountingChain(bare, killer)
    (coin,) = world.alice.wallet.coins()
    script = coin.utxo.script_pubkey

    assert chain.height() == bare.height()
    assert chain.fee_rate(target=6) == bare.fee_rate(target=6)
    assert chain.payments_to(script) == bare.payments_to(script)
    assert chain.spends_of([coin.outpoint]) == {}
    assert chain.outputs([coin.outpoint])[coin.outpoint].txout == coin.utxo
    assert chain.min_fee_rate() == FeeRate.BROADCAST_MIN
    back = world.alice.wallet.revoke(coin.outpoint, fee_rate=RATE)
    assert chain.acceptance(back) == Accepted(tested=True)
    assert killer.count == 0


async def test_keys_are_asked_for_and_answered(killer: Killer) -> None:
    wire = Wire()
    reply = await CountingTransport(wire, killer).get(wire.directory.origin + GATEWAY_PATH)

    assert reply.body == wire.directory.config.serialize()
    assert effects(killer.journal) == ("key request leaves", "key response")


async def test_a_request_that_was_stopped_has_not_left(
    world: World, alice: Side, bob: Side, tmp_path: Path
) -> None:
    left: list[Request] = []
    killer = Killer(tmp_path / "journal", on="request leaves", strike=strike)
    transport = CountingTransport(world.wire, killer, leaving=left.append)
    receiving = bob.receive()
    receiving.services = replace(receiving.services, transport=transport)

    for _ in range(2):
        with pytest.raises(InterruptedError):
            await receiving.step()
        assert (left, world.wire.sent) == ([], [])


def strike() -> None:
    raise InterruptedError
