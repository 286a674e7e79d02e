"""Blocks: their codec and their making (BIP 34, BIP 141, proof of work for regtest)."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from dovetail.bitcoin.encoding import compact_size, read_compact_size
from dovetail.bitcoin.hashes import hash256
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.bitcoin.units import Sats
from dovetail.errors import InvalidTransaction
from dovetail.regtest.merkle import merkle_root

_HEADER = struct.Struct("<i32s32sIII")
_BLOCK_VERSION = 0x20000000
_REGTEST_BITS = 0x207FFFFF
_REGTEST_TARGET = 0x7FFFFF << (8 * (0x20 - 3))
_HALVING_INTERVAL = 150
_COMMITMENT_HEADER = bytes.fromhex("6a24aa21a9ed")
_NO_TXID = Txid(bytes(32))


class BlockHash(bytes):
    """A block's hash: 32 bytes in internal order; `str` and `hex` give it as explorers show it."""

    __slots__ = ()

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """Read 64 hex digits in display order. Raises InvalidTransaction."""
        try:
            data = bytes.fromhex(text)
        except ValueError:
            data = b""
        if len(data) != 32 or len(text) != 64:
            raise InvalidTransaction("This is not a block hash; give 64 hex digits.")
        return cls(data[::-1])

    def hex(self, *separated: Any, **named: Any) -> str:
        """The digits that explorers and nodes show, as `str`; arguments are those of `bytes`."""
        return self[::-1].hex(*separated, **named)

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return f"<BlockHash {self}>"


@dataclass(frozen=True, slots=True)
class Header:
    """A block header: 80 bytes."""

    version: int
    previous: BlockHash
    merkle_root: bytes
    time: int
    bits: int
    nonce: int

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read exactly 80 bytes. Raises InvalidTransaction."""
        if len(data) != _HEADER.size:
            raise InvalidTransaction("A block header has 80 bytes; this has another length.")
        version, previous, root, time, bits, nonce = _HEADER.unpack(data)
        return cls(version, BlockHash(previous), root, time, bits, nonce)

    def serialize(self) -> bytes:
        """The 80 bytes of the header."""
        return _HEADER.pack(
            self.version, self.previous, self.merkle_root, self.time, self.bits, self.nonce
        )

    @property
    def hash(self) -> BlockHash:
        """The block's hash."""
        return BlockHash(hash256(self.serialize()))


@dataclass(frozen=True, slots=True)
class Block:
    """A header and its transactions, the coinbase first."""

    header: Header
    transactions: tuple[Transaction, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read one whole block. Raises InvalidTransaction."""
        header = Header.parse(data[: _HEADER.size])
        count, offset = read_compact_size(data, _HEADER.size)
        transactions: list[Transaction] = []
        for _ in range(count):
            transaction, offset = Transaction.parse_prefix(data, offset)
            transactions.append(transaction)
        if offset != len(data) or not transactions:
            raise InvalidTransaction("These bytes are not one whole block.")
        return cls(header, tuple(transactions))

    def serialize(self) -> bytes:
        """The block with its witnesses, as it is stored and relayed."""
        return b"".join(
            (
                self.header.serialize(),
                compact_size(len(self.transactions)),
                *(transaction.serialize() for transaction in self.transactions),
            )
        )

    @property
    def txids(self) -> tuple[Txid, ...]:
        """The leaves of the block's merkle tree."""
        return tuple(transaction.txid for transaction in self.transactions)


def subsidy(height: int) -> Sats:
    """The most that a block's coinbase may create: 50 BTC, halved every 150 blocks on regtest."""
    return Sats((50 * 100_000_000) >> (height // _HALVING_INTERVAL))


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """All a block is made of: `extra_nonce` keeps two otherwise equal coinbases apart."""

    previous: BlockHash
    height: int
    time: int
    reward_script: Script
    reward: Sats
    transactions: tuple[Transaction, ...] = ()
    extra_nonce: bytes = b""


def assemble(plan: BlockPlan) -> Block:
    """Make a block from its plan, with proof of work."""
    coinbase = _coinbase(plan)
    transactions = (coinbase, *plan.transactions)
    header = Header(
        version=_BLOCK_VERSION,
        previous=plan.previous,
        merkle_root=merkle_root([transaction.txid for transaction in transactions]),
        time=plan.time,
        bits=_REGTEST_BITS,
        nonce=0,
    )
    return Block(_with_proof_of_work(header), transactions)


def _with_proof_of_work(header: Header) -> Header:
    # Every second hash meets the regtest target, so this ends after a few rounds.
    while int.from_bytes(header.hash, "little") > _REGTEST_TARGET:
        header = replace(header, nonce=header.nonce + 1)
    return header


def _coinbase(plan: BlockPlan) -> Transaction:
    script_sig = _push_height(plan.height) + compact_size(len(plan.extra_nonce)) + plan.extra_nonce
    reserved = bytes(32)
    commitment = hash256(_witness_root(plan.transactions) + reserved)
    return Transaction(
        version=2,
        inputs=(
            TxIn(
                OutPoint(_NO_TXID, 0xFFFFFFFF),
                script_sig=script_sig,
                sequence=0xFFFFFFFF,
                witness=(reserved,),
            ),
        ),
        outputs=(
            TxOut(plan.reward, plan.reward_script),
            TxOut(Sats(0), Script(_COMMITMENT_HEADER + commitment)),
        ),
        lock_time=0,
    )


def _witness_root(transactions: Sequence[Transaction]) -> bytes:
    """BIP 141, Commitment structure: the coinbase counts as 32 zero bytes."""
    return merkle_root([bytes(32), *(transaction.wtxid for transaction in transactions)])


def _push_height(height: int) -> bytes:
    """BIP 34, in the minimal form that consensus compares with."""
    if height <= 16:
        return bytes([0x50 + height])
    number = height.to_bytes(height.bit_length() // 8 + 1, "little")
    return bytes([len(number)]) + number
