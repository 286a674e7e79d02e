import threading

import pytest
from tests.regtest.spending import OPEN_SCRIPT, SOME_SCRIPT, open_coins, spend

from dovetail.bitcoin.transaction import OutPoint, Txid
from dovetail.bitcoin.units import Sats
from dovetail.errors import InvalidTransaction, ReplayError, StoreUnavailable, UsageError
from dovetail.regtest.blocks import BlockPlan, assemble, subsidy
from dovetail.regtest.node import RegtestNode


def test_a_restart_keeps_the_chain_and_the_mempool(tmp_path):
    with RegtestNode(tmp_path, blocks=110) as node:
        (coin,) = open_coins(node, 50_000)
        parent = spend([coin], [(49_000, OPEN_SCRIPT)])
        child = spend([OutPoint(parent.txid, 0)], [(48_000, SOME_SCRIPT)])
        node.send(parent)
        node.send(child)
        came = [entry.time for entry in node.mempool]
        tip = node.tip
    with RegtestNode(tmp_path, blocks=110) as node:
        assert (node.height, node.tip) == (111, tip)
        assert node.mempool_txids() == (parent.txid, child.txid)
        assert [entry.time for entry in node.mempool] == came
        node.mine()
        assert node.confirmations(child.txid) == 1
    with RegtestNode(tmp_path) as node:
        assert node.mempool_txids() == ()
        assert node.confirmations(child.txid) == 1


def test_a_saved_transaction_that_no_longer_connects_is_dropped(tmp_path):
    with RegtestNode(tmp_path, blocks=110) as node:
        (coin,) = open_coins(node, 50_000)
        node.send(spend([coin], [(49_000, SOME_SCRIPT)]))
        saved = (tmp_path / "mempool.txt").read_bytes()
        node.mine()
    (tmp_path / "mempool.txt").write_bytes(saved)
    with RegtestNode(tmp_path) as node:
        assert node.mempool_txids() == ()


def test_a_temporary_node_leaves_nothing_behind():
    with RegtestNode(blocks=1) as node:
        directory = node._mempool_file.parent
        assert directory.is_dir()
    assert not directory.exists()
    node.close()


def test_a_directory_serves_one_node_at_a_time(tmp_path):
    with RegtestNode(tmp_path), pytest.raises(StoreUnavailable):
        RegtestNode(tmp_path)


def test_a_damaged_mempool_frees_the_directory_again(tmp_path):
    (tmp_path / "mempool.txt").write_bytes(b"nonsense\n")
    with pytest.raises(ReplayError):
        RegtestNode(tmp_path)
    (tmp_path / "mempool.txt").unlink()
    RegtestNode(tmp_path).close()


def test_transactions_and_outputs_are_found_wherever_they_are(node):
    (coin,) = open_coins(node, 50_000)
    waiting = spend([coin], [(49_000, SOME_SCRIPT)])
    made = OutPoint(waiting.txid, 0)
    assert node.utxo(coin) is not None
    assert node.utxo(made) is None
    assert node.spender(coin) is None

    node.send(waiting)
    assert node.transaction(waiting.txid) == waiting
    assert node.in_mempool(waiting.txid)
    assert node.confirmations(waiting.txid) == 0
    assert node.utxo(coin) is None
    assert node.utxo(made) == waiting.outputs[0]
    assert node.spender(coin) == waiting.txid

    node.mine(2)
    assert node.transaction(waiting.txid) == waiting
    assert not node.in_mempool(waiting.txid)
    assert node.confirmations(waiting.txid) == 2
    assert node.utxo(made) == waiting.outputs[0]
    assert node.spender(coin) == waiting.txid


def test_an_unknown_transaction_is_none(node):
    assert node.transaction(Txid(bytes(32))) is None
    assert node.confirmations(Txid(bytes(32))) == 0


def test_a_submitted_block_goes_through_the_consensus_code(node):
    def block(excess):
        return assemble(
            BlockPlan(
                previous=node.tip,
                height=node.height + 1,
                time=node.median_time + 1,
                reward_script=SOME_SCRIPT,
                reward=subsidy(node.height + 1) + excess,
            )
        ).serialize()

    with pytest.raises(UsageError):
        node.submit_block(block(1))
    with pytest.raises(InvalidTransaction):
        node.submit_block(b"")
    assert node.height == 110
    assert node.submit_block(block(0)) == node.tip
    assert node.height == 111


def test_dust_cannot_be_funded_and_a_count_cannot_be_negative(node):
    with pytest.raises(UsageError, match="dust"):
        node.fund(SOME_SCRIPT, Sats(1))
    with pytest.raises(UsageError):
        node.mine(-1)
    assert node.mine(0) == ()


def test_threads_share_a_node(node):
    def work():
        for _ in range(5):
            node.fund(SOME_SCRIPT, Sats(1000))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert node.height == 130


def test_what_was_done_before_a_failure_is_kept(tmp_path, monkeypatch):
    with RegtestNode(tmp_path, blocks=105) as node:
        extend = type(node._miner).extend
        calls: list[None] = []

        def failing(miner, *given):
            calls.append(None)
            if len(calls) == 3:
                raise UsageError("stop")
            return extend(miner, *given)

        monkeypatch.setattr(type(node._miner), "extend", failing)
        with pytest.raises(UsageError):
            node.mine(5)
        assert node.height == 107
    with RegtestNode(tmp_path) as node:
        assert node.height == 107
