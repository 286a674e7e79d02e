"""Search a node's blocks for the spender of an outpoint, and remember how far it searched."""

import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import msgspec

from dovetail.bitcoin import OutPoint, Transaction
from dovetail.durable_files import replace_durably
from dovetail.errors import ChainError
from dovetail.wallets.core.node import NOT_FOUND, CoreNode, parsed
from dovetail.wallets.core.rpc import FAULTS, Call, RpcError, call
from dovetail.wallets.ports import Spend

_LOOKBACK = 4_320
"""Blocks of 30 days: no session lives longer."""
_BLOCKS_AT_ONCE = 144
_UNNOTED_LOOKBACK = _BLOCKS_AT_ONCE
"""Blocks that are searched for a coin whose last unspent block is unknown. The coin may not exist,
and a counterparty must not be able to make the node read a month of blocks."""
_HEADER = 80
_PREVIOUS = slice(4, 36)
_MAX_REMEMBERED = 5_000
_NOT_AVAILABLE = -1
"""The code for a block that is pruned or not yet downloaded."""


class _Header(msgspec.Struct, frozen=True):
    hash: str
    height: int
    confirmations: int
    previousblockhash: str | None = None


class _ChainTip(msgspec.Struct, frozen=True):
    blocks: int
    pruneheight: int = 0


class _Unspent(msgspec.Struct, frozen=True):
    bestblock: str


class _Listed(msgspec.Struct, frozen=True):
    txid: str
    confirmations: int = 0
    blockhash: str | None = None


class _Since(msgspec.Struct, frozen=True):
    transactions: list[_Listed]


class _Input(msgspec.Struct, frozen=True):
    txid: str = ""
    vout: int = -1


class _Member(msgspec.Struct, frozen=True):
    hex: str
    vin: list[_Input]


class _Block(msgspec.Struct, frozen=True):
    tx: list[_Member]


class _Hex(msgspec.Struct, frozen=True):
    hex: str


class SearchState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The state of a search: nothing up to `block` spends the outpoint; then its spender."""

    block: str
    spender: str | None = None
    spender_block: str | None = None


class BlockSearch:
    """The searches for outpoints' spenders. Threads may share it."""

    def __init__(self, node: CoreNode, memory: Path | None) -> None:
        """`memory` is the file that keeps the searches over restarts, or None."""
        self._node = node
        self._memory = memory
        self._lock = threading.RLock()
        self._known = _read(memory)

    def note(self, outpoints: Collection[OutPoint], *, waiting: bool = False) -> None:
        """Record which of these are unspent in blocks now; a later search starts at this block.

        `waiting` includes outputs of transactions in the mempool.
        """
        wanted = [outpoint for outpoint in outpoints if not self.knows(outpoint)]
        calls = [gettxout(outpoint, mempool=waiting) for outpoint in wanted]
        answers = self._node.batch(calls, msgspec.Raw)
        for outpoint, answer in zip(wanted, answers, strict=True):
            block = None if isinstance(answer, RpcError) else _unspent_block(answer)
            if block is not None:
                self._remember(outpoint, SearchState(block))

    def note_inputs(self, transaction: Transaction) -> None:
        """Record the inputs of an acceptable transaction, even if it is in the mempool already."""
        outpoints = transaction.contested()
        self.note(outpoints)
        self.note(outpoints, waiting=True)
        if all(map(self.knows, outpoints)):
            return
        tip = self._node.ask("getbestblockhash", str)  # before the mempool check
        try:
            self._node.ask("getmempoolentry", msgspec.Raw, txid=str(transaction.txid))
        except RpcError as error:
            if error.code != NOT_FOUND:
                raise
            return
        for outpoint in outpoints:
            if not self.knows(outpoint):
                self._remember(outpoint, SearchState(tip))

    def knows(self, outpoint: OutPoint) -> bool:
        """Whether the outpoint was recorded, so that its spender can be found."""
        return str(outpoint) in self._known

    def spend_of(self, outpoint: OutPoint) -> Spend | None:
        """Return the spend of one outpoint; see `spends_of`."""
        return self.spends_of([outpoint]).get(outpoint)

    def spends_of(self, outpoints: Collection[OutPoint]) -> dict[OutPoint, Spend]:
        """Return the confirmed spends of the outpoints; unspent ones are left out.

        Raises `ChainError` if many blocks must be searched, after it has searched some of them,
        and if the node has pruned them.
        """
        with self._lock:
            found: dict[OutPoint, Spend] = {}
            for outpoint in outpoints:
                spend = self._found_before(outpoint)
                if spend is not None:
                    found[outpoint] = spend
            for outpoint in self._spent([each for each in outpoints if each not in found]):
                spend = self._searched(outpoint)
                if spend is not None:
                    found[outpoint] = spend
            return found

    def _found_before(self, outpoint: OutPoint) -> Spend | None:
        known = self._known.get(str(outpoint))
        if known is None or not known.spender or not known.spender_block:
            return None
        header = self._header(known.spender_block)
        if header is not None and header.confirmations > 0:
            return Spend(transaction=parsed(known.spender), depth=header.confirmations)
        self._known[str(outpoint)] = SearchState(known.block)  # a reorganisation removed its block
        return None

    def _spent(self, outpoints: list[OutPoint]) -> list[OutPoint]:
        """Return the outpoints that are not unspent."""
        answers = self._node.batch([gettxout(outpoint) for outpoint in outpoints], msgspec.Raw)
        spent: list[OutPoint] = []
        for outpoint, answer in zip(outpoints, answers, strict=True):
            if isinstance(answer, RpcError):
                raise answer
            block = _unspent_block(answer)
            if block is None:
                spent.append(outpoint)
            else:
                self._remember(outpoint, SearchState(block))
        return spent

    def _searched(self, outpoint: OutPoint) -> Spend | None:
        start = self._last_unspent(self._known.get(str(outpoint)))
        if start is not None:
            return self._search(outpoint, start, start)
        waiting = self._node.make(gettxout(outpoint, mempool=True), msgspec.Raw)
        if _unspent_block(waiting) is not None:
            return None
        parent = self._node.transactions([outpoint.txid]).get(outpoint.txid)
        if parent is None:
            return self._search_unnoted(outpoint)
        start = None if parent.blockhash is None else self._before(parent.blockhash)
        return None if start is None else self._search(outpoint, start, start)

    def _last_unspent(self, known: SearchState | None) -> _Header | None:
        """Return the recorded block up to which nothing spends the outpoint."""
        header = None if known is None else self._header(known.block)
        while header is not None and header.confirmations < 0:
            # After a reorganisation, use an earlier block: the outpoint was unspent there too.
            header = self._header(header.previousblockhash or "")
        return header

    def _search_unnoted(self, outpoint: OutPoint) -> Spend | None:
        tip = self._node.ask("getblockchaininfo", _ChainTip)
        month, day = (self._back(tip, blocks) for blocks in (_LOOKBACK, _UNNOTED_LOOKBACK))
        return None if month is None or day is None else self._search(outpoint, month, day)

    def _search(self, outpoint: OutPoint, since: _Header, from_block: _Header) -> Spend | None:
        return self._in_wallet(outpoint, since) or self._in_blocks(outpoint, from_block)

    def _back(self, tip: _ChainTip, blocks: int) -> _Header | None:
        height = max(0, tip.blocks - blocks, tip.pruneheight - 1)
        return self._header(self._node.ask("getblockhash", str, height=height))

    def _before(self, block: str) -> _Header | None:
        header = self._header(block)
        return None if header is None else self._header(header.previousblockhash or block)

    def _in_wallet(self, outpoint: OutPoint, start: _Header) -> Spend | None:
        """Search the wallet, which keeps its transactions even if their blocks are pruned."""
        since = self._node.ask(
            "listsinceblock",
            _Since,
            blockhash=start.hash,
            include_removed=False,
            include_change=True,
        )
        blocks = {each.txid: each.blockhash for each in since.transactions if each.confirmations}
        answers = self._node.batch([call("gettransaction", txid=txid) for txid in blocks], _Hex)
        for (_, block), answer in zip(blocks.items(), answers, strict=True):
            if isinstance(answer, RpcError):
                raise answer
            transaction = parsed(answer.hex)
            if block is not None and transaction.spends(outpoint) is not None:
                return self._found(outpoint, start.hash, transaction, block)
        return None

    def _in_blocks(self, outpoint: OutPoint, start: _Header) -> Spend | None:
        tip = self._node.ask("getblockcount", int)
        last, height = start.hash, start.height
        wanted = range(height + 1, min(tip, height + _BLOCKS_AT_ONCE) + 1)
        calls = [call("getblockhash", height=each) for each in wanted]
        for block in self._node.batch(calls, str):
            if isinstance(block, RpcError):
                break  # a reorganisation made the chain shorter
            raw = self._block(block)
            if raw[_PREVIOUS][::-1].hex() != last:
                break  # a reorganisation: the next search starts at the fork
            spender = None
            if raw.find(outpoint.serialize(), _HEADER) >= 0:  # few blocks are parsed
                spender = self._spender(block, outpoint)
            if spender is not None:
                return self._found(outpoint, last, spender, block)
            last, height = block, height + 1
        self._remember(outpoint, SearchState(last))
        if height < tip:
            raise ChainError(
                "The node's blocks are still being searched for the spender of a coin of the "
                "session: the search continues by itself."
            )
        return None

    def _found(
        self, outpoint: OutPoint, before: str, transaction: Transaction, block: str
    ) -> Spend | None:
        raw = transaction.serialize().hex()
        self._remember(outpoint, SearchState(before, raw, block))
        header = self._header(block)
        if header is None or header.confirmations < 1:
            return None  # a reorganisation removed it meanwhile
        return Spend(transaction=transaction, depth=header.confirmations)

    def _header(self, block: str) -> _Header | None:
        if not block:
            return None
        try:
            return self._node.ask("getblockheader", _Header, blockhash=block)
        except RpcError as error:
            if error.code != NOT_FOUND:
                raise
            return None

    def _block(self, block: str) -> bytes:
        try:
            return bytes.fromhex(self._node.ask("getblock", str, blockhash=block, verbosity=0))
        except ValueError:
            raise FAULTS.not_understood() from None
        except RpcError as error:
            if error.code != _NOT_AVAILABLE:
                raise
            raise ChainError(
                "The node that `core_url` names has pruned a block in which a coin of the session"
                " was spent by others: ask a node that keeps more blocks (its `prune`)."
            ) from error

    def _spender(self, block: str, outpoint: OutPoint) -> Transaction | None:
        whole = self._node.ask("getblock", _Block, blockhash=block, verbosity=2)
        spent = _Input(str(outpoint.txid), outpoint.vout)
        for transaction in whole.tx:
            if spent in transaction.vin:
                return parsed(transaction.hex)
        return None

    def _remember(self, outpoint: OutPoint, standing: SearchState) -> None:
        with self._lock:
            if self._known.get(str(outpoint)) == standing:
                return
            self._known.pop(str(outpoint), None)
            self._known[str(outpoint)] = standing
            if self._memory is None:
                return
            # Merge the entries of other processes; a lost entry only costs another search.
            merged = _read(self._memory)
            merged.pop(str(outpoint), None)
            merged[str(outpoint)] = standing
            _write(self._memory, dict(list(merged.items())[-_MAX_REMEMBERED:]))


def _unspent_block(answer: msgspec.Raw) -> str | None:
    """Return the best block if the output is unspent, or None."""
    return None if bytes(answer) == b"null" else FAULTS.decoded(answer, _Unspent).bestblock


def gettxout(outpoint: OutPoint, *, mempool: bool = False) -> Call:
    """Return a call for an output that is unspent in blocks, and in the mempool if included."""
    return call("gettxout", txid=str(outpoint.txid), n=outpoint.vout, include_mempool=mempool)


def _read(memory: Path | None) -> dict[str, SearchState]:
    with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
        if memory is not None:
            return msgspec.json.decode(memory.read_bytes(), type=dict[str, SearchState])
    return {}  # missing entries are searched again


def _write(memory: Path, known: dict[str, SearchState]) -> None:
    with suppress(OSError):
        memory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_durably(memory, msgspec.json.encode(known))
