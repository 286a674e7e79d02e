"""Relay policy that can be checked on a transaction alone (Bitcoin Core's policy.cpp).

Reasons are spelt as Bitcoin Core spells them.
"""

from collections.abc import Sequence

from dovetail.bitcoin.script import Script, ScriptType, is_push_only
from dovetail.bitcoin.transaction import Transaction, TxIn, TxOut

_MAX_WEIGHT, _MAX_WEIGHT_OF_VERSION_3 = 400_000, 40_000
_MIN_SIZE = 65
_MAX_SCRIPT_SIG = 1650
_MAX_MULTISIG_KEYS = 3
_MAX_STACK_ITEMS, _MAX_STACK_ITEM, _MAX_WITNESS_SCRIPT = 100, 80, 3600
_ANNEX = b"\x50"
_VERSIONS = range(1, 4)
_FINAL = 0xFFFFFFFF

LOCK_TIME_THRESHOLD = 500_000_000
"""A lock time is a height below this, and from here on Unix seconds (BIP 65)."""
_SEQUENCE_DISABLED, _SEQUENCE_IS_TIME, _SEQUENCE_MASK = 1 << 31, 1 << 22, 0xFFFF


def not_relayed(transaction: Transaction) -> str | None:
    """Return why nodes refuse its version, weight, script_sigs or outputs, or None."""
    if transaction.version not in _VERSIONS:
        return "version"
    if transaction.weight > _MAX_WEIGHT:
        return "tx-size"
    if transaction.version == _VERSIONS[-1] and transaction.weight > _MAX_WEIGHT_OF_VERSION_3:
        return "TRUC-violation"
    reasons = (*map(_of_script_sig, transaction.inputs), *map(_of_output, transaction.outputs))
    found = next((reason for reason in reasons if reason is not None), None)
    if found is not None:
        return found
    if len(transaction.serialize(witness=False)) < _MIN_SIZE:
        return "tx-size-small"
    return None


def not_relayed_spending(transaction: Transaction, spent: Sequence[TxOut]) -> str | None:
    """Return why nodes refuse to relay its inputs, or None; `spent` is in their order."""
    for txin, txout in zip(transaction.inputs, spent, strict=True):
        if txout.script_pubkey.type in (ScriptType.UNKNOWN, ScriptType.WITNESS_UNKNOWN):
            return "bad-txns-nonstandard-inputs"
        if not _is_standard_witness(txin, txout.script_pubkey.type):
            return "bad-witness-nonstandard"
    return None


def is_final(transaction: Transaction, height: int, median_time: int) -> bool:
    """Whether the lock time allows it in a block of this height (BIP 113).

    `median_time` is that of the block before, in Unix seconds.
    """
    lock_time = transaction.lock_time
    now = height if lock_time < LOCK_TIME_THRESHOLD else median_time
    return lock_time < now or all(txin.sequence == _FINAL for txin in transaction.inputs)


def relative_lock(transaction: Transaction, index: int) -> tuple[int, bool] | None:
    """Return an input's relative lock: in units of 512 s if the flag is True, else in blocks.

    Return None if the input has no relative lock (BIP 68).
    """
    sequence = transaction.inputs[index].sequence
    if transaction.version < 2 or sequence & _SEQUENCE_DISABLED:
        return None
    return sequence & _SEQUENCE_MASK, bool(sequence & _SEQUENCE_IS_TIME)


def _of_script_sig(txin: TxIn) -> str | None:
    if len(txin.script_sig) > _MAX_SCRIPT_SIG:
        return "scriptsig-size"
    return None if is_push_only(txin.script_sig) else "scriptsig-not-pushonly"


def _of_output(txout: TxOut) -> str | None:
    if not _is_standard(txout.script_pubkey):
        return "scriptpubkey"
    return "dust" if txout.value < txout.script_pubkey.dust_limit else None


def _is_standard(script: Script) -> bool:
    match script.type:
        case ScriptType.UNKNOWN:
            return False
        case ScriptType.MULTISIG:
            keys = script.multisig
            return keys is not None and len(keys[1]) <= _MAX_MULTISIG_KEYS
        case _:
            return True


def _is_standard_witness(txin: TxIn, kind: ScriptType) -> bool:
    """Whether nodes relay the witness, by size and kind of its items (IsWitnessStandard)."""
    *items, last = txin.witness or (b"",)
    match kind:
        case ScriptType.P2A:
            return not txin.witness
        case ScriptType.P2WSH:
            small = all(len(item) <= _MAX_STACK_ITEM for item in items)
            return small and len(items) <= _MAX_STACK_ITEMS and len(last) <= _MAX_WITNESS_SCRIPT
        case ScriptType.P2TR:
            return not items or last[:1] != _ANNEX
        case _:
            return True
