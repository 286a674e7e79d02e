"""An index of the active chain: transactions, unspent outputs, and the history of each script."""

from dataclasses import dataclass, field

from dovetail.bitcoin.hashes import sha256
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxOut
from dovetail.regtest.blocks import Block

_OP_RETURN = 0x6A
_MAX_SCRIPT_SIZE = 10_000


def script_hash(script: Script) -> bytes:
    """The SHA-256 under which Esplora files a script, 32 bytes."""
    return sha256(script)


@dataclass(frozen=True, slots=True)
class Coin:
    """An unspent output and where it was made."""

    output: TxOut
    height: int
    is_coinbase: bool


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A transaction in the active chain: its block's height and its place in that block."""

    transaction: Transaction
    height: int
    position: int


@dataclass(slots=True)
class ChainIndex:
    """Follows the active chain block by block, forwards and backwards."""

    transactions: dict[Txid, Confirmed] = field(default_factory=dict[Txid, Confirmed])
    coins: dict[OutPoint, Coin] = field(default_factory=dict[OutPoint, Coin])
    spenders: dict[OutPoint, tuple[Txid, int]] = field(
        default_factory=dict[OutPoint, tuple[Txid, int]]
    )
    _history: dict[bytes, list[Txid]] = field(default_factory=dict[bytes, list[Txid]])
    _unspent: dict[bytes, dict[OutPoint, None]] = field(
        default_factory=dict[bytes, dict[OutPoint, None]]
    )

    def history(self, script: bytes) -> tuple[Txid, ...]:
        """The transactions that pay to or spend from a script hash, oldest first."""
        return tuple(self._history.get(script, ()))

    def unspent(self, script: bytes) -> tuple[OutPoint, ...]:
        """The outpoints that pay to a script hash and are not spent in the chain."""
        return tuple(self._unspent.get(script, ()))

    def connect(self, block: Block, height: int) -> None:
        """Add the block that follows the last one."""
        for position, transaction in enumerate(block.transactions):
            for script in self._touched(transaction, position):
                self._history.setdefault(script, []).append(transaction.txid)
            if position:
                for index, spent in enumerate(transaction.inputs):
                    self._remove_coin(spent.previous_output)
                    self.spenders[spent.previous_output] = (transaction.txid, index)
            self.transactions[transaction.txid] = Confirmed(transaction, height, position)
            # The genesis block's output never entered the UTXO set.
            if height:
                self._add_outputs(transaction, height, position)

    def disconnect(self, block: Block) -> None:
        """Take back the last block."""
        for position, transaction in reversed(tuple(enumerate(block.transactions))):
            for index in range(len(transaction.outputs)):
                self._remove_coin(OutPoint(transaction.txid, index))
            del self.transactions[transaction.txid]
            if position:
                for spent in transaction.inputs:
                    del self.spenders[spent.previous_output]
                    self._restore_coin(spent.previous_output)
            for script in self._touched(transaction, position):
                self._history[script].pop()

    def output(self, outpoint: OutPoint) -> TxOut | None:
        """An output of the active chain, spent or not."""
        source = self.transactions.get(outpoint.txid)
        if source is None or outpoint.vout >= len(source.transaction.outputs):
            return None
        return source.transaction.outputs[outpoint.vout]

    def _touched(self, transaction: Transaction, position: int) -> tuple[bytes, ...]:
        outputs = list(transaction.outputs)
        if position:
            spent = (self.output(item.previous_output) for item in transaction.inputs)
            outputs.extend(output for output in spent if output is not None)
        return tuple(dict.fromkeys(script_hash(output.script_pubkey) for output in outputs))

    def _add_outputs(self, transaction: Transaction, height: int, position: int) -> None:
        for index, output in enumerate(transaction.outputs):
            if not _is_unspendable(output.script_pubkey):
                coin = Coin(output, height, is_coinbase=position == 0)
                self._add_coin(OutPoint(transaction.txid, index), coin)

    def _restore_coin(self, outpoint: OutPoint) -> None:
        source = self.transactions[outpoint.txid]
        output = source.transaction.outputs[outpoint.vout]
        self._add_coin(outpoint, Coin(output, source.height, is_coinbase=source.position == 0))

    def _add_coin(self, outpoint: OutPoint, coin: Coin) -> None:
        self.coins[outpoint] = coin
        self._unspent.setdefault(script_hash(coin.output.script_pubkey), {})[outpoint] = None

    def _remove_coin(self, outpoint: OutPoint) -> None:
        coin = self.coins.pop(outpoint, None)
        if coin is not None:
            del self._unspent[script_hash(coin.output.script_pubkey)][outpoint]


def _is_unspendable(script: Script) -> bool:
    return script[:1] == bytes([_OP_RETURN]) or len(script) > _MAX_SCRIPT_SIZE
