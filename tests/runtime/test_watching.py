from tests.runtime.side import AMOUNT, Side
from tests.runtime.world import World

from dovetail.bitcoin import OutPoint, Sats, Transaction, TxIn, TxOut
from dovetail.bitcoin.psbt import Psbt
from dovetail.runtime.watching import deepest_spend, direct_payment


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


def test_of_several_payments_the_deepest_sufficient_one_counts(world: World, bob: Side):
    chain, script = bob.party.chain, bob.party.wallet.new_address().script_pubkey
    assert direct_payment(chain, script, AMOUNT) is None
    world.node.fund(script, Sats(AMOUNT - 1))
    assert direct_payment(chain, script, AMOUNT) is None
    paid = world.node.fund(script, AMOUNT)
    world.node.fund(script, AMOUNT, confirmations=0)
    found = direct_payment(chain, script, AMOUNT)
    assert found is not None
    assert (found.txid, found.depth) == (paid.txid, 1)
    least = direct_payment(chain, script, None)
    assert least is not None
    assert least.amount == AMOUNT - 1
