"""The maps of a PSBT: global, of an input, and of an output (BIP 174, BIP 371).

An object of these classes is always well-formed. Typed values are parsed when they are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from dovetail.bitcoin.encoding import Reader, compact_size, prefixed
from dovetail.bitcoin.psbt.fields import (
    GLOBAL_CHECKS,
    INPUT_CHECKS,
    OUTPUT_CHECKS,
    GlobalField,
    InputField,
    OutputField,
    check_entries,
    parse_witness,
)
from dovetail.bitcoin.psbt.key_origins import KeyOrigin, TapKeyOrigin
from dovetail.bitcoin.psbt.keymap import KeyMap
from dovetail.bitcoin.psbt.non_witness_utxo import Previous
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import Transaction, TxOut
from dovetail.errors import InvalidPsbt, InvalidTransaction

_UTXO_FIELDS = (InputField.NON_WITNESS_UTXO, InputField.WITNESS_UTXO)
_FINAL_FIELDS = (InputField.FINAL_SCRIPTSIG, InputField.FINAL_SCRIPTWITNESS)
_SIGNING_FIELDS = tuple(
    kind for kind in InputField if kind not in {*_UTXO_FIELDS, *_FINAL_FIELDS, 0xFC}
)
_VERSION_2 = b"\x02\x00\x00\x00"
_NO_WITNESS = (None, b"\x00")
_EMPTY = KeyMap()


@dataclass(frozen=True, slots=True, repr=False)
class PsbtGlobal:
    """The global map. Raises `InvalidPsbt` unless it holds a well-formed unsigned transaction."""

    map: KeyMap
    unsigned_transaction: Transaction = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Check every field; the unsigned transaction is read once and kept."""
        if self.map.get(GlobalField.VERSION) == _VERSION_2:
            raise InvalidPsbt(
                "The PSBT is of version 2, where version 0 is required: convert it by `read_psbt`."
            )
        check_entries("global", GLOBAL_CHECKS, self.map.entries)
        object.__setattr__(self, "unsigned_transaction", _unsigned_transaction(self.map))

    def __repr__(self) -> str:
        return f"<PsbtGlobal of {len(self.map.entries)} fields>"

    @classmethod
    def of(cls, transaction: Transaction, others: KeyMap = _EMPTY) -> Self:
        """The map of this transaction, which must be unsigned, beside other global fields."""
        check_entries("global", GLOBAL_CHECKS, others.entries)
        _require_unsigned(transaction)
        # Skip the constructor, which would parse the serialized transaction again.
        made = object.__new__(cls)
        entries = others.with_value(GlobalField.UNSIGNED_TX, transaction.serialize())
        object.__setattr__(made, "map", entries)
        object.__setattr__(made, "unsigned_transaction", transaction)
        return made


@dataclass(frozen=True, slots=True, repr=False)
class PsbtInput:
    """One input's map. Raises `InvalidPsbt` when a known field is malformed."""

    map: KeyMap = _EMPTY
    previous: Previous | None = field(init=False, compare=False)
    """The previous transaction, checked and not yet fully parsed; None if it is not given."""
    _witness_utxo: TxOut | None = field(default=None, init=False, compare=False)
    _witness: tuple[bytes, ...] | None = field(default=None, init=False, compare=False)

    def __post_init__(self) -> None:
        """Check every field and the previous transaction."""
        check_entries("input", INPUT_CHECKS, self.map.entries)
        raw = self.map.get(InputField.NON_WITNESS_UTXO)
        object.__setattr__(self, "previous", None if raw is None else _previous(raw))

    def __repr__(self) -> str:
        state = "final" if self.is_finalized else "not final"
        return f"<PsbtInput of {len(self.map.entries)} fields, {state}>"

    @property
    def non_witness_utxo(self) -> Transaction | None:
        """The transaction it spends from."""
        return None if self.previous is None else self.previous.transaction

    @property
    def witness_utxo(self) -> TxOut | None:
        """The output this input spends, as the PSBT claims."""
        if self._witness_utxo is None:
            raw = self.map.get(InputField.WITNESS_UTXO)
            utxo = None if raw is None else TxOut.read(Reader(raw, InvalidPsbt, "PSBT"))
            object.__setattr__(self, "_witness_utxo", utxo)
        return self._witness_utxo

    @property
    def partial_signatures(self) -> Mapping[bytes, bytes]:
        """ECDSA signatures (DER and a sighash byte) by public key (33 or 65 bytes)."""
        return MappingProxyType(dict(self.map.all(InputField.PARTIAL_SIG)))

    @property
    def sighash_type(self) -> int | None:
        """The sighash type that all signatures of this input must have, if one is set."""
        raw = self.map.get(InputField.SIGHASH_TYPE)
        return None if raw is None else int.from_bytes(raw, "little")

    @property
    def redeem_script(self) -> Script | None:
        """The P2SH redeem script."""
        return _script(self.map, InputField.REDEEM_SCRIPT)

    @property
    def witness_script(self) -> Script | None:
        """The P2WSH witness script."""
        return _script(self.map, InputField.WITNESS_SCRIPT)

    @property
    def bip32_derivations(self) -> Mapping[bytes, KeyOrigin]:
        """Key origins by public key (33 or 65 bytes)."""
        return _origins(self.map, InputField.BIP32_DERIVATION)

    @property
    def final_script_sig(self) -> bytes | None:
        """The final script_sig, or None."""
        return self.map.get(InputField.FINAL_SCRIPTSIG)

    @property
    def final_script_witness(self) -> tuple[bytes, ...] | None:
        """The final witness stack, or None."""
        if self._witness is None:
            raw = self.map.get(InputField.FINAL_SCRIPTWITNESS)
            object.__setattr__(self, "_witness", None if raw is None else parse_witness(raw))
        return self._witness

    @property
    def tap_key_signature(self) -> bytes | None:
        """The Schnorr signature of a key path spend: 64 bytes, or 65 with a sighash byte."""
        return self.map.get(InputField.TAP_KEY_SIG)

    @property
    def tap_internal_key(self) -> bytes | None:
        """The x-only internal key, 32 bytes."""
        return self.map.get(InputField.TAP_INTERNAL_KEY)

    @property
    def tap_merkle_root(self) -> bytes | None:
        """The root of the script tree, 32 bytes."""
        return self.map.get(InputField.TAP_MERKLE_ROOT)

    @property
    def tap_bip32_derivations(self) -> Mapping[bytes, TapKeyOrigin]:
        """Key origins by x-only public key (32 bytes)."""
        return _tap_origins(self.map, InputField.TAP_BIP32_DERIVATION)

    @property
    def is_finalized(self) -> bool:
        """Whether a final script_sig or witness is set and not empty."""
        witness = self.map.get(InputField.FINAL_SCRIPTWITNESS)
        return witness not in _NO_WITNESS or bool(self.final_script_sig)

    def with_non_witness_utxo(self, transaction: Transaction) -> Self:
        """The input with the transaction it spends from, witnesses included."""
        return self._with(InputField.NON_WITNESS_UTXO, transaction.serialize())

    def with_witness_utxo(self, txout: TxOut) -> Self:
        """The input with the output it spends."""
        return self._with(InputField.WITNESS_UTXO, txout.serialize())

    def with_partial_signature(self, public_key: bytes, signature: bytes) -> Self:
        """The input with one more ECDSA signature. Raises `InvalidPsbt` for a wrong shape."""
        return self._with(InputField.PARTIAL_SIG, signature, public_key)

    def with_sighash_type(self, sighash_type: int) -> Self:
        """The input with the sighash type (32 bits) its signatures must have."""
        return self._with(InputField.SIGHASH_TYPE, sighash_type.to_bytes(4, "little"))

    def with_redeem_script(self, script: bytes) -> Self:
        """The input with its P2SH redeem script."""
        return self._with(InputField.REDEEM_SCRIPT, script)

    def with_witness_script(self, script: bytes) -> Self:
        """The input with its P2WSH witness script."""
        return self._with(InputField.WITNESS_SCRIPT, script)

    def with_tap_key_signature(self, signature: bytes) -> Self:
        """The input with its key path signature. Raises `InvalidPsbt` unless of 64 or 65 bytes."""
        return self._with(InputField.TAP_KEY_SIG, signature)

    def with_final(self, script_sig: bytes = b"", witness: tuple[bytes, ...] = ()) -> Self:
        """The input with these final scripts; an empty one is left unset (BIP 174, Finalizer)."""
        entries = self.map.without(*_FINAL_FIELDS)
        if script_sig:
            entries = entries.with_value(InputField.FINAL_SCRIPTSIG, script_sig)
        if witness:
            stack = compact_size(len(witness)) + b"".join(map(prefixed, witness))
            entries = entries.with_value(InputField.FINAL_SCRIPTWITNESS, stack)
        return self._made(entries, self.previous)

    def cleared_of(self, *fields: InputField) -> Self:
        """The input without these kinds of fields."""
        return self._fewer(self.map.without(*fields))

    def without_signing_data(self) -> Self:
        """Only UTXOs, final scripts, unknown and proprietary fields (BIP 174, Finalizer)."""
        return self.cleared_of(*_SIGNING_FIELDS)

    def only(self, *fields: InputField) -> Self:
        """The input with these kinds of fields and no others."""
        return self._fewer(self.map.only(*fields))

    def _with(self, kind: InputField, value: bytes, keydata: bytes = b"") -> Self:
        """The input with one more entry; only that entry is checked."""
        check_entries("input", INPUT_CHECKS, ((bytes((kind,)) + keydata, value),))
        previous = _previous(value) if kind is InputField.NON_WITNESS_UTXO else self.previous
        return self._made(self.map.with_value(kind, value, keydata), previous)

    def _fewer(self, entries: KeyMap) -> Self:
        """The input with some of its entries, which are not checked again."""
        if len(entries.entries) == len(self.map.entries):
            return self
        kept = entries.get(InputField.NON_WITNESS_UTXO) is not None
        return self._made(entries, self.previous if kept else None)

    def _made(self, entries: KeyMap, previous: Previous | None) -> Self:
        """Skip the constructor's checks, for entries that have been checked."""
        made = object.__new__(type(self))
        object.__setattr__(made, "map", entries)
        object.__setattr__(made, "previous", previous)
        object.__setattr__(made, "_witness_utxo", None)
        object.__setattr__(made, "_witness", None)
        return made


@dataclass(frozen=True, slots=True, repr=False)
class PsbtOutput:
    """One output's map. Raises `InvalidPsbt` when a known field is malformed."""

    map: KeyMap = _EMPTY

    def __post_init__(self) -> None:
        """Check every field."""
        check_entries("output", OUTPUT_CHECKS, self.map.entries)

    def __repr__(self) -> str:
        return f"<PsbtOutput of {len(self.map.entries)} fields>"

    @property
    def redeem_script(self) -> Script | None:
        """The P2SH redeem script."""
        return _script(self.map, OutputField.REDEEM_SCRIPT)

    @property
    def witness_script(self) -> Script | None:
        """The P2WSH witness script."""
        return _script(self.map, OutputField.WITNESS_SCRIPT)

    @property
    def bip32_derivations(self) -> Mapping[bytes, KeyOrigin]:
        """Key origins by public key (33 or 65 bytes)."""
        return _origins(self.map, OutputField.BIP32_DERIVATION)

    @property
    def tap_internal_key(self) -> bytes | None:
        """The x-only internal key, 32 bytes."""
        return self.map.get(OutputField.TAP_INTERNAL_KEY)

    @property
    def tap_bip32_derivations(self) -> Mapping[bytes, TapKeyOrigin]:
        """Key origins by x-only public key (32 bytes)."""
        return _tap_origins(self.map, OutputField.TAP_BIP32_DERIVATION)

    def cleared_of(self, *fields: OutputField) -> Self:
        """The output without these kinds of fields."""
        return type(self)(self.map.without(*fields))


def _unsigned_transaction(global_map: KeyMap) -> Transaction:
    raw = global_map.get(GlobalField.UNSIGNED_TX)
    if raw is None:
        raise InvalidPsbt("The PSBT holds no unsigned transaction; ask for one of version 0.")
    try:
        transaction = Transaction.parse_without_witness(raw)
    except InvalidTransaction as error:
        raise InvalidPsbt(
            "The PSBT's unsigned transaction cannot be read; ask its creator for another PSBT."
        ) from error
    if any(txin.script_sig for txin in transaction.inputs):
        raise InvalidPsbt(
            "The PSBT's unsigned transaction has signatures; ask its creator for a valid PSBT."
        )
    return transaction


def _require_unsigned(transaction: Transaction) -> None:
    """Raise `InvalidPsbt` for a transaction that could not be read back from a PSBT."""
    if any(txin.script_sig or txin.witness for txin in transaction.inputs):
        raise InvalidPsbt("A transaction with signatures is not unsigned; strip them first.")
    if not transaction.is_well_formed:
        raise InvalidPsbt("The PSBT's unsigned transaction could not be read back; build it anew.")


def _previous(raw: bytes) -> Previous:
    try:
        return Previous(raw)
    except InvalidTransaction as error:
        raise InvalidPsbt(
            "A previous transaction in the PSBT cannot be read; ask its creator for another PSBT."
        ) from error


def _script(entries: KeyMap, kind: int) -> Script | None:
    raw = entries.get(kind)
    return None if raw is None else Script(raw)


def _origins(entries: KeyMap, kind: int) -> Mapping[bytes, KeyOrigin]:
    return MappingProxyType({key: KeyOrigin.parse(raw) for key, raw in entries.all(kind)})


def _tap_origins(entries: KeyMap, kind: int) -> Mapping[bytes, TapKeyOrigin]:
    return MappingProxyType({key: TapKeyOrigin.parse(raw) for key, raw in entries.all(kind)})
