"""Whatever happens to a chain, a restart tells the same story."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, TxIn, TxOut
from dovetail.bitcoin.units import Sats
from dovetail.errors import DovetailError
from dovetail.regtest.blocks import BlockPlan, assemble, subsidy
from dovetail.regtest.index import ChainIndex, script_hash
from dovetail.regtest.miner import REWARD_SCRIPT
from dovetail.regtest.node import RegtestNode

pytestmark = pytest.mark.property

SCRIPTS = (REWARD_SCRIPT, Script(b"\x00\x14" + bytes(20)), Script(b"\x51\x20" + b"\x01" * 32))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("mine"), st.integers(1, 3), st.integers(0, 2)),
        st.tuples(st.just("spend"), st.integers(0, 200), st.integers(0, 5_000)),
        st.tuples(st.just("reorg"), st.integers(1, 4), st.integers(0, 2)),
        st.tuples(st.just("restart"), st.just(0), st.just(0)),
    ),
    max_size=12,
)


def take(node: RegtestNode, step: tuple[str, int, int]) -> None:
    match step:
        case "mine", count, script:
            node.mine(count, SCRIPTS[script])
        case "spend", choice, fee:
            young = {
                outpoint
                for outpoint, coin in node.chain.index.coins.items()
                if coin.is_coinbase and node.height - coin.height < 99
            }
            coins = sorted(
                outpoint
                for outpoint in {*node.chain.index.coins, *_waiting_outputs(node)} - young
                if _script_of(node, outpoint) == REWARD_SCRIPT
            )
            if not coins:
                return
            coin = coins[choice % len(coins)]
            value = int(_output(node, coin).value) - fee
            outputs = tuple(TxOut(Sats(value // 2), script) for script in SCRIPTS[:2])
            inputs = (TxIn(coin, sequence=0xFFFFFFFD, witness=(b"\x51",)),)
            node.send(Transaction(2, inputs, outputs, 0))
        case "reorg", depth, more:
            node.reorg(depth, blocks=depth + 1 + more)
        case _:
            pass


def _waiting_outputs(node: RegtestNode) -> list[OutPoint]:
    return [
        OutPoint(entry.transaction.txid, vout)
        for entry in node.mempool
        for vout in range(len(entry.transaction.outputs))
    ]


def _output(node: RegtestNode, outpoint: OutPoint) -> TxOut:
    found = node.mempool.output(outpoint) or node.chain.index.output(outpoint)
    assert found is not None
    return found


def _script_of(node: RegtestNode, outpoint: OutPoint) -> Script:
    return _output(node, outpoint).script_pubkey


def story(node: RegtestNode) -> tuple[object, ...]:
    index = node.chain.index
    hashes = [script_hash(script) for script in SCRIPTS]
    return (
        node.tip,
        index.coins,
        index.spenders,
        index.transactions,
        [index.history(name) for name in hashes],
        [set(index.unspent(name)) for name in hashes],
        node.mempool_txids(),
    )


def check_index(node: RegtestNode) -> None:
    """The index that followed every turn equals one built from the active chain alone."""
    fresh = ChainIndex()
    for height in range(node.height + 1):
        fresh.connect(node.chain.block_at(height), height)
    index = node.chain.index
    assert (fresh.coins, fresh.spenders, fresh.transactions) == (
        index.coins,
        index.spenders,
        index.transactions,
    )
    assert node.chain._kernel.tip == (node.height, node.tip)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(STEPS)
def test_a_restart_tells_the_same_story(steps):
    with tempfile.TemporaryDirectory() as directory:
        node = RegtestNode(Path(directory), blocks=102)
        try:
            for step in steps:
                take(node, step)
                check_index(node)
                if step[0] == "restart":
                    told = story(node)
                    node.close()
                    node = RegtestNode(Path(directory))
                    assert story(node) == told
            waiting = node.mempool_txids()
            node.mine()
            assert all(node.confirmations(txid) == 1 for txid in waiting)
        finally:
            node.close()


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(0, 400), st.integers(0, 3), st.binary(max_size=3))
def test_a_changed_block_is_refused_or_becomes_the_tip(position, cut, splice):
    with tempfile.TemporaryDirectory() as directory, RegtestNode(Path(directory)) as node:
        raw = assemble(
            BlockPlan(node.tip, 1, node.median_time + 1, SCRIPTS[1], subsidy(1))
        ).serialize()
        changed = raw[:position] + splice + raw[position + cut :]
        try:
            name = node.submit_block(changed)
        except DovetailError:
            assert node.height == 0
        else:
            assert (node.height, node.tip) == (1, name)
        check_index(node)
