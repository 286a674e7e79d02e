"""Signature hashes of a transaction: legacy, BIP 143 and BIP 341 (key path)."""

from collections.abc import Sequence
from functools import cached_property

from dovetail.bitcoin.encoding import compact_size, prefixed
from dovetail.bitcoin.hashes import hash256, sha256
from dovetail.bitcoin.transaction import Transaction, TxOut
from dovetail.errors import UsageError

DEFAULT, ALL, NONE, SINGLE, ANYONECANPAY = 0x00, 0x01, 0x02, 0x03, 0x80
"""The sighash types; the last is combined with one of the three before it."""

DEFINED = frozenset({ALL, NONE, SINGLE, *(ANYONECANPAY | kind for kind in (ALL, NONE, SINGLE))})
"""The values that nodes accept in an explicit sighash byte (BIP 341, Bitcoin Core)."""

_ZERO = bytes(32)
_ONE = (1).to_bytes(32, "little")
_OUTPUT_BITS = 0x1F
_BLANK_INPUT_SIZE = 41
_TAGGED = sha256(b"TapSighash") * 2
_EPOCH = b"\x00"


class SignatureHashes:
    """The digests that the signatures of one transaction sign, 32 bytes each.

    `spent` are the outputs that its inputs spend, in order; script_sigs and witnesses play no
    part. Raises `UsageError` unless there is one for each input.
    """

    def __init__(self, transaction: Transaction, spent: Sequence[TxOut]) -> None:
        """Keep both; parts that several inputs share are hashed once."""
        if len(spent) != len(transaction.inputs):
            raise UsageError("Each input needs the output it spends; give all of them.")
        self.transaction = transaction
        self.spent = tuple(spent)

    def legacy(self, index: int, script_code: bytes, sighash_type: int) -> bytes:
        """The digest of an input without a witness; `script_code` has no OP_CODESEPARATOR."""
        transaction = self.transaction
        outputs = sighash_type & _OUTPUT_BITS
        if outputs == SINGLE and index >= len(transaction.outputs):
            return _ONE  # consensus since the first release
        txin = transaction.inputs[index]
        signed = txin.previous_output.serialize() + prefixed(script_code) + _u32(txin.sequence)
        if sighash_type & ANYONECANPAY:
            inputs = compact_size(1) + signed
        else:
            others = self._unsequenced if outputs in (NONE, SINGLE) else self._sequenced
            start = index * _BLANK_INPUT_SIZE
            inputs = b"".join(
                (
                    compact_size(len(transaction.inputs)),
                    others[:start],
                    signed,
                    others[start + _BLANK_INPUT_SIZE :],
                )
            )
        return hash256(
            b"".join(
                (
                    _u32(transaction.version),
                    inputs,
                    self._legacy_outputs(index, outputs),
                    _u32(transaction.lock_time),
                    _u32(sighash_type),
                )
            )
        )

    def _legacy_outputs(self, index: int, outputs: int) -> bytes:
        if outputs == NONE:
            return compact_size(0)
        if outputs == SINGLE:
            blank = b"\xff" * 8 + compact_size(0)
            own = self.transaction.outputs[index].serialize()
            return compact_size(index + 1) + blank * index + own
        return compact_size(len(self.transaction.outputs)) + self._outputs

    def witness_v0(self, index: int, script_code: bytes, sighash_type: int) -> bytes:
        """The digest of an input with a witness of version 0 (BIP 143, Specification)."""
        txin, outputs = self.transaction.inputs[index], sighash_type & _OUTPUT_BITS
        alone = bool(sighash_type & ANYONECANPAY)
        sequences_too = not alone and outputs not in (NONE, SINGLE)
        if outputs not in (NONE, SINGLE):
            paid = sha256(self._sha_outputs)
        elif outputs == SINGLE and index < len(self.transaction.outputs):
            paid = hash256(self.transaction.outputs[index].serialize())
        else:
            paid = _ZERO
        return hash256(
            _u32(self.transaction.version)
            + (_ZERO if alone else sha256(self._sha_prevouts))
            + (sha256(self._sha_sequences) if sequences_too else _ZERO)
            + txin.previous_output.serialize()
            + prefixed(script_code)
            + _amount(self.spent[index])
            + _u32(txin.sequence)
            + paid
            + _u32(self.transaction.lock_time)
            + _u32(sighash_type)
        )

    def taproot(self, index: int, sighash_type: int) -> bytes:
        """The digest of a key path spend without an annex (BIP 341, Common signature message).

        Raises `UsageError` for SINGLE without an output to go with it.
        """
        txin, outputs = self.transaction.inputs[index], sighash_type & SINGLE
        message = bytes((sighash_type,))
        message += _u32(self.transaction.version) + _u32(self.transaction.lock_time)
        alone = bool(sighash_type & ANYONECANPAY)
        if not alone:
            message += self._sha_prevouts + self._sha_amounts + self._sha_scripts
            message += self._sha_sequences
        if outputs not in (NONE, SINGLE):
            message += self._sha_outputs
        message += b"\x00"  # a key path spend, no annex
        if alone:
            message += txin.previous_output.serialize() + self.spent[index].serialize()
            message += _u32(txin.sequence)
        else:
            message += _u32(index)
        if outputs == SINGLE:
            if index >= len(self.transaction.outputs):
                raise UsageError("This sighash type needs an output at the input's place.")
            message += sha256(self.transaction.outputs[index].serialize())
        return sha256(_TAGGED + _EPOCH + message)

    # Cached, because a transaction is hashed again for each of its inputs.
    @cached_property
    def _sequenced(self) -> bytes:
        return b"".join(
            [
                txin.previous_output.serialize() + b"\x00" + _u32(txin.sequence)
                for txin in self.transaction.inputs
            ]
        )

    @cached_property
    def _unsequenced(self) -> bytes:
        inputs = self.transaction.inputs
        return b"".join([txin.previous_output.serialize() + bytes(5) for txin in inputs])

    @cached_property
    def _sha_prevouts(self) -> bytes:
        inputs = self.transaction.inputs
        return sha256(b"".join([txin.previous_output.serialize() for txin in inputs]))

    @cached_property
    def _sha_sequences(self) -> bytes:
        return sha256(b"".join([_u32(txin.sequence) for txin in self.transaction.inputs]))

    @cached_property
    def _sha_amounts(self) -> bytes:
        return sha256(b"".join([_amount(txout) for txout in self.spent]))

    @cached_property
    def _sha_scripts(self) -> bytes:
        return sha256(b"".join([prefixed(txout.script_pubkey) for txout in self.spent]))

    @cached_property
    def _outputs(self) -> bytes:
        return b"".join([txout.serialize() for txout in self.transaction.outputs])

    @cached_property
    def _sha_outputs(self) -> bytes:
        return sha256(self._outputs)


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _amount(txout: TxOut) -> bytes:
    return txout.value.to_bytes(8, "little")
