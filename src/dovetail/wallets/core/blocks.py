"""Search a node's blocks for what spends an outpoint, and remember where the search stands."""

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
"""Blocks that are read for a coin of which no acceptance was noted, such as one that is named by
somebody and never was: no stranger shall make the node give away a month of blocks."""
_HEADER = 80
_PREVIOUS = slice(4, 36)
_MAX_REMEMBERED = 5_000
_NOT_AVAILABLE = -1
"""The code for a block that is pruned or not there yet."""


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


class Standing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to this block nothing spends the outpoint; then perhaps a transaction in another does."""

    block: str
    spender: str | None = None
    spender_block: str | None = None


class BlockSearch:
    """What is known of each outpoint that was asked for. Threads may share it."""

    def __init__(self, node: CoreNode, memory: Path | None) -> None:
        """`memory` is the file that outlives this process; without it nothing does."""
        self._node = node
        self._memory = memory
        self._lock = threading.RLock()
        self._known = _read(memory)

    def note(self, outpoints: Collection[OutPoint], *, waiting: bool = False) -> None:
        """Remember which of these no block spends yet: the search for a spender begins here.

        `waiting` says to look at outputs that wait in the mempool.
        """
        wanted = [outpoint for outpoint in outpoints if not self.knows(outpoint)]
        calls = [gettxout(outpoint, mempool=waiting) for outpoint in wanted]
        answers = self._node.batch(calls, msgspec.Raw)
        for outpoint, answer in zip(wanted, answers, strict=True):
            block = None if isinstance(answer, RpcError) else _unspent_at(answer)
            if block is not None:
                self._remember(outpoint, Standing(block))

    def note_inputs(self, transaction: Transaction) -> None:
        """The same for what an acceptable transaction spends, be it in the mempool already."""
        outpoints = transaction.contested()
        self.note(outpoints)
        self.note(outpoints, waiting=True)
        if all(map(self.knows, outpoints)):
            return
        tip = self._node.ask("getbestblockhash", str)  # before we look whether it still waits
        try:
            self._node.ask("getmempoolentry", msgspec.Raw, txid=str(transaction.txid))
        except RpcError as error:
            if error.code != NOT_FOUND:
                raise
            return
        for outpoint in outpoints:
            if not self.knows(outpoint):
                self._remember(outpoint, Standing(tip))

    def knows(self, outpoint: OutPoint) -> bool:
        """Whether it was there once, so that its spender can be searched for."""
        return str(outpoint) in self._known

    def spend_of(self, outpoint: OutPoint) -> Spend | None:
        """The single case of `spends_of`."""
        return self.spends_of([outpoint]).get(outpoint)

    def spends_of(self, outpoints: Collection[OutPoint]) -> dict[OutPoint, Spend]:
        """What spends the outpoints in blocks; without those that nothing does.

        Raises `ChainError` where more blocks than a few have to be searched, once it has searched
        some of them, and where the node has pruned them.
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
        self._known[str(outpoint)] = Standing(known.block)  # a reorganisation took its block away
        return None

    def _spent(self, outpoints: list[OutPoint]) -> list[OutPoint]:
        """Those of them that are no unspent coin."""
        answers = self._node.batch([gettxout(outpoint) for outpoint in outpoints], msgspec.Raw)
        spent: list[OutPoint] = []
        for outpoint, answer in zip(outpoints, answers, strict=True):
            if isinstance(answer, RpcError):
                raise answer
            block = _unspent_at(answer)
            if block is None:
                spent.append(outpoint)
            else:
                self._remember(outpoint, Standing(block))
        return spent

    def _searched(self, outpoint: OutPoint) -> Spend | None:
        start = self._last_unspent(self._known.get(str(outpoint)))
        if start is not None:
            return self._search(outpoint, start, start)
        waiting = self._node.make(gettxout(outpoint, mempool=True), msgspec.Raw)
        if _unspent_at(waiting) is not None:
            return None
        parent = self._node.transactions([outpoint.txid]).get(outpoint.txid)
        if parent is None:
            return self._search_unnoted(outpoint)
        start = None if parent.blockhash is None else self._before(parent.blockhash)
        return None if start is None else self._search(outpoint, start, start)

    def _last_unspent(self, known: Standing | None) -> _Header | None:
        """The block up to which nothing spends the outpoint, as it was noted."""
        header = None if known is None else self._header(known.block)
        while header is not None and header.confirmations < 0:
            # Reorganised: what holds up to a block holds up to those before it.
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
        """The wallet keeps its own transactions even where the node has pruned their blocks."""
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
                break  # a reorganisation: the next look begins where the chains part
            spender = None
            if raw.find(outpoint.serialize(), _HEADER) >= 0:  # so fast that few are looked into
                spender = self._spender(block, outpoint)
            if spender is not None:
                return self._found(outpoint, last, spender, block)
            last, height = block, height + 1
        self._remember(outpoint, Standing(last))
        if height < tip:
            raise ChainError(
                "The node's blocks are still being searched for what spends a coin of the session:"
                " it goes on by itself."
            )
        return None

    def _found(
        self, outpoint: OutPoint, before: str, transaction: Transaction, block: str
    ) -> Spend | None:
        raw = transaction.serialize().hex()
        self._remember(outpoint, Standing(before, raw, block))
        header = self._header(block)
        if header is None or header.confirmations < 1:
            return None  # a reorganisation took it away meanwhile
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

    def _remember(self, outpoint: OutPoint, standing: Standing) -> None:
        with self._lock:
            if self._known.get(str(outpoint)) == standing:
                return
            self._known.pop(str(outpoint), None)
            self._known[str(outpoint)] = standing
            if self._memory is None:
                return
            # Another process may have written meanwhile; what of it gets lost costs a search.
            merged = _read(self._memory)
            merged.pop(str(outpoint), None)
            merged[str(outpoint)] = standing
            _write(self._memory, dict(list(merged.items())[-_MAX_REMEMBERED:]))


def _unspent_at(answer: msgspec.Raw) -> str | None:
    """The best block when an output was unspent; None for one that is not, or not there."""
    return None if bytes(answer) == b"null" else FAULTS.decoded(answer, _Unspent).bestblock


def gettxout(outpoint: OutPoint, *, mempool: bool = False) -> Call:
    """Ask for an output that no block spends, nor the mempool where it is looked at."""
    return call("gettxout", txid=str(outpoint.txid), n=outpoint.vout, include_mempool=mempool)


def _read(memory: Path | None) -> dict[str, Standing]:
    with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
        if memory is not None:
            return msgspec.json.decode(memory.read_bytes(), type=dict[str, Standing])
    return {}  # what is not known any more is searched for again


def _write(memory: Path, known: dict[str, Standing]) -> None:
    with suppress(OSError):
        memory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_durably(memory, msgspec.json.encode(known))
