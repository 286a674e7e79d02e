from dataclasses import replace
from pathlib import Path

import pytest
from tests.regtest.spending import MINER_WITNESS, OPEN_SCRIPT, SOME_SCRIPT, spend

from dovetail.bitcoin.transaction import OutPoint
from dovetail.bitcoin.units import Sats
from dovetail.errors import InvalidTransaction, ReplayError, StoreUnavailable, UsageError
from dovetail.regtest.blocks import Block, BlockHash, BlockPlan, assemble, subsidy
from dovetail.regtest.chain import Chain, Change


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "blocks.log"


def make(chain: Chain, parent: BlockHash | None = None, *transactions, excess=0, tag=b"") -> Block:
    parent = chain.tip if parent is None else parent
    stored = chain.get(parent)
    assert stored is not None
    return assemble(
        BlockPlan(
            previous=parent,
            height=stored.height + 1,
            time=chain.median_time(parent) + 1,
            reward_script=OPEN_SCRIPT,
            reward=subsidy(stored.height + 1) + excess,
            transactions=transactions,
            extra_nonce=tag,
        )
    )


def grow(chain: Chain, count: int) -> None:
    for _ in range(count):
        chain.submit(make(chain).serialize())


def coinbase_of(chain: Chain, height: int) -> OutPoint:
    return OutPoint(chain.block_at(height).transactions[0].txid, 0)


def test_a_new_chain_holds_the_genesis_block_whose_output_cannot_be_spent(path):
    with Chain(path) as chain:
        assert chain.height == 0
        assert not chain.index.coins
        assert len(chain.index.transactions) == 1


def test_a_submitted_block_is_connected(path):
    with Chain(path) as chain:
        block = make(chain)
        change = chain.submit(block.serialize())
        assert change == Change(block.header.hash, (), (block,))
        assert chain.tip == block.header.hash
        assert chain.index.coins[coinbase_of(chain, 1)].is_coinbase


def test_a_known_block_changes_nothing(path):
    with Chain(path) as chain:
        raw = make(chain).serialize()
        chain.submit(raw)
        assert chain.submit(raw) == Change(chain.tip)
        assert chain.height == 1


def test_a_reopened_chain_is_the_same(path):
    with Chain(path) as chain:
        grow(chain, 5)
        side = make(chain, chain.at(3), tag=b"side")
        chain.submit(side.serialize())
        tip, coins = chain.tip, dict(chain.index.coins)
    with Chain(path) as chain:
        assert (chain.height, chain.tip) == (5, tip)
        assert chain.index.coins == coins
        assert chain.get(side.header.hash) is not None
        assert not chain.is_active(side.header.hash)
        grow(chain, 1)
        assert chain.height == 6


def test_a_block_that_breaks_a_rule_is_refused_and_not_kept(path):
    with Chain(path) as chain:
        grow(chain, 1)
        tip, size = chain.tip, path.stat().st_size
        with pytest.raises(UsageError):
            chain.submit(make(chain, excess=1).serialize())
        assert (chain.height, chain.tip, path.stat().st_size) == (1, tip, size)
        grow(chain, 1)
    with Chain(path) as chain:
        assert chain.height == 2


def test_a_premature_coinbase_cannot_be_mined(path):
    with Chain(path) as chain:
        grow(chain, 100)
        spending = spend([coinbase_of(chain, 2)], [(1000, SOME_SCRIPT)])
        with pytest.raises(UsageError):
            chain.submit(make(chain, None, spending).serialize())
        grow(chain, 1)
        chain.submit(make(chain, None, spending).serialize())
        assert OutPoint(spending.txid, 0) in chain.index.coins


def test_an_overspend_cannot_be_mined(path):
    with Chain(path) as chain:
        grow(chain, 100)
        coin = coinbase_of(chain, 1)
        with pytest.raises(UsageError):
            chain.submit(
                make(chain, None, spend([coin], [(5_000_000_001, SOME_SCRIPT)])).serialize()
            )
        assert coin in chain.index.coins


def test_a_wrong_witness_cannot_be_mined(path):
    with Chain(path) as chain:
        grow(chain, 100)
        wrong = spend([coinbase_of(chain, 1)], [(1000, SOME_SCRIPT)], witness=MINER_WITNESS)
        with pytest.raises(UsageError):
            chain.submit(make(chain, None, wrong).serialize())


def test_a_coin_cannot_be_spent_twice(path):
    with Chain(path) as chain:
        grow(chain, 100)
        coin = coinbase_of(chain, 1)
        chain.submit(make(chain, None, spend([coin], [(1000, SOME_SCRIPT)])).serialize())
        with pytest.raises(UsageError):
            chain.submit(make(chain, None, spend([coin], [(2000, SOME_SCRIPT)])).serialize())


def test_an_orphan_is_refused_and_bytes_that_are_no_block_too(path):
    with Chain(path) as chain:
        block = make(chain)
        orphan = replace(block, header=replace(block.header, previous=BlockHash(b"\x01" * 32)))
        with pytest.raises(UsageError):
            chain.submit(orphan.serialize())
        with pytest.raises(InvalidTransaction):
            chain.submit(b"no block")


def test_the_longer_branch_wins_and_the_index_follows(path):
    with Chain(path) as chain:
        grow(chain, 101)
        coin = coinbase_of(chain, 1)
        before = dict(chain.index.coins), dict(chain.index.spenders)
        fork = chain.tip
        first = spend([coin], [(4000, OPEN_SCRIPT), (500, SOME_SCRIPT)])
        second = spend([OutPoint(first.txid, 0)], [(3000, SOME_SCRIPT)])
        old = make(chain, None, first, second)
        chain.submit(old.serialize())
        assert chain.index.spenders[coin] == (first.txid, 0)

        side = make(chain, fork, tag=b"side")
        assert chain.submit(side.serialize()) == Change(side.header.hash)
        assert chain.tip == old.header.hash
        winner = make(chain, side.header.hash, tag=b"side")
        change = chain.submit(winner.serialize())

        assert change.disconnected == (old,)
        assert change.connected == (side, winner)
        assert not chain.is_active(old.header.hash)
        new_coinbases = {coinbase_of(chain, height) for height in (102, 103)}
        coins, spenders = before
        assert {k: v for k, v in chain.index.coins.items() if k not in new_coinbases} == coins
        assert chain.index.spenders == spenders
        assert first.txid not in chain.index.transactions


def test_a_branch_with_a_bad_block_never_wins(path):
    with Chain(path) as chain:
        grow(chain, 2)
        tip = chain.tip
        bad = make(chain, chain.at(1), excess=1)
        chain.submit(bad.serialize())
        with pytest.raises(UsageError):
            chain.submit(make(chain, bad.header.hash).serialize())
        assert (chain.height, chain.tip) == (2, tip)
        grow(chain, 1)
    with Chain(path) as chain:
        assert chain.height == 3


def test_the_median_time_is_that_of_eleven_blocks(path):
    with Chain(path) as chain:
        start = chain.median_time()
        grow(chain, 1)
        # Of two blocks the later one counts, as in Bitcoin Core.
        assert chain.median_time() == chain.block_at(1).header.time
        grow(chain, 20)
        times = sorted(chain.block_at(height).header.time for height in range(11, 22))
        assert chain.median_time() == times[5] > start


def test_a_disk_that_fails_loses_neither_chain_nor_block(path, monkeypatch):
    with Chain(path) as chain:
        grow(chain, 3)
        block = make(chain)

        def fail(_block):
            raise StoreUnavailable("full")

        with monkeypatch.context() as patched:
            patched.setattr(chain._log, "append", fail)
            with pytest.raises(StoreUnavailable):
                chain.submit(block.serialize())
        assert chain.height == 3
        # The kernel was rebuilt without the block: it is new, and another one may win.
        other = make(chain, tag=b"other")
        assert chain.submit(other.serialize()).connected == (other,)
        assert chain.submit(block.serialize()).connected == ()


def test_a_log_whose_blocks_do_not_connect_is_reported(path):
    with Chain(path) as chain:
        grow(chain, 2)
        raw = [chain.block_at(height).serialize() for height in (1, 2)]
    data = path.read_bytes()
    start, end = data.index(raw[0]) - 8, data.index(raw[1]) - 8
    path.write_bytes(data[:start] + data[end:])
    with pytest.raises(ReplayError):
        Chain(path)
    path.write_bytes(data)
    with Chain(path) as chain:
        assert chain.height == 2


def test_a_closed_chain_takes_no_block(path):
    chain = Chain(path)
    raw = make(chain).serialize()
    chain.close()
    chain.close()
    with pytest.raises(UsageError):
        chain.submit(raw)


def test_heights_outside_the_chain_have_no_block(path):
    with Chain(path) as chain:
        assert chain.at(-1) is None
        assert chain.at(1) is None
        assert chain.get(BlockHash(bytes(32))) is None
        assert not chain.is_active(BlockHash(bytes(32)))


def test_an_output_that_does_not_exist_is_none(path):
    with Chain(path) as chain:
        grow(chain, 1)
        txid = coinbase_of(chain, 1).txid
        output = chain.index.output(OutPoint(txid, 0))
        assert output is not None
        assert output.value == Sats.from_btc("50")
        assert chain.index.output(OutPoint(txid, 2)) is None
