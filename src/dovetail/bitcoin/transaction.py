"""Transactions: the codec, identifiers and weight.

Bitcoin's network serialization, BIP 141 (weight) and BIP 144 (witnesses). The parsers also apply
the consensus rules that need no other data.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from dovetail.bitcoin.encoding import Reader, compact_size, prefixed, read_compact_size
from dovetail.bitcoin.hashes import hash256
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.units import MAX_SATS, Sats, Weight
from dovetail.errors import InvalidTransaction

_MAX_SIZE = 4_000_000
_MAX_U32 = 2**32 - 1
_MARKER_AND_FLAG = b"\x00\x01"
_MIN_INPUT_SIZE, _MIN_OUTPUT_SIZE = 41, 9
_TOO_MUCH = "has an output of more than 21 million bitcoins"
_TXID_HEX = re.compile(r"[0-9a-fA-F]{64}")
_OUTPOINT = re.compile(r"([0-9a-fA-F]{64}):(0|[1-9][0-9]{0,9})")


class Txid(bytes):
    """A transaction's identifier: 32 bytes in internal order.

    `str` and `hex` give its text, in the reversed order that explorers and nodes show, as
    `from_hex` reads it; `bytes(txid).hex()` is the order of the bytes in a transaction.

    Raises `InvalidTransaction` when it is not 32 bytes long.
    """

    __slots__ = ()

    def __new__(cls, value: bytes) -> Self:
        """Check the size."""
        if len(value) != 32:
            raise InvalidTransaction("A transaction id must be 32 bytes; check where it is from.")
        return bytes.__new__(cls, value)

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """Read the 64 hexadecimal digits that explorers and nodes show."""
        if not _TXID_HEX.fullmatch(text):
            raise InvalidTransaction("A transaction id must be 64 hex digits; copy it again.")
        return cls(bytes.fromhex(text)[::-1])

    def hex(self, *separated: Any, **named: Any) -> str:
        """The digits that explorers and nodes show, as `str`; arguments are those of `bytes`."""
        return self[::-1].hex(*separated, **named)

    def __str__(self) -> str:
        return self.hex()

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
    """An input: the outpoint it spends, its script_sig and witness, and its sequence number."""

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
    """An output: a value and its script."""

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
            raise reader.fail(_TOO_MUCH)
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
    # Computed on first use and cached.
    _stripped: bytes | None = field(default=None, init=False, compare=False)
    _txid: Txid | None = field(default=None, init=False, compare=False)
    _weight: Weight | None = field(default=None, init=False, compare=False)
    _well_formed: bool | None = field(default=None, init=False, compare=False)
    _unsigned: "Transaction | None" = field(default=None, init=False, compare=False)

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
        start = reader.offset
        bare, outputs = _read_inputs(reader), _read_outputs(reader)
        if not bare or not outputs:
            raise reader.fail("lacks inputs or outputs")
        body = data[start : reader.offset]
        if has_witness:
            inputs = tuple([TxIn(*fields, _read_witness(reader)) for fields in bare])
            if not any(txin.witness for txin in inputs):
                raise reader.fail("has a witness marker but no witness")
        else:
            inputs = tuple([TxIn(*fields) for fields in bare])
        transaction = cls(version, inputs, outputs, reader.uint(4))
        end = reader.offset
        stripped = data[offset : offset + 4] + body + data[end - 4 : end]
        object.__setattr__(transaction, "_stripped", stripped)
        object.__setattr__(transaction, "_well_formed", True)
        return transaction, end

    @classmethod
    def parse_without_witness(cls, data: bytes) -> Self:
        """Read a transaction in the older form, which BIP 174 wants for unsigned ones.

        As `parse`, but the lists of inputs and outputs may be empty.
        """
        reader = Reader(data[: _MAX_SIZE + 1], InvalidTransaction, "transaction")
        version = reader.uint(4)
        inputs = tuple([TxIn(*fields) for fields in _read_inputs(reader)])
        transaction = cls(version, inputs, _read_outputs(reader), reader.uint(4))
        reader.finish()
        object.__setattr__(transaction, "_stripped", data)
        object.__setattr__(transaction, "_well_formed", len(data) <= _MAX_SIZE)
        return transaction

    def serialize(self, *, witness: bool = True) -> bytes:
        """Write the transaction, by default with its witnesses if it has any (BIP 144)."""
        if not (witness and self.has_witness):
            return self._without_witness()
        body = self._without_witness()
        witnesses = [txin.serialize_witness() for txin in self.inputs]
        return b"".join((body[:4], _MARKER_AND_FLAG, body[4:-4], *witnesses, body[-4:]))

    @property
    def has_witness(self) -> bool:
        """Whether any input has a witness."""
        return any(txin.witness for txin in self.inputs)

    def _without_witness(self) -> bytes:
        if self._stripped is None:
            stripped = b"".join(
                (
                    self.version.to_bytes(4, "little"),
                    compact_size(len(self.inputs)),
                    *[txin.serialize() for txin in self.inputs],
                    compact_size(len(self.outputs)),
                    *[txout.serialize() for txout in self.outputs],
                    self.lock_time.to_bytes(4, "little"),
                )
            )
            object.__setattr__(self, "_stripped", stripped)
            return stripped
        return self._stripped

    @property
    def txid(self) -> Txid:
        """The identifier, which leaves witnesses out."""
        if self._txid is None:
            txid = Txid(hash256(self._without_witness()))
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
        if self._weight is None:
            weight = Weight(3 * len(self._without_witness()) + len(self.serialize()))
            object.__setattr__(self, "_weight", weight)
            return weight
        return self._weight

    @property
    def is_well_formed(self) -> bool:
        """Whether `parse` would accept it, apart from empty lists of inputs or outputs."""
        if self._well_formed is None:
            well_formed = (
                len(set(self.contested())) == len(self.inputs)
                and sum([int(txout.value) for txout in self.outputs]) <= MAX_SATS
                and len(self._without_witness()) <= _MAX_SIZE
            )
            object.__setattr__(self, "_well_formed", well_formed)
            return well_formed
        return self._well_formed

    def without_signatures(self) -> "Transaction":
        """The same transaction with empty script_sigs and witnesses."""
        if self._unsigned is None:
            if not any(txin.script_sig or txin.witness for txin in self.inputs):
                return self
            unsigned = self.with_signatures([(b"", ())] * len(self.inputs))
            object.__setattr__(self, "_unsigned", unsigned)
            return unsigned
        return self._unsigned

    def with_signatures(self, signatures: Iterable[tuple[bytes, tuple[bytes, ...]]]) -> Self:
        """The same transaction with these script_sigs and witnesses, a pair for each input."""
        pairs = zip(self.inputs, signatures, strict=True)
        inputs = [
            TxIn(txin.previous_output, script_sig, txin.sequence, witness)
            for txin, (script_sig, witness) in pairs
        ]
        signed = type(self)(self.version, tuple(inputs), self.outputs, self.lock_time)
        # Witnesses do not change the id, so keep its cached parts.
        before = [txin.script_sig for txin in self.inputs]
        if [txin.script_sig for txin in inputs] == before:
            object.__setattr__(signed, "_stripped", self._stripped)
            object.__setattr__(signed, "_txid", self._txid)
            object.__setattr__(signed, "_well_formed", self._well_formed)
        return signed

    def contested(self) -> tuple[OutPoint, ...]:
        """The outpoints it spends, in order: only one transaction can ever spend them."""
        return tuple([txin.previous_output for txin in self.inputs])

    def spends(self, outpoint: OutPoint) -> int | None:
        """The index of the input that spends this outpoint, if one does."""
        outpoints = self.contested()
        return outpoints.index(outpoint) if outpoint in outpoints else None

    def __repr__(self) -> str:
        counts = f"{len(self.inputs)} inputs, {len(self.outputs)} outputs"
        return f"<Transaction {self.txid}: {counts}>"


# Parsing spends most time in these two functions, so they index the bytes directly. Beyond the end
# an index raises, and a slice is too short, which `skip_to` then refuses.


def _read_inputs(reader: Reader) -> list[tuple[OutPoint, bytes, int]]:
    """Each input's outpoint, script_sig and sequence."""
    inputs: dict[bytes, tuple[OutPoint, bytes, int]] = {}
    count = reader.count(_MIN_INPUT_SIZE)
    data, at = reader.data, reader.offset
    try:
        for _ in range(count):
            start = at + 37
            size = data[start - 1]
            spent = data[at : start - 1]
            if size >= 0xFD:
                size, start = read_compact_size(data, start - 1, reader.error)
            end = start + size
            at = end + 4
            outpoint = OutPoint(Txid(spent[:32]), int.from_bytes(spent[32:], "little"))
            sequence = int.from_bytes(data[end:at], "little")
            inputs[spent] = (outpoint, data[start:end], sequence)
    except IndexError:
        at = len(data) + 1
    reader.skip_to(at)
    if len(inputs) != count:
        raise reader.fail("spends an output twice")
    return list(inputs.values())


def _read_outputs(reader: Reader) -> tuple[TxOut, ...]:
    outputs: list[TxOut] = []
    count = reader.count(_MIN_OUTPUT_SIZE)
    data, at, total = reader.data, reader.offset, 0
    try:
        for _ in range(count):
            start = at + 9
            size = data[start - 1]
            value = int.from_bytes(data[at : at + 8], "little")
            if value > MAX_SATS:
                raise reader.fail(_TOO_MUCH)
            if size >= 0xFD:
                size, start = read_compact_size(data, start - 1, reader.error)
            at = start + size
            total += value
            outputs.append(TxOut(Sats(value), Script(data[start:at])))
    except IndexError:
        at = len(data) + 1
    reader.skip_to(at)
    if total > MAX_SATS:
        raise reader.fail("pays more than 21 million bitcoins")
    return tuple(outputs)


def _read_witness(reader: Reader) -> tuple[bytes, ...]:
    return tuple([reader.prefixed() for _ in range(reader.count(1))])
