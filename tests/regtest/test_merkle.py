import pytest

from dovetail.bitcoin.hashes import hash256
from dovetail.regtest.merkle import merkle_block, merkle_branch, merkle_root

LEAVES = [bytes([number]) * 32 for number in range(7)]
# Bitcoin mainnet, block 170: the first with a payment in it.
BLOCK_170_TXIDS = [
    bytes.fromhex(text)[::-1]
    for text in (
        "b1fea52486ce0c62bb442b530a3f0132b826c74e473d1f2c220bfa78111c5082",
        "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16",
    )
]
BLOCK_170_ROOT = "7dac2c5666815c17a3b36427de37bb9d2e2c5ccec3f8633eb91a4205cb4c10ff"


def test_a_known_block_has_its_known_root():
    assert merkle_root(BLOCK_170_TXIDS)[::-1].hex() == BLOCK_170_ROOT


def test_a_single_leaf_is_its_own_root():
    assert merkle_root(LEAVES[:1]) == LEAVES[0]
    assert merkle_branch(LEAVES[:1], 0) == ()


@pytest.mark.parametrize("count", range(1, 8))
def test_every_branch_leads_from_its_leaf_to_the_root(count):
    for index in range(count):
        node, position = LEAVES[index], index
        for sibling in merkle_branch(LEAVES[:count], index):
            node = hash256(sibling + node if position % 2 else node + sibling)
            position //= 2
        assert node == merkle_root(LEAVES[:count])


@pytest.mark.parametrize("count", range(1, 8))
def test_every_merkle_block_proves_its_leaf(count):
    for index in range(count):
        root, matches = _verify(merkle_block(bytes(80), LEAVES[:count], index))
        assert root == merkle_root(LEAVES[:count])
        assert matches == [LEAVES[index]]


def _verify(data):
    """BIP 37's parser: the root and the leaves that are marked as matches."""
    total = int.from_bytes(data[80:84], "little")
    count = data[84]
    hashes = [data[85 + 32 * i : 117 + 32 * i] for i in range(count)]
    packed = data[86 + 32 * count :]
    assert len(packed) == data[85 + 32 * count]
    bits = [packed[i // 8] >> i % 8 & 1 for i in range(8 * len(packed))]
    height = (total - 1).bit_length()
    matches = []

    def walk(level, position):
        if not bits.pop(0):
            return hashes.pop(0)
        if level == 0:
            matches.append(hashes[0])
            return hashes.pop(0)
        left = walk(level - 1, 2 * position)
        has_right = (
            2 * position + 1 < -(-total >> (level - 1)) if level > 1 else (2 * position + 1 < total)
        )
        right = walk(level - 1, 2 * position + 1) if has_right else left
        return hash256(left + right)

    root = walk(height, 0)
    assert not hashes
    assert not any(bits)
    return root, matches
