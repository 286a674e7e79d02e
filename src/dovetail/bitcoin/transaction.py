"""Transactions: the codec, identifiers and weight.

Bitcoin's network serialization, BIP 141 (weight) and BIP 144 (witnesses). The parsers also
apply consensus rules that need no other data: what they let through could be mined.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Self

from dovetail.bitcoin.encoding import Reader, compact_size, prefixed
from dovetail.bitcoin.hashes import hash256
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.units import MAX_SATS, Sats, Weight
from dovetail.errors import InvalidTransaction

_MAX_SIZE = 4_000_000
_MAX_U32 = 2**32 - 1
_MARKER_AND_FLAG = b"\x00\x01"
_MIN_INPUT_SIZE, _MIN_OUTPUT_SIZE = 41, 9
_TXID_HEX = re.compile(r"[0-9a-fA-F]{64}")
_OUTPOINT = re.compile(r"([0-9a-fA-F]{64}):(0|[1-9][0-9]{0,9})")


class Txid(bytes):
    """A transaction's identifier: 32 bytes in internal order; its text is reversed, in hex.

    Raises `InvalidTransaction` when it is not 32 bytes long.
    """

    __slots__ = ()

    def __new__(cls, value: bytes) -> Self:
        """Check the size."""
        if len(value) != 32:
            raise InvalidTransaction("A transaction id must be 32 bytes; check where it is from.")
        return super().__new__(cls, value)

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """Read the 64 hexadecimal digits that explorers and nodes show."""
        if not _TXID_HEX.fullmatch(text):
            raise InvalidTransaction("A transaction id must be 64 hex digits; copy it again.")
        return cls(bytes.fromhex(text)[::-1])

    def __str__(self) -> str:
        return self[::-1].hex()

    def __repr__(self) -> str:
        return f"<Txid {self}>"


@dataclass(frozen=True, slots=True, order=True)
class OutPoint:
    """An output of an earlier transaction; its text is `txid:vout`.

    Raises `InvalidTransaction` when vout does not fit 32 bits.
    """

    txid: Txid
    vout: int

    def __post_init__(self) -> None:
        """Check the range."""
        if not 0 <= self.vout <= _MAX_U32:
            raise InvalidTransaction("An output index is out of range; check where it is from.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `txid:vout`, the index in decimal; raises `InvalidTransaction`."""
        found = _OUTPOINT.fullmatch(text)
        if found is None:
            raise InvalidTransaction("An outpoint must look like txid:vout; copy it again.")
        return cls(Txid.from_hex(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.txid}:{self.vout}"

    def serialize(self) -> bytes:
        """Write 36 bytes."""
        return self.txid + self.vout.to_bytes(4, "little")


@dataclass(frozen=True, slots=True)
class TxIn:
    """An input: what it spends, how it proves its right to, and its sequence number."""

    previous_output: OutPoint
    script_sig: bytes = field(default=b"", repr=False)
    sequence: int = _MAX_U32
    witness: tuple[bytes, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        """Check the range."""
        if not 0 <= self.sequence <= _MAX_U32:
            raise InvalidTransaction("A sequence number is out of range; it has 32 bits.")

    def serialize(self) -> bytes:
        """Write the input without its witness."""
        sequence = self.sequence.to_bytes(4, "little")
        return self.previous_output.serialize() + prefixed(self.script_sig) + sequence

    def serialize_witness(self) -> bytes:
        """Write the number of witness items, then each behind its length."""
        return compact_size(len(self.witness)) + b"".join(map(prefixed, self.witness))


@dataclass(frozen=True, slots=True)
class TxOut:
    """An output: a value and the script that guards it."""

    value: Sats
    script_pubkey: Script

    def serialize(self) -> bytes:
        """Write the value in 8 bytes and the script behind its length."""
        return self.value.to_bytes(8, "little") + prefixed(self.script_pubkey)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Read an output; raises the reader's error, also when the value is out of range."""
        value = reader.uint(8)
        if value > MAX_SATS:
            raise reader.fail("has an output of more than 21 million bitcoins")
        return cls(Sats(value), Script(reader.prefixed()))


@dataclass(frozen=True, slots=True, repr=False)
class Transaction:
    """A transaction; its repr shows its id and counts only (P4).

    Version and lock time are unsigned numbers of 32 bits.
    """

    version: int
    inputs: tuple[TxIn, ...]
    outputs: tuple[TxOut, ...]
    lock_time: int
    _txid: Txid | None = field(default=None, init=False, compare=False)

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not (0 <= self.version <= _MAX_U32 and 0 <= self.lock_time <= _MAX_U32):
            raise InvalidTransaction("A version or lock time is out of range; both have 32 bits.")

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a transaction and nothing else, with or without witnesses (BIP 144).

        Refuses more than 4 MB, lengths in a longer form than needed, a witness marker without
        witnesses, an empty list of inputs or outputs, an outpoint spent twice, outputs above
        21 million bitcoins, and trailing bytes. Raises `InvalidTransaction`.
        """
        transaction, end = cls.parse_prefix(data)
        if end != len(data):
            raise InvalidTransaction("The transaction goes on after its end; ask for it again.")
        return transaction

    @classmethod
    def parse_prefix(cls, data: bytes, offset: int = 0) -> tuple[Self, int]:
        """Read a transaction as `parse` does; the result is it and the offset behind it."""
        reader = Reader(data[: offset + _MAX_SIZE], InvalidTransaction, "transaction", offset)
        version = reader.uint(4)
        has_witness = data[reader.offset : reader.offset + 2] == _MARKER_AND_FLAG
        if has_witness:
            reader.take(2)
        inputs, outputs = _read_body(reader)
        if not inputs or not outputs:
            raise reader.fail("lacks inputs or outputs")
        if has_witness:
            inputs = tuple(_with_witness(txin, reader) for txin in inputs)
            if not any(txin.witness for txin in inputs):
                raise reader.fail("has a witness marker but no witness")
        return cls(version, inputs, outputs, reader.uint(4)), reader.offset

    @classmethod
    def parse_without_witness(cls, data: bytes) -> Self:
        """Read a transaction in the older form, which BIP 174 wants for unsigned ones.

        As `parse`, but the lists of inputs and outputs may be empty.
        """
        reader = Reader(data[: _MAX_SIZE + 1], InvalidTransaction, "transaction")
        version = reader.uint(4)
        inputs, outputs = _read_body(reader)
        transaction = cls(version, inputs, outputs, reader.uint(4))
        reader.finish()
        return transaction

    def serialize(self, *, witness: bool = True) -> bytes:
        """Write the transaction, by default with its witnesses if it has any (BIP 144)."""
        with_witness = witness and any(txin.witness for txin in self.inputs)
        return b"".join(
            (
                self.version.to_bytes(4, "little"),
                _MARKER_AND_FLAG if with_witness else b"",
                compact_size(len(self.inputs)),
                *(txin.serialize() for txin in self.inputs),
                compact_size(len(self.outputs)),
                *(txout.serialize() for txout in self.outputs),
                *(txin.serialize_witness() for txin in self.inputs if with_witness),
                self.lock_time.to_bytes(4, "little"),
            )
        )

    @property
    def txid(self) -> Txid:
        """The identifier, which leaves witnesses out."""
        if self._txid is None:
            txid = Txid(hash256(self.serialize(witness=False)))
            object.__setattr__(self, "_txid", txid)
            return txid
        return self._txid

    @property
    def wtxid(self) -> Txid:
        """The identifier that covers witnesses (BIP 141)."""
        return Txid(hash256(self.serialize()))

    @property
    def weight(self) -> Weight:
        """Three times the size without witnesses plus the whole size (BIP 141)."""
        return Weight(3 * len(self.serialize(witness=False)) + len(self.serialize()))

    def without_signatures(self) -> Self:
        """The same transaction with empty script_sigs and witnesses."""
        inputs = tuple(replace(txin, script_sig=b"", witness=()) for txin in self.inputs)
        return replace(self, inputs=inputs)

    def contested(self) -> tuple[OutPoint, ...]:
        """The outpoints it spends, in order: only one transaction can ever spend them."""
        return tuple(txin.previous_output for txin in self.inputs)

    def spends(self, outpoint: OutPoint) -> int | None:
        """The index of the input that spends this outpoint, if one does."""
        outpoints = self.contested()
        return outpoints.index(outpoint) if outpoint in outpoints else None

    def __repr__(self) -> str:
        counts = f"{len(self.inputs)} inputs, {len(self.outputs)} outputs"
        return f"<Transaction {self.txid}: {counts}>"


def _read_body(reader: Reader) -> tuple[tuple[TxIn, ...], tuple[TxOut, ...]]:
    inputs = tuple(_read_input(reader) for _ in range(reader.count(_MIN_INPUT_SIZE)))
    if len({txin.previous_output for txin in inputs}) != len(inputs):
        raise reader.fail("spends an output twice")
    outputs = tuple(TxOut.read(reader) for _ in range(reader.count(_MIN_OUTPUT_SIZE)))
    if sum(int(txout.value) for txout in outputs) > MAX_SATS:
        raise reader.fail("pays more than 21 million bitcoins")
    return inputs, outputs


def _read_input(reader: Reader) -> TxIn:
    outpoint = OutPoint(Txid(reader.take(32)), reader.uint(4))
    return TxIn(outpoint, reader.prefixed(), reader.uint(4))


def _with_witness(txin: TxIn, reader: Reader) -> TxIn:
    witness = tuple([reader.prefixed() for _ in range(reader.count(1))])
    return TxIn(txin.previous_output, txin.script_sig, txin.sequence, witness)
