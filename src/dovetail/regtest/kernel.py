"""Bitcoin Core's consensus code through py-bitcoinkernel: blocks in, verdicts out."""

import tempfile
from collections.abc import Sequence
from typing import Self

import pbk
from pbk.script import PrecomputedTransactionData

from dovetail.bitcoin.transaction import Transaction, TxOut
from dovetail.errors import UsageError


class Kernel:
    """A regtest chainstate in memory, holding the genesis block at first; close it after use.

    The kernel writes its block files into a temporary directory that `close` removes:
    the durable copy of the chain is the block log.
    """

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="dovetail-regtest-")
        # The callback appends to a bare list: a reference to self would tie the kernel's
        # life to the garbage collector.
        self._verdicts: list[bool] = []
        verdicts = self._verdicts

        def checked(_user: object, _block: object, state: pbk.BlockValidationState) -> None:
            verdicts.append(state.validation_mode == pbk.ValidationMode.VALID)

        self._context = pbk.make_context(
            pbk.ChainType.REGTEST, pbk.ValidationInterfaceCallbacks(block_checked=checked)
        )
        path = self._directory.name
        options = pbk.ChainstateManagerOptions(self._context, path, f"{path}/blocks")
        options.update_block_tree_db_in_memory(True)
        options.update_chainstate_db_in_memory(True)
        options.set_worker_threads_num(0)
        self._manager = pbk.ChainstateManager(options)
        self._open = True

    def close(self) -> None:
        """Free the kernel and its directory; a second call does nothing."""
        # A freed handle must never reach the C library again.
        self._open = False
        self._manager.__exit__(None, None, None)
        self._context.__exit__(None, None, None)
        self._directory.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, block: bytes) -> bool:
        """Process a block; false when it, or a block it reorganises to, breaks a consensus rule.

        True says that the block is stored, not that it is the tip: a block on a side branch
        is only checked in full once its branch has the most work. Compare with `tip`.
        Raises UsageError after `close`.
        """
        if not self._open:
            raise UsageError("The regtest chain is closed; open it again.")
        self._verdicts.clear()
        try:
            self._manager.process_block(pbk.Block(block))
        except (pbk.KernelException, RuntimeError):
            return False
        # process_block reports success for a block that failed to connect: the
        # callback is the only place that tells.
        return all(self._verdicts)

    @property
    def tip(self) -> tuple[int, bytes]:
        """Height and hash (internal order) of the chain with the most work."""
        chain = self._manager.get_active_chain()
        height = int(chain.height)
        return height, bytes(chain.block_tree_entries[height].block_hash)

    @property
    def genesis(self) -> bytes:
        """The serialized genesis block."""
        entry = self._manager.get_active_chain().block_tree_entries[0]
        return bytes(self._manager.blocks[entry])


def first_unsatisfied_input(transaction: Transaction, spent: Sequence[TxOut]) -> int | None:
    """The index of the first input whose script does not verify, or None when all do.

    `spent` holds the outputs that the inputs spend, in order. Every consensus rule up to
    Taproot is enforced.
    """
    kernel_transaction = pbk.Transaction(transaction.serialize())
    scripts = [pbk.ScriptPubkey(bytes(output.script_pubkey)) for output in spent]
    outputs = [
        pbk.TransactionOutput(script, int(output.value))
        for script, output in zip(scripts, spent, strict=True)
    ]
    precomputed = PrecomputedTransactionData(kernel_transaction, outputs)
    flags = pbk.ScriptVerificationFlags.ALL
    for index, (script, output) in enumerate(zip(scripts, spent, strict=True)):
        if not script.verify(int(output.value), kernel_transaction, precomputed, index, flags):
            return index
    return None
