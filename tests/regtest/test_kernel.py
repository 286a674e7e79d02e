from dataclasses import replace
from pathlib import Path

import pytest

from dovetail.bitcoin.hashes import sha256
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.bitcoin.units import Sats
from dovetail.errors import UsageError
from dovetail.regtest.blocks import Block, BlockHash, BlockPlan, assemble, subsidy
from dovetail.regtest.kernel import Kernel, first_unsatisfied_input

PLAIN = Script(b"\x51")


def first_block(kernel: Kernel, *, excess: int = 0, height: int = 1) -> Block:
    genesis = Block.parse(kernel.genesis)
    return assemble(
        BlockPlan(
            previous=genesis.header.hash,
            height=height,
            time=genesis.header.time + 600,
            reward_script=PLAIN,
            reward=subsidy(1) + excess,
        )
    )


def test_a_good_block_becomes_the_tip():
    with Kernel() as kernel:
        block = first_block(kernel)
        assert kernel.submit(block.serialize())
        assert kernel.tip == (1, block.header.hash)


def test_a_block_that_creates_money_is_refused_and_leaves_the_tip():
    with Kernel() as kernel:
        assert not kernel.submit(first_block(kernel, excess=1).serialize())
        assert kernel.tip[0] == 0


def test_a_block_with_another_height_in_its_coinbase_is_refused():
    with Kernel() as kernel:
        assert not kernel.submit(first_block(kernel, height=2).serialize())


def test_a_block_without_proof_of_work_is_refused():
    with Kernel() as kernel:
        block = first_block(kernel)
        header = block.header
        while header.hash[31] < 0x80:
            header = replace(header, nonce=header.nonce + 1)
        assert not kernel.submit(replace(block, header=header).serialize())


def test_a_block_whose_transactions_do_not_match_its_root_is_refused():
    with Kernel() as kernel:
        block = first_block(kernel)
        other = replace(block.transactions[0], lock_time=1)
        assert not kernel.submit(replace(block, transactions=(other,)).serialize())


def test_bytes_that_are_no_block_are_refused():
    with Kernel() as kernel:
        assert not kernel.submit(b"\x00" * 10)


def test_an_orphan_is_refused():
    with Kernel() as kernel:
        orphan = assemble(BlockPlan(BlockHash(b"\x11" * 32), 1, 1_700_000_000, PLAIN, subsidy(1)))
        assert not kernel.submit(orphan.serialize())


def test_closing_removes_the_kernel_s_directory_and_stops_its_use():
    kernel = Kernel()
    directory = Path(kernel._directory.name)
    assert directory.is_dir()
    kernel.close()
    kernel.close()
    assert not directory.exists()
    with pytest.raises(UsageError):
        kernel.submit(b"")


def test_the_first_input_that_does_not_verify_is_named():
    program = Script(b"\x00\x20" + sha256(b"\x51"))
    coins = [TxOut(Sats(1000), program)] * 3
    good, bad = (b"\x51",), (b"\x52",)

    def spending(*witnesses: tuple[bytes, ...]) -> Transaction:
        return Transaction(
            version=2,
            inputs=tuple(
                TxIn(OutPoint(Txid(bytes([vout + 1]) * 32), vout), witness=witness)
                for vout, witness in enumerate(witnesses)
            ),
            outputs=(TxOut(Sats(1000), PLAIN),),
            lock_time=0,
        )

    assert first_unsatisfied_input(spending(good, good, good), coins) is None
    assert first_unsatisfied_input(spending(good, bad, bad), coins) == 1
