"""The parts of a transaction that a final input's signatures commit to (BIP 143, BIP 341)."""

from collections.abc import Iterator

from dovetail.bitcoin.psbt import PsbtInput
from dovetail.bitcoin.script import ScriptType
from dovetail.bitcoin.transaction import TxOut

_DEFAULT, _ALL = 0x00, 0x01
_DER_SEQUENCE, _DER_INTEGER = 0x30, 0x02
_OP_PUSHDATA1, _OP_PUSHDATA4 = 0x4C, 0x4E
_ANNEX = 0x50


def asks_for_whole_signatures(psbt_input: PsbtInput) -> bool:
    """Whether the input asks for no sighash type but ALL or DEFAULT."""
    return psbt_input.sighash_type in (None, _DEFAULT, _ALL)


def commits_to_everything(psbt_input: PsbtInput, utxo: TxOut) -> bool:
    """Whether every signature in the final scripts covers all inputs and all outputs.

    Signatures are recognized by their form, and are not verified.
    """
    witness = psbt_input.final_script_witness or ()
    if utxo.script_pubkey.type is ScriptType.P2TR:
        return all(map(_is_whole_schnorr, _schnorr_candidates(witness)))
    items = (*pushed(psbt_input.final_script_sig or b""), *witness)
    return all(item[-1] == _ALL for item in items if _is_ecdsa(item))


def _schnorr_candidates(witness: tuple[bytes, ...]) -> tuple[bytes, ...]:
    if len(witness) > 1 and witness[-1][:1] == bytes([_ANNEX]):
        witness = witness[:-1]
    # A script path ends in the script and its control block; a key path is one signature.
    return witness if len(witness) == 1 else witness[:-2]


def _is_whole_schnorr(item: bytes) -> bool:
    return len(item) != 65 or item[-1] == _ALL


def _is_ecdsa(item: bytes) -> bool:
    return (
        9 <= len(item) <= 73
        and item[0] == _DER_SEQUENCE
        and item[1] == len(item) - 3
        and item[2] == _DER_INTEGER
    )


def pushed(script: bytes) -> Iterator[bytes]:
    """Yield the data that a script pushes."""
    offset = 0
    while offset < len(script):
        size = script[offset]
        offset += 1
        if size > _OP_PUSHDATA4:
            continue
        if size >= _OP_PUSHDATA1:
            width = 1 << (size - _OP_PUSHDATA1)
            size = int.from_bytes(script[offset : offset + width], "little")
            offset += width
        yield script[offset : offset + size]
        offset += size
