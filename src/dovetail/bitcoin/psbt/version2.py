"""PSBT version 2, kept byte for byte, and its conversion to version 0 (BIP 370).

Payjoin uses version 0 on the wire (BIP 78), and all of Dovetail works on version 0. Some signers
use version 2: parse their PSBT, convert it, and put the results back into it.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from dovetail.bitcoin.encoding import compact_size
from dovetail.bitcoin.psbt.fields import (
    GLOBAL_CHECKS,
    INPUT_CHECKS,
    OUTPUT_CHECKS,
    Check,
    GlobalField,
    check_entries,
)
from dovetail.bitcoin.psbt.keymap import KeyMap, read_map, read_size, write_map
from dovetail.bitcoin.psbt.maps import PsbtGlobal, PsbtInput, PsbtOutput
from dovetail.bitcoin.psbt.psbt import MAGIC, Psbt, decode_base64
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import OutPoint, Transaction, Txid, TxIn, TxOut
from dovetail.bitcoin.units import MAX_SATS, Sats
from dovetail.errors import InvalidPsbt

_TX_VERSION, _FALLBACK_LOCKTIME, _INPUT_COUNT, _OUTPUT_COUNT, _TX_MODIFIABLE = range(0x02, 0x07)
_PREVIOUS_TXID, _OUTPUT_INDEX, _SEQUENCE, _REQUIRED_TIME, _REQUIRED_HEIGHT = range(0x0E, 0x13)
_AMOUNT, _SCRIPT = 0x03, 0x04
_GLOBALS = (_TX_VERSION, _FALLBACK_LOCKTIME, _INPUT_COUNT, _OUTPUT_COUNT, _TX_MODIFIABLE)
_INPUTS = (_PREVIOUS_TXID, _OUTPUT_INDEX, _SEQUENCE, _REQUIRED_TIME, _REQUIRED_HEIGHT)
_OUTPUTS = (_AMOUNT, _SCRIPT)
_VERSION_2 = (2).to_bytes(4, "little")
_LOCK_TIME_THRESHOLD = 500_000_000
_FINAL_SEQUENCE = 0xFFFFFFFF


def _sized(size: int) -> Check:
    return lambda key, value: len(key) == 1 and len(value) == size


def _is_count(key: bytes, value: bytes) -> bool:
    return len(key) == 1 and read_size(value, 0)[1] == len(value)


def _is_amount(key: bytes, value: bytes) -> bool:
    return len(key) == 1 and len(value) == 8 and _number(value) <= MAX_SATS


def _is_time(key: bytes, value: bytes) -> bool:
    return len(key) == 1 and len(value) == 4 and _number(value) >= _LOCK_TIME_THRESHOLD


def _is_height(key: bytes, value: bytes) -> bool:
    return len(key) == 1 and len(value) == 4 and 0 < _number(value) < _LOCK_TIME_THRESHOLD


def _is_bare(key: bytes, _value: bytes) -> bool:
    return len(key) == 1


def _is_absent(_key: bytes, _value: bytes) -> bool:
    return False


_GLOBAL_CHECKS: Mapping[int, Check] = {
    **GLOBAL_CHECKS,
    GlobalField.UNSIGNED_TX: _is_absent,
    GlobalField.VERSION: lambda key, value: len(key) == 1 and value == _VERSION_2,
    _TX_VERSION: _sized(4),
    _FALLBACK_LOCKTIME: _sized(4),
    _INPUT_COUNT: _is_count,
    _OUTPUT_COUNT: _is_count,
    _TX_MODIFIABLE: _sized(1),
}
_INPUT_CHECKS: Mapping[int, Check] = {
    **INPUT_CHECKS,
    _PREVIOUS_TXID: _sized(32),
    _OUTPUT_INDEX: _sized(4),
    _SEQUENCE: _sized(4),
    _REQUIRED_TIME: _is_time,
    _REQUIRED_HEIGHT: _is_height,
}
_OUTPUT_CHECKS: Mapping[int, Check] = {
    **OUTPUT_CHECKS,
    _AMOUNT: _is_amount,
    _SCRIPT: _is_bare,
}


@dataclass(frozen=True, slots=True, repr=False)
class PsbtV2:
    """A PSBT of version 2; make one with `parse`, `from_base64` or `of`.

    Every value is well-formed: all required fields are there and have their shape, the counts are
    those of the maps, and one lock time suits all inputs. Raises `InvalidPsbt` otherwise. Its repr
    shows counts only (P4).
    """

    global_map: KeyMap
    inputs: tuple[KeyMap, ...]
    outputs: tuple[KeyMap, ...]
    version_0: Psbt = field(init=False, compare=False)
    """The same PSBT in version 0, with the unsigned transaction that the fields describe."""

    def __post_init__(self) -> None:
        """Check that the PSBT is well-formed."""
        check_entries("global", _GLOBAL_CHECKS, self.global_map.entries)
        _require("global", self.global_map, (GlobalField.VERSION, *_GLOBALS[:1], *_GLOBALS[2:4]))
        for each in self.inputs:
            check_entries("input", _INPUT_CHECKS, each.entries)
            _require("input", each, (_PREVIOUS_TXID, _OUTPUT_INDEX))
        for each in self.outputs:
            check_entries("output", _OUTPUT_CHECKS, each.entries)
            _require("output", each, _OUTPUTS)
        counts = _counts(self.global_map)
        if counts != (len(self.inputs), len(self.outputs)):
            raise InvalidPsbt("The PSBT has other maps than it announces; ask for the whole of it.")
        object.__setattr__(self, "version_0", self._in_version_0())

    def __repr__(self) -> str:
        return f"<PsbtV2 of {len(self.inputs)} inputs, {len(self.outputs)} outputs>"

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a binary PSBT of version 2 and nothing else. Raises `InvalidPsbt`."""
        if not data.startswith(MAGIC):
            raise InvalidPsbt("This is not a PSBT; check what was pasted or sent.")
        global_map, position = read_map(data, len(MAGIC))
        check_entries("global", _GLOBAL_CHECKS, global_map.entries)
        maps: list[KeyMap] = []
        inputs, outputs = _counts(global_map)
        while len(maps) < inputs + outputs:  # each map takes at least a byte, so the loop ends
            entries, position = read_map(data, position)
            maps.append(entries)
        if position != len(data):
            raise InvalidPsbt("The PSBT goes on after its end; ask for it again.")
        return cls(global_map, tuple(maps[:inputs]), tuple(maps[inputs:]))

    def serialize(self) -> bytes:
        """The binary PSBT; one that was parsed comes back byte for byte."""
        parts = [MAGIC]
        for entries in (self.global_map, *self.inputs, *self.outputs):
            write_map(parts, entries.entries)
        return b"".join(parts)

    @classmethod
    def from_base64(cls, text: str) -> Self:
        """Read a PSBT in padded base64 without spaces (RFC 4648, 4). Raises `InvalidPsbt`."""
        return cls.parse(decode_base64(text))

    def to_base64(self) -> str:
        """The PSBT in base64, padded, on one line."""
        return base64.b64encode(self.serialize()).decode()

    @classmethod
    def of(cls, psbt: Psbt) -> Self:
        """A PSBT of version 0 in version 2: `version_0` gives it back."""
        transaction = psbt.unsigned_transaction
        numbers = {
            _TX_VERSION: _u32(transaction.version),
            _FALLBACK_LOCKTIME: _u32(transaction.lock_time),
            _INPUT_COUNT: compact_size(len(transaction.inputs)),
            _OUTPUT_COUNT: compact_size(len(transaction.outputs)),
            GlobalField.VERSION: _VERSION_2,
        }
        entries = psbt.global_map.map.without(GlobalField.UNSIGNED_TX, GlobalField.VERSION)
        return cls(
            _with(entries, numbers),
            tuple(
                _with(each.map, _fields_of_input(txin))
                for each, txin in zip(psbt.inputs, transaction.inputs, strict=True)
            ),
            tuple(
                _with(each.map, {_AMOUNT: _u64(txout.value), _SCRIPT: bytes(txout.script_pubkey)})
                for each, txout in zip(psbt.outputs, transaction.outputs, strict=True)
            ),
        )

    def with_version_0(self, psbt: Psbt) -> Self:
        """This PSBT with the fields of `psbt`, of the same transaction; its own fields stay.

        This brings a signature made in version 0 into a signer's PSBT. Unchanged fields keep their
        bytes. Raises `InvalidPsbt` for another transaction.
        """
        if psbt.unsigned_transaction != self.version_0.unsigned_transaction:
            raise InvalidPsbt("The PSBTs are for different transactions; combine copies of one.")
        known = psbt.global_map.map.without(GlobalField.UNSIGNED_TX, GlobalField.VERSION)
        return type(self)(
            _updated(self.global_map, known, (*_GLOBALS, GlobalField.VERSION)),
            tuple(
                _updated(mine, each.map, _INPUTS)
                for mine, each in zip(self.inputs, psbt.inputs, strict=True)
            ),
            tuple(
                _updated(mine, each.map, _OUTPUTS)
                for mine, each in zip(self.outputs, psbt.outputs, strict=True)
            ),
        )

    @property
    def lock_time(self) -> int:
        """The lock time that suits all inputs (BIP 370, Determining Lock Time)."""
        return self.version_0.unsigned_transaction.lock_time

    def _in_version_0(self) -> Psbt:
        transaction = Transaction(
            _number(self.global_map.get(_TX_VERSION)),
            tuple(map(_txin, self.inputs)),
            tuple(map(_txout, self.outputs)),
            _lock_time(self.global_map, self.inputs),
        )
        others = self.global_map.without(*_GLOBALS, GlobalField.VERSION)
        return Psbt(
            PsbtGlobal.of(transaction, others),
            tuple(PsbtInput(each.without(*_INPUTS)) for each in self.inputs),
            tuple(PsbtOutput(each.without(*_OUTPUTS)) for each in self.outputs),
        )


def read_psbt(data: bytes | str) -> Psbt:
    """A PSBT of either version, binary or in base64, as version 0. Raises `InvalidPsbt`.

    Use it for a PSBT from a person or a wallet. Keep a `PsbtV2` if you must return version 2.
    """
    raw = decode_base64(data) if isinstance(data, str) else data
    return PsbtV2.parse(raw).version_0 if is_version_2(raw) else Psbt.parse(raw)


def is_version_2(data: bytes) -> bool:
    """Whether a binary PSBT is of version 2; False if it cannot be read."""
    try:
        entries, _ = read_map(data, len(MAGIC))
    except InvalidPsbt:
        return False
    return data.startswith(MAGIC) and entries.get(GlobalField.VERSION) == _VERSION_2


def _counts(global_map: KeyMap) -> tuple[int, int]:
    _require("global", global_map, (_INPUT_COUNT, _OUTPUT_COUNT))
    inputs, outputs = global_map.get(_INPUT_COUNT), global_map.get(_OUTPUT_COUNT)
    return read_size(inputs or b"", 0)[0], read_size(outputs or b"", 0)[0]


def _lock_time(global_map: KeyMap, inputs: tuple[KeyMap, ...]) -> int:
    """Return a height if every input with a lock time accepts one, otherwise a time."""
    asking = [each for each in inputs if _locks(each) != (0, 0)]
    if not asking:
        return _number(global_map.get(_FALLBACK_LOCKTIME))
    for kind in (0, 1):
        wanted = [_locks(each)[kind] for each in asking]
        if all(wanted):
            return max(wanted)
    raise InvalidPsbt(
        "One input of the PSBT is locked by height and another by time, which one transaction"
        " cannot be; ask its creator for another one."
    )


def _locks(entries: KeyMap) -> tuple[int, int]:
    """Return the height and the time that an input requires, or 0."""
    return _number(entries.get(_REQUIRED_HEIGHT)), _number(entries.get(_REQUIRED_TIME))


def _txin(entries: KeyMap) -> TxIn:
    txid, sequence = entries.get(_PREVIOUS_TXID), entries.get(_SEQUENCE)
    return TxIn(
        OutPoint(Txid(txid or b""), _number(entries.get(_OUTPUT_INDEX))),
        sequence=_FINAL_SEQUENCE if sequence is None else _number(sequence),
    )


def _txout(entries: KeyMap) -> TxOut:
    return TxOut(Sats(_number(entries.get(_AMOUNT))), Script(entries.get(_SCRIPT) or b""))


def _fields_of_input(txin: TxIn) -> dict[int, bytes]:
    return {
        _PREVIOUS_TXID: bytes(txin.previous_output.txid),
        _OUTPUT_INDEX: _u32(txin.previous_output.vout),
        _SEQUENCE: _u32(txin.sequence),
    }


def _with(entries: KeyMap, fields: Mapping[int, bytes]) -> KeyMap:
    for kind, value in fields.items():
        entries = entries.with_value(kind, value)
    return entries


def _updated(mine: KeyMap, known: KeyMap, own: Iterable[int]) -> KeyMap:
    """Return the entries of `known` in the order of `mine`; fields of the kinds `own` stay."""
    prefixes = tuple(bytes((kind,)) for kind in own)
    values = dict(known.entries)
    kept = [
        (key, value if key.startswith(prefixes) else values.pop(key))
        for key, value in mine.entries
        if key.startswith(prefixes) or key in values
    ]
    updated = KeyMap(tuple(kept))
    for key, value in values.items():
        updated = updated.with_key(key, value)
    return updated


def _require(scope: str, entries: KeyMap, kinds: Iterable[int]) -> None:
    for kind in kinds:
        if entries.get(kind) is None:
            raise InvalidPsbt(
                f"The PSBT lacks the {scope} field {int(kind):#04x}; ask for a valid PSBT."
            )


def _number(value: bytes | None) -> int:
    return int.from_bytes(value or b"", "little")


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _u64(value: int) -> bytes:
    return value.to_bytes(8, "little")
