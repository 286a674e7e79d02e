"""The chain and the mempool in Esplora's JSON."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from dovetail.bitcoin.script import Address, Network, Script, ScriptType
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.errors import InvalidAddress
from dovetail.regtest.blocks import BlockHash
from dovetail.regtest.chain import Chain, StoredBlock
from dovetail.regtest.index import script_hash
from dovetail.regtest.mempool import Mempool
from dovetail.regtest.merkle import merkle_block, merkle_branch

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

_PAGE = 25
_MEMPOOL_PAGE = 50
_BLOCKS_PAGE = 10
_DIFFICULTY = 4.656542373906925e-10
_TYPE_NAMES = {
    ScriptType.P2PK: "p2pk",
    ScriptType.P2PKH: "p2pkh",
    ScriptType.P2SH: "p2sh",
    ScriptType.P2WPKH: "v0_p2wpkh",
    ScriptType.P2WSH: "v0_p2wsh",
    ScriptType.P2TR: "v1_p2tr",
    ScriptType.P2A: "anchor",
    ScriptType.MULTISIG: "multisig",
    ScriptType.OP_RETURN: "op_return",
    ScriptType.WITNESS_UNKNOWN: "unknown",
    ScriptType.UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True)
class View:
    """Reads a chain and a mempool; hold the node's lock while you use it."""

    chain: Chain
    mempool: Mempool

    def transaction(self, txid: Txid) -> Transaction | None:
        """A transaction of the mempool or the active chain."""
        waiting = self.mempool.get(txid)
        if waiting is not None:
            return waiting.transaction
        confirmed = self.chain.index.transactions.get(txid)
        return None if confirmed is None else confirmed.transaction

    def transaction_json(self, transaction: Transaction) -> Json:
        """`/tx/:txid`, with the outputs that it spends."""
        spent = [self._output(item.previous_output) for item in transaction.inputs]
        fee = 0
        if all(output is not None for output in spent):
            paid_in = sum(int(output.value) for output in spent if output is not None)
            fee = paid_in - sum(int(output.value) for output in transaction.outputs)
        return {
            "txid": str(transaction.txid),
            "version": transaction.version,
            "locktime": transaction.lock_time,
            "vin": [
                _input_json(item, output)
                for item, output in zip(transaction.inputs, spent, strict=True)
            ],
            "vout": [_output_json(output) for output in transaction.outputs],
            "size": len(transaction.serialize()),
            "weight": int(transaction.weight),
            "fee": fee,
            "status": self.status_json(transaction.txid),
        }

    def status_json(self, txid: Txid) -> Json:
        """`/tx/:txid/status`."""
        confirmed = self.chain.index.transactions.get(txid)
        if confirmed is None:
            return {"confirmed": False}
        header = self.chain.block_at(confirmed.height).header
        return {
            "confirmed": True,
            "block_height": confirmed.height,
            "block_hash": str(header.hash),
            "block_time": header.time,
        }

    def outspend_json(self, outpoint: OutPoint) -> Json:
        """`/tx/:txid/outspend/:vout`."""
        found = self.chain.index.spenders.get(outpoint) or self.mempool.spender(outpoint)
        if found is None:
            return {"spent": False}
        txid, index = found
        return {
            "spent": True,
            "txid": str(txid),
            "vin": index,
            "status": self.status_json(txid),
        }

    def merkle_proof_json(self, txid: Txid) -> Json:
        """`/tx/:txid/merkle-proof`; None for a transaction that is not confirmed."""
        confirmed = self.chain.index.transactions.get(txid)
        if confirmed is None:
            return None
        leaves = self.chain.block_at(confirmed.height).txids
        branch = merkle_branch(leaves, confirmed.position)
        return {
            "block_height": confirmed.height,
            "merkle": [item[::-1].hex() for item in branch],
            "pos": confirmed.position,
        }

    def merkle_block_hex(self, txid: Txid) -> str | None:
        """`/tx/:txid/merkleblock-proof`; None for a transaction that is not confirmed."""
        confirmed = self.chain.index.transactions.get(txid)
        if confirmed is None:
            return None
        block = self.chain.block_at(confirmed.height)
        return merkle_block(block.header.serialize(), block.txids, confirmed.position).hex()

    def blocks_json(self, start: int) -> Json:
        """`/blocks/:height`: ten blocks from that height downwards."""
        heights = range(start, max(start - _BLOCKS_PAGE, -1), -1)
        names = (self.chain.at(height) for height in heights)
        found = (self.chain.get(name) for name in names if name is not None)
        return [self.block_json(stored) for stored in found if stored is not None]

    def block_json(self, stored: StoredBlock) -> Json:
        """`/block/:hash`."""
        header = stored.block.header
        base = sum(len(item.serialize(witness=False)) for item in stored.block.transactions)
        whole = sum(len(item.serialize()) for item in stored.block.transactions)
        return {
            "id": str(header.hash),
            "height": stored.height,
            "version": header.version,
            "timestamp": header.time,
            "tx_count": len(stored.block.transactions),
            "size": len(stored.raw),
            "weight": 4 * (len(stored.raw) - whole) + 3 * base + whole,
            "merkle_root": header.merkle_root[::-1].hex(),
            "previousblockhash": str(header.previous) if stored.height else None,
            "mediantime": self.chain.median_time(header.hash),
            "nonce": header.nonce,
            "bits": header.bits,
            "difficulty": _DIFFICULTY,
        }

    def block_status_json(self, name: BlockHash) -> Json:
        """`/block/:hash/status`."""
        stored = self.chain.get(name)
        if stored is None or not self.chain.is_active(name):
            return {"in_best_chain": False}
        following = self.chain.at(stored.height + 1)
        return {
            "in_best_chain": True,
            "height": stored.height,
            "next_best": None if following is None else str(following),
        }

    def confirmed_history_json(self, script: bytes, after: Txid | None = None) -> list[Json]:
        """`/scripthash/:h/txs/chain[/:after]`: up to 25, newest first."""
        history = self.chain.index.history(script)[::-1]
        if after is not None:
            history = history[history.index(after) + 1 :] if after in history else ()
        return self._transactions_json(history[:_PAGE])

    def waiting_history_json(self, script: bytes) -> list[Json]:
        """`/scripthash/:h/txs/mempool`: up to 50, newest first."""
        return self._transactions_json(self.mempool.history(script)[:_MEMPOOL_PAGE])

    def unspent_json(self, script: bytes) -> Json:
        """`/scripthash/:h/utxo`, what the mempool spends left out."""
        waiting = [
            OutPoint(entry.transaction.txid, vout)
            for entry in self.mempool
            for vout, output in enumerate(entry.transaction.outputs)
            if script_hash(output.script_pubkey) == script
        ]
        found: list[Json] = []
        for outpoint in (*self.chain.index.unspent(script), *waiting):
            output = self._output(outpoint)
            if output is not None and self.mempool.spender(outpoint) is None:
                found.append(
                    {
                        "txid": str(outpoint.txid),
                        "vout": outpoint.vout,
                        "status": self.status_json(outpoint.txid),
                        "value": int(output.value),
                    }
                )
        return found

    def statistics_json(self, script: bytes) -> dict[str, Json]:
        """The two sums of `/scripthash/:h` and `/address/:a`."""
        confirmed = [
            self.chain.index.transactions[txid].transaction
            for txid in self.chain.index.history(script)
        ]
        entries = (self.mempool.get(txid) for txid in self.mempool.history(script))
        waiting = [entry.transaction for entry in entries if entry is not None]
        return {
            "chain_stats": self._sums_json(script, confirmed),
            "mempool_stats": self._sums_json(script, waiting),
        }

    def mempool_json(self) -> Json:
        """`/mempool`."""
        entries = tuple(self.mempool)
        sizes = [entry.transaction.weight.vbytes for entry in entries]
        rates = [entry.fee / size for entry, size in zip(entries, sizes, strict=True)]
        return {
            "count": len(entries),
            "vsize": sum(sizes),
            "total_fee": sum(int(entry.fee) for entry in entries),
            "fee_histogram": [
                [round(rate, 3), size]
                for rate, size in sorted(zip(rates, sizes, strict=True), reverse=True)
            ],
        }

    def _transactions_json(self, txids: Iterable[Txid]) -> list[Json]:
        found = (self.transaction(txid) for txid in txids)
        return [self.transaction_json(item) for item in found if item is not None]

    def _output(self, outpoint: OutPoint) -> TxOut | None:
        return self.mempool.output(outpoint) or self.chain.index.output(outpoint)

    def _sums_json(self, script: bytes, transactions: list[Transaction]) -> Json:
        funded = [
            int(output.value)
            for transaction in transactions
            for output in transaction.outputs
            if script_hash(output.script_pubkey) == script
        ]
        sources = (
            self._output(item.previous_output)
            for transaction in transactions
            for item in transaction.inputs
        )
        spent = [
            int(output.value)
            for output in sources
            if output is not None and script_hash(output.script_pubkey) == script
        ]
        return {
            "tx_count": len(transactions),
            "funded_txo_count": len(funded),
            "funded_txo_sum": sum(funded),
            "spent_txo_count": len(spent),
            "spent_txo_sum": sum(spent),
        }


def _input_json(item: TxIn, spent: TxOut | None) -> Json:
    result: dict[str, Json] = {
        "txid": str(item.previous_output.txid),
        "vout": item.previous_output.vout,
        "prevout": None if spent is None else _output_json(spent),
        "scriptsig": item.script_sig.hex(),
        "is_coinbase": spent is None,
        "sequence": item.sequence,
    }
    if item.witness:
        result["witness"] = [element.hex() for element in item.witness]
    return result


def _output_json(output: TxOut) -> Json:
    script = output.script_pubkey
    result: dict[str, Json] = {
        "scriptpubkey": script.hex(),
        "scriptpubkey_type": _TYPE_NAMES[script.type],
        "value": int(output.value),
    }
    address = _address(script)
    if address is not None:
        result["scriptpubkey_address"] = address
    return result


def _address(script: Script) -> str | None:
    try:
        return str(Address.from_script(script, Network.REGTEST))
    except InvalidAddress:
        return None
