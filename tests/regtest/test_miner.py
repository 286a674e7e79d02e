import pytest
from tests.regtest.spending import OPEN_SCRIPT, SOME_SCRIPT, open_coins, spend

from dovetail.bitcoin.transaction import OutPoint, TxOut
from dovetail.bitcoin.units import Sats
from dovetail.errors import InsufficientFunds, UsageError
from dovetail.regtest.blocks import subsidy
from dovetail.regtest.miner import REWARD_SCRIPT
from dovetail.regtest.node import RegtestNode
from dovetail.regtest.policy import Accepted


def test_the_miner_earns_subsidy_and_fees(node):
    (coin,) = open_coins(node, 50_000)
    node.send(spend([coin], [(40_000, SOME_SCRIPT)]))
    node.mine(1, OPEN_SCRIPT)
    reward = node.chain.block_at(node.height).transactions[0].outputs[0]
    assert reward == TxOut(subsidy(node.height) + 10_000, OPEN_SCRIPT)


def test_many_blocks_at_once_keep_their_times_in_order():
    now = 1_700_000_000
    with RegtestNode(blocks=40, clock=lambda: now) as node:
        times = [node.chain.block_at(height).header.time for height in range(1, 41)]
        assert times[0] == now
        assert times == sorted(times)
        assert times[-1] < now + 40


def test_a_payment_pays_its_outputs_in_order_and_change_last(node):
    wanted = [TxOut(Sats(1000), SOME_SCRIPT), TxOut(Sats(2000), OPEN_SCRIPT)]
    paid = node.fund_many(wanted)
    assert list(paid.outputs[:2]) == wanted
    assert paid.outputs[2].script_pubkey == REWARD_SCRIPT
    assert node.confirmations(paid.txid) == 1


def test_many_payments_between_two_blocks_take_coin_after_coin(node):
    paid = [node.fund(SOME_SCRIPT, Sats(1000), confirmations=0) for _ in range(15)]
    assert len({outpoint.txid for outpoint in paid}) == 15
    node.mine()
    assert all(node.confirmations(outpoint.txid) == 1 for outpoint in paid)


def test_a_large_payment_takes_several_coins(node):
    paid = node.fund_many([TxOut(Sats.from_btc("420"), SOME_SCRIPT)])
    assert len(paid.inputs) == 9


def test_a_miner_without_mature_coins_says_so():
    with RegtestNode(blocks=99) as node:
        with pytest.raises(InsufficientFunds):
            node.fund(SOME_SCRIPT, Sats(1000))
        node.mine(1)
        node.fund(SOME_SCRIPT, Sats(1000))


def test_a_payment_above_all_it_has_is_refused(node):
    with pytest.raises(InsufficientFunds):
        node.fund(SOME_SCRIPT, Sats.from_btc("550"))


def test_a_reorganisation_replaces_the_last_blocks_by_more(node):
    old = [node.chain.at(height) for height in (109, 110)]
    mined = node.reorg(2)
    assert len(mined) == 3
    assert (node.height, node.tip) == (111, mined[-1])
    assert not any(node.chain.is_active(name) for name in old if name is not None)
    assert len(node.reorg(1, blocks=4)) == 4
    assert node.height == 114


def test_a_reorganisation_can_double_spend(node):
    (coin,) = open_coins(node, 50_000)
    first = spend([coin], [(49_000, SOME_SCRIPT)])
    assert isinstance(node.send(first), Accepted)
    node.mine()
    second = spend([coin], [(48_000, SOME_SCRIPT)])
    node.reorg(1, transactions=[second])
    assert node.confirmations(second.txid) == 2
    assert node.transaction(first.txid) is None
    assert node.spender(coin) == second.txid


def test_a_reorganisation_to_a_bad_transaction_leaves_the_chain(node):
    (coin,) = open_coins(node, 50_000)
    tip = node.tip
    with pytest.raises(UsageError):
        node.reorg(1, transactions=[spend([coin], [(50_001, SOME_SCRIPT)])])
    assert node.tip == tip
    node.mine()
    assert node.height == 112


@pytest.mark.parametrize(("depth", "blocks"), [(0, None), (111, None), (-1, 5), (2, 2)])
def test_an_impossible_reorganisation_is_refused(node, depth, blocks):
    tip = node.tip
    with pytest.raises(UsageError):
        node.reorg(depth, blocks=blocks)
    assert node.tip == tip


def test_the_whole_chain_can_be_replaced():
    with RegtestNode(blocks=3) as node:
        node.reorg(3)
        assert node.height == 4


def test_mined_rewards_can_be_paid_to_anyone(node):
    (name,) = node.mine(1, SOME_SCRIPT)
    stored = node.chain.get(name)
    coinbase = stored.block.transactions[0]
    assert node.utxo(OutPoint(coinbase.txid, 0)) == coinbase.outputs[0]
    assert coinbase.outputs[0].script_pubkey == SOME_SCRIPT
