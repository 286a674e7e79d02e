import pytest

from dovetail.bitcoin.script import Script
from dovetail.bitcoin.units import Sats
from dovetail.errors import InvalidTransaction, ParseError
from dovetail.regtest.blocks import Block, BlockHash, BlockPlan, Header, assemble, subsidy
from dovetail.regtest.kernel import Kernel

# Bitcoin Core, chainparams.cpp: the regtest genesis block.
GENESIS = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"


def plan(height: int) -> BlockPlan:
    return BlockPlan(
        previous=BlockHash.from_hex(GENESIS),
        height=height,
        time=1_700_000_000,
        reward_script=Script(b"\x51"),
        reward=subsidy(height),
    )


def test_the_genesis_block_is_read_and_written_back():
    with Kernel() as kernel:
        raw = kernel.genesis
    block = Block.parse(raw)
    assert str(block.header.hash) == GENESIS
    assert block.serialize() == raw
    assert block.header.merkle_root == block.txids[0]


def test_a_made_block_is_read_back_as_it_was():
    block = assemble(plan(1))
    assert Block.parse(block.serialize()) == block
    assert repr(block.header.hash) == f"<BlockHash {block.header.hash}>"


@pytest.mark.parametrize(
    ("height", "push"),
    [
        (1, "51"),
        (16, "60"),
        (17, "0111"),
        (127, "017f"),
        (128, "028000"),
        (255, "02ff00"),
        (256, "020001"),
        (32767, "02ff7f"),
        (32768, "03008000"),
    ],
)
def test_a_coinbase_opens_with_its_height_in_minimal_form(height, push):
    coinbase = assemble(plan(height)).transactions[0]
    assert coinbase.inputs[0].script_sig.hex().startswith(push)


def test_the_subsidy_halves_every_150_blocks():
    assert [subsidy(height) for height in (0, 149, 150, 299, 300)] == [
        Sats.from_btc(text) for text in ("50", "50", "25", "25", "12.5")
    ]
    assert subsidy(150 * 40) == 0


@pytest.mark.parametrize("damage", [0, 79, 80, 81, 100])
def test_a_cut_block_is_refused(damage):
    raw = assemble(plan(1)).serialize()
    with pytest.raises(ParseError):
        Block.parse(raw[:damage])


def test_a_block_with_more_behind_it_or_without_transactions_is_refused():
    raw = assemble(plan(1)).serialize()
    with pytest.raises(InvalidTransaction):
        Block.parse(raw + b"\x00")
    with pytest.raises(InvalidTransaction):
        Block.parse(raw[:80] + b"\x00")


def test_a_header_of_another_length_is_refused():
    with pytest.raises(InvalidTransaction):
        Header.parse(bytes(79))


@pytest.mark.parametrize("text", ["", "00" * 31, "zz" * 32, "00" * 33, " " + "00" * 32, "é" * 64])
def test_text_that_is_no_block_hash_is_refused(text):
    with pytest.raises(InvalidTransaction):
        BlockHash.from_hex(text)


def test_no_text_of_a_block_hash_is_in_the_order_of_its_bytes():
    name = BlockHash.from_hex(GENESIS)
    assert name.hex() == str(name) == GENESIS
    assert bytes(name).hex() == bytes(reversed(bytes.fromhex(GENESIS))).hex()
