"""Verifies signatures of inputs without a node (BIP 16, BIP 141, BIP 143, BIP 341).

It supports P2PK, P2PKH, P2WPKH, P2TR by its key path, and multisig; P2PK, P2PKH and multisig also
inside P2SH, P2WSH and P2SH-P2WSH; and P2WPKH inside P2SH. The rules are those of relay policy,
which is stricter than consensus.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from dovetail.bitcoin.hashes import hash160, sha256
from dovetail.bitcoin.psbt.script_layers import push
from dovetail.bitcoin.script import Script, ScriptType
from dovetail.bitcoin.sighash import ANYONECANPAY, DEFAULT, DEFINED, SINGLE, SignatureHashes
from dovetail.bitcoin.transaction import Transaction, TxOut
from dovetail.crypto.secp256k1 import (
    COMPRESSED_BYTES,
    UNCOMPRESSED_BYTES,
    verify_ecdsa,
    verify_schnorr,
)

_SCHNORR_BYTES = 64
_OP_PUSHDATA1, _OP_PUSHDATA2, _OP_1NEGATE, _OP_1, _OP_16 = 0x4C, 0x4D, 0x4F, 0x51, 0x60
_NUMBERS = {bytes((value,)) for value in (*range(1, 17), 0x81)}
_SIGHASH_BYTES = {bytes((kind,)) for kind in DEFINED}
_MAX_REDEEM_SCRIPT, _MAX_WITNESS_SCRIPT = 520, 3600


class Verdict(Enum):
    """The result of verifying an input."""

    VALID = auto()
    """The signatures are valid for the given amount and script."""
    INVALID = auto()
    """No node would relay it: a signature or a script is wrong."""
    UNVERIFIABLE = auto()
    """Only a node can verify this kind of script."""


def verify(transaction: Transaction, spent: Sequence[TxOut]) -> Verdict:
    """Return the worst verdict of all inputs; `spent` are the outputs they spend, in order.

    Raises `UsageError` unless there is one for each input.
    """
    hashes = SignatureHashes(transaction, spent)
    verdict = Verdict.VALID
    for index, txin in enumerate(transaction.inputs):
        found = verify_input(hashes, index, txin.script_sig, txin.witness)
        if found is Verdict.INVALID:
            return found
        if found is Verdict.UNVERIFIABLE:
            verdict = found
    return verdict


def verify_input(
    hashes: SignatureHashes, index: int, script_sig: bytes, witness: tuple[bytes, ...]
) -> Verdict:
    """Verify one input's final scripts; other inputs' scripts do not matter."""
    script = hashes.spent[index].script_pubkey
    if script.type is ScriptType.P2SH:
        return _verify_p2sh(hashes, index, script_sig, witness)
    if script.is_witness_program:
        return Verdict.INVALID if script_sig else _verify_witness(hashes, index, script, witness)
    items = pushes(script_sig)
    if witness or items is None:
        return Verdict.INVALID
    return _verify_script(items, _Signed(hashes, index, script, segwit=False))


def pushes(script: bytes) -> tuple[bytes, ...] | None:
    """Return the items that a push-only script leaves on the stack; None if nodes do not relay it.

    Numbers and lengths must be in their shortest form (Bitcoin Core, MINIMALDATA).
    """
    items: list[bytes] = []
    offset = 0
    while offset < len(script):
        start, size = offset, script[offset]
        offset += 1
        if size == _OP_1NEGATE or _OP_1 <= size <= _OP_16:
            items.append(b"\x81" if size == _OP_1NEGATE else bytes((size - _OP_1 + 1,)))
            continue
        if size > _OP_PUSHDATA2:
            return None
        if size >= _OP_PUSHDATA1:
            width = size - _OP_PUSHDATA1 + 1
            size = int.from_bytes(script[offset : offset + width], "little")
            offset += width
        item = script[offset : offset + size]
        offset += size
        if script[start:offset] != push(item) or offset > len(script) or item in _NUMBERS:
            return None
        items.append(item)
    return tuple(items)


def _verify_p2sh(
    hashes: SignatureHashes, index: int, script_sig: bytes, witness: tuple[bytes, ...]
) -> Verdict:
    items = pushes(script_sig)
    if not items or len(items[-1]) > _MAX_REDEEM_SCRIPT:
        return Verdict.INVALID
    redeem_script = Script(items[-1])
    if hash160(redeem_script) != hashes.spent[index].script_pubkey[2:22]:
        return Verdict.INVALID
    if redeem_script.is_witness_program:
        if len(items) > 1:
            return Verdict.INVALID
        if redeem_script.type is ScriptType.P2TR:  # BIP 341: no Taproot inside P2SH
            return Verdict.UNVERIFIABLE
        return _verify_witness(hashes, index, redeem_script, witness)
    if witness:
        return Verdict.INVALID
    return _verify_script(items[:-1], _Signed(hashes, index, redeem_script, segwit=False))


def _verify_witness(
    hashes: SignatureHashes, index: int, program: Script, witness: tuple[bytes, ...]
) -> Verdict:
    match program.type:
        case ScriptType.P2WPKH:
            code = Script(b"\x76\xa9" + program[1:] + b"\x88\xac")
            return _verify_script(witness, _Signed(hashes, index, code, segwit=True))
        case ScriptType.P2WSH:
            script = Script(witness[-1] if witness else b"")
            if sha256(script) != program[2:] or len(script) > _MAX_WITNESS_SCRIPT:
                return Verdict.INVALID
            return _verify_script(witness[:-1], _Signed(hashes, index, script, segwit=True))
        case ScriptType.P2TR if len(witness) < 2:
            return _verify_key_path(hashes, index, program, b"".join(witness))
        case _:
            return Verdict.UNVERIFIABLE


def _verify_key_path(
    hashes: SignatureHashes, index: int, program: Script, signature: bytes
) -> Verdict:
    kind = DEFAULT
    if len(signature) > _SCHNORR_BYTES:
        kind = signature[-1]
        if kind not in DEFINED:
            return Verdict.INVALID
    if kind & ~ANYONECANPAY == SINGLE and index >= len(hashes.transaction.outputs):
        return Verdict.INVALID
    bare = signature[:-1] if kind else signature
    valid = verify_schnorr(program[2:], hashes.taproot(index, kind), bare)
    return Verdict.VALID if valid else Verdict.INVALID


@dataclass(frozen=True, slots=True)
class _Signed:
    """The data that one input's ECDSA signatures sign."""

    hashes: SignatureHashes
    index: int
    code: Script
    segwit: bool

    def by(self, signature: bytes, public_key: bytes) -> bool:
        """Whether the signature, with its sighash byte, is valid for the key."""
        if signature[-1:] not in _SIGHASH_BYTES or not self.allows(public_key):
            return False
        digest_of = self.hashes.witness_v0 if self.segwit else self.hashes.legacy
        digest = digest_of(self.index, self.code, signature[-1])
        return verify_ecdsa(public_key, digest, signature[:-1])

    def allows(self, public_key: bytes) -> bool:
        """Whether a key of this form may sign: a witness allows only compressed keys (BIP 143)."""
        if len(public_key) == COMPRESSED_BYTES:
            return public_key[0] in (2, 3)
        return not self.segwit and len(public_key) == UNCOMPRESSED_BYTES and public_key[0] == 4


def _verify_script(items: tuple[bytes, ...], signed: _Signed) -> Verdict:
    """Whether the items satisfy the innermost script."""
    script = signed.code
    match script.type:
        case ScriptType.P2PK:
            valid = len(items) == 1 and signed.by(items[0], script[1:-1])
        case ScriptType.P2PKH:
            valid = len(items) == 2 and hash160(items[1]) == script[3:23] and signed.by(*items)
        case ScriptType.MULTISIG:
            return _verify_multisig(items, signed)
        case _:
            return Verdict.UNVERIFIABLE
    return Verdict.VALID if valid else Verdict.INVALID


def _verify_multisig(items: tuple[bytes, ...], signed: _Signed) -> Verdict:
    """Whether the required number of signatures is present, in the order of the keys."""
    required, keys = signed.code.multisig or (0, ())
    if not all(map(signed.allows, keys)):
        return Verdict.UNVERIFIABLE
    if len(items) != 1 + required or items[0]:  # BIP 147: the extra item is empty
        return Verdict.INVALID
    waiting = iter(keys)
    valid = all(any(signed.by(signature, key) for key in waiting) for signature in items[1:])
    return Verdict.VALID if valid else Verdict.INVALID
