"""Merkle trees of a block: root, branch and the partial tree of BIP 37."""

from collections.abc import Sequence

from dovetail.bitcoin.encoding import compact_size
from dovetail.bitcoin.hashes import hash256


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """The 32-byte root over at least one 32-byte leaf, in internal byte order."""
    level = list(leaves)
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def merkle_branch(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The siblings from leaf `index` up to the root, 32 bytes each."""
    level = list(leaves)
    branch: list[bytes] = []
    while len(level) > 1:
        sibling = index ^ 1
        branch.append(level[sibling] if sibling < len(level) else level[index])
        level, index = _parents(level), index // 2
    return tuple(branch)


def merkle_block(header: bytes, leaves: Sequence[bytes], index: int) -> bytes:
    """A `merkleblock` message that proves leaf `index` (BIP 37, Partial Merkle branch format)."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        levels.append(_parents(levels[-1]))
    hashes: list[bytes] = []
    flags: list[bool] = []

    def descend(height: int, position: int) -> None:
        leads_to_match = position == index >> height
        flags.append(leads_to_match)
        if height == 0 or not leads_to_match:
            hashes.append(levels[height][position])
            return
        descend(height - 1, 2 * position)
        if 2 * position + 1 < len(levels[height - 1]):
            descend(height - 1, 2 * position + 1)

    descend(len(levels) - 1, 0)
    packed = bytearray((len(flags) + 7) // 8)
    for bit, flag in enumerate(flags):
        packed[bit // 8] |= flag << (bit % 8)
    return b"".join(
        (
            header,
            len(leaves).to_bytes(4, "little"),
            compact_size(len(hashes)),
            *hashes,
            compact_size(len(packed)),
            bytes(packed),
        )
    )


def _parents(level: list[bytes]) -> list[bytes]:
    if len(level) % 2:
        level = [*level, level[-1]]
    return [hash256(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
