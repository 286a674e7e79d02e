"""A regtest chain: every block passes Bitcoin Core's consensus code and is kept in the log."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median_high
from typing import Self

from dovetail.errors import ReplayError, StoreUnavailable, UsageError
from dovetail.regtest.blocklog import BlockLog
from dovetail.regtest.blocks import Block, BlockHash
from dovetail.regtest.index import ChainIndex
from dovetail.regtest.kernel import Kernel

_MEDIAN_TIME_SPAN = 11


@dataclass(frozen=True, slots=True)
class Change:
    """The changes that a submitted block made to the active chain, in the order they happened.

    Both are empty for a block on a side branch and for one already known.
    """

    block: BlockHash
    disconnected: tuple[Block, ...] = ()
    connected: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block that the kernel has taken, in the active chain or beside it."""

    block: Block
    height: int
    raw: bytes


class Chain:
    """The tree of blocks and the active chain within it; close it after use.

    Raises StoreUnavailable when the log cannot be opened and ReplayError when its blocks
    no longer form a chain.
    """

    def __init__(self, path: Path) -> None:
        self._log = BlockLog(path)
        self._kernel = Kernel()
        self._stored: dict[BlockHash, StoredBlock] = {}
        self._active: list[BlockHash] = []
        self.index = ChainIndex()
        try:
            genesis = self._kernel.genesis
            block = Block.parse(genesis)
            self._stored[block.header.hash] = StoredBlock(block, 0, genesis)
            self._activate(block, 0)
            for raw in self._log.take_blocks():
                self._replay(raw)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Free the kernel and let go of the log; a second call does nothing."""
        self._kernel.close()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def height(self) -> int:
        """The active chain's height; 0 is the genesis block alone."""
        return len(self._active) - 1

    @property
    def tip(self) -> BlockHash:
        """The last block of the active chain."""
        return self._active[-1]

    def at(self, height: int) -> BlockHash | None:
        """The active chain's block at a height."""
        return self._active[height] if 0 <= height <= self.height else None

    def get(self, block: BlockHash) -> StoredBlock | None:
        """A known block, active or not."""
        return self._stored.get(block)

    def block_at(self, height: int) -> Block:
        """The active chain's block at a height from 0 to `height`."""
        return self._stored[self._active[height]].block

    def is_active(self, block: BlockHash) -> bool:
        """Whether a block belongs to the active chain."""
        stored = self._stored.get(block)
        return stored is not None and self.at(stored.height) == block

    def median_time(self, block: BlockHash | None = None) -> int:
        """The median time of a block (the tip if none is given) and its ten ancestors."""
        ancestors = self._ancestry(self.tip if block is None else block)
        return median_high(item.block.header.time for item in islice(ancestors, _MEDIAN_TIME_SPAN))

    def submit(self, raw: bytes) -> Change:
        """Process a block and follow the chain with the most work; durable after `sync`.

        Raises InvalidTransaction when the bytes are no block, UsageError when its parent is
        unknown or it breaks a consensus rule, StoreUnavailable when it cannot be kept;
        nothing is changed then.
        """
        block = Block.parse(raw)
        name = block.header.hash
        if name in self._stored:
            return Change(name)
        parent = self._stored.get(block.header.previous)
        if parent is None:
            raise UsageError("The block's parent is not known; submit the parent first.")
        if not self._kernel.submit(raw):
            raise UsageError("The block breaks a consensus rule; nothing was changed.")
        try:
            self._log.append(raw)
        except StoreUnavailable:
            self._rebuild_kernel()
            raise
        self._stored[name] = StoredBlock(block, parent.height + 1, raw)
        return self._follow_kernel(name)

    def sync(self) -> None:
        """Make every accepted block survive a crash. Raises StoreUnavailable."""
        self._log.sync()

    def _replay(self, raw: bytes) -> None:
        block = Block.parse(raw)
        parent = self._stored.get(block.header.previous)
        if parent is None or not self._kernel.submit(raw):
            raise ReplayError(
                "A block of the regtest log is refused by the kernel; move its directory away."
            )
        name = block.header.hash
        self._stored[name] = StoredBlock(block, parent.height + 1, raw)
        self._follow_kernel(name)

    def _rebuild_kernel(self) -> None:
        """Forget a block that the kernel has and the log could not take."""
        self._kernel.close()
        self._kernel = Kernel()
        for stored in islice(self._stored.values(), 1, None):
            self._kernel.submit(stored.raw)

    def _follow_kernel(self, name: BlockHash) -> Change:
        height, tip = self._kernel.tip
        if self.at(height) == tip:
            return Change(name)
        arriving = list(self._ancestry_until_active(BlockHash(tip)))
        fork_height = arriving[-1].height - 1
        disconnected: list[Block] = []
        while self.height > fork_height:
            block = self._stored[self._active.pop()].block
            self.index.disconnect(block)
            disconnected.append(block)
        connected = tuple(stored.block for stored in reversed(arriving))
        for offset, block in enumerate(connected, 1):
            self._activate(block, fork_height + offset)
        return Change(name, tuple(disconnected), connected)

    def _activate(self, block: Block, height: int) -> None:
        self._active.append(block.header.hash)
        self.index.connect(block, height)

    def _ancestry(self, block: BlockHash) -> Iterator[StoredBlock]:
        """A block, its parent, and so on back to the genesis block."""
        stored = self._stored.get(block)
        while stored is not None:
            yield stored
            stored = self._stored.get(stored.block.header.previous)

    def _ancestry_until_active(self, block: BlockHash) -> Iterator[StoredBlock]:
        for stored in self._ancestry(block):
            if self.is_active(stored.block.header.hash):
                return
            yield stored
