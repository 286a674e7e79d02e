from tests.support.stepping import Side, paid_into
from tests.support.world import World

from dovetail.bitcoin import FeeRate, OutPoint, Sats, Transaction, TxIn, TxOut
from dovetail.bitcoin.psbt import Psbt
from dovetail.explain.chain import describe_sighting
from dovetail.runtime.chain_queries import deepest_spend
from dovetail.runtime.chain_watch import ChainWatch, kind_of
from dovetail.sessions import receiver, sender
from dovetail.sessions.sightings import SpendKind
from dovetail.wallets.ports import Spend


def spend(side: Side, outpoint: OutPoint) -> Transaction:
    coin = next(coin for coin in side.party.wallet.coins() if coin.outpoint == outpoint)
    output = TxOut(Sats(coin.utxo.value - 500), coin.utxo.script_pubkey)
    unsigned = Transaction(2, (TxIn(outpoint),), (output,), 0)
    psbt = Psbt.from_unsigned(unsigned).with_input(0, coin.psbt_input)
    return side.party.wallet.keys.sign(psbt).extract()


def test_of_several_spends_the_deepest_counts(world: World, bob: Side):
    chain = bob.party.chain
    first, second = (coin.outpoint for coin in bob.party.wallet.coins())
    assert deepest_spend(chain, [first, second]) is None
    shallow, deep = spend(bob, first), spend(bob, second)
    world.node.send(shallow)
    found = deepest_spend(chain, [first, second])
    assert found is not None
    assert (found.transaction, found.depth) == (shallow, 0)
    world.evict(shallow.txid)
    world.node.send(deep)
    world.node.mine()
    world.node.send(shallow)
    found = deepest_spend(chain, [first, second])
    assert found is not None
    assert (found.transaction, found.depth) == (deep, 1)


async def monitored(world: World, alice: Side, bob: Side, depth: int) -> sender.Monitor:
    receiving = bob.receive(depth=depth)
    sending = await alice.send(receiving.uri, depth=depth)
    await sending.to(sender.PollingForProposal)
    await receiving.to(receiver.Monitor)
    return await sending.to(sender.Monitor)


async def test_a_watch_tells_depth_eviction_and_reorganisation(
    world: World, alice: Side, bob: Side
):
    monitor = await monitored(world, alice, bob, 3)
    payjoin = monitor.payjoin
    assert payjoin is not None
    watch = ChainWatch()

    def see(depth: int | None) -> str:
        found = None if depth is None else Spend(transaction=payjoin, depth=depth)
        watch.see(monitor, found)
        assert watch.sighting is not None
        return describe_sighting(watch.sighting)

    watch.see(monitor, None)
    assert watch.sighting is None, "nothing was seen yet"
    assert see(0) == "The network has the payjoin; it waits to be mined."
    assert see(None).startswith("The network dropped the payjoin;")
    assert see(None).startswith("The network dropped the payjoin;")
    assert see(2) == "The payjoin has 2 of 3 confirmations."
    assert see(1) == "A reorganisation moved it: the payjoin has 1 of 3 confirmations."
    assert "took the payjoin out of the chain" in see(0)
    assert "took the payjoin out of the chain" in see(0), "until it is mined again"
    assert see(1) == "The payjoin has 1 of 3 confirmations."
    assert see(None).startswith("A reorganisation removed the payjoin;")
    assert watch.payjoin == payjoin


async def test_what_spends_the_coins_is_told_apart(world: World, alice: Side, bob: Side):
    monitor = await monitored(world, alice, bob, 1)
    assert monitor.payjoin is not None
    back = alice.party.wallet.revoke(monitor.contested[0], fee_rate=FeeRate(1))
    owned = [output.script_pubkey for output in back.outputs]
    assert kind_of(monitor, monitor.payjoin) is SpendKind.PAYJOIN
    assert kind_of(monitor, monitor.fallback_transaction) is SpendKind.FALLBACK
    assert kind_of(monitor, back, owned=owned) is SpendKind.REVOCATION
    assert kind_of(monitor, back) is SpendKind.UNRECOGNIZED


async def test_a_receiver_tells_a_stranger_and_its_own_payment(
    world: World, alice: Side, bob: Side
):
    receiving = bob.receive()
    await paid_into(world, receiving, alice)
    monitor = await receiving.to(receiver.Monitor)
    assert kind_of(monitor, monitor.fallback_transaction) is SpendKind.FALLBACK
    strange = spend(alice, monitor.contested[0])
    owned = [output.script_pubkey for output in strange.outputs]
    assert kind_of(monitor, strange, owned=owned) is SpendKind.UNRECOGNIZED
