"""Weights of signed inputs and outputs (BIP 141, Transaction size calculations).

Signatures count with their largest size: 72 bytes for ECDSA (DER with a low S, and the sighash
byte), 64 for Schnorr, one more for a sighash type other than DEFAULT. Keys are compressed.
"""

from functools import cache

from dovetail.bitcoin.encoding import compact_size
from dovetail.bitcoin.psbt.maps import PsbtInput
from dovetail.bitcoin.psbt.script_layers import SpendPath
from dovetail.bitcoin.script import Script, ScriptType
from dovetail.bitcoin.transaction import TxOut
from dovetail.bitcoin.units import Weight
from dovetail.errors import InvalidPsbt

_ECDSA_SIZE, _SCHNORR_SIZE, _KEY_SIZE = 72, 64, 33
_OUTPOINT_AND_SEQUENCE = 40
_NESTED_P2WPKH_SCRIPT_SIG = 23


def input_weight(psbt_input: PsbtInput, utxo: TxOut) -> Weight:
    """The weight of the signed input: outpoint, script_sig, sequence and witness.

    A finalized input counts as it is. The weight of any other is predicted from its script: P2PKH,
    P2WPKH, P2TR by its key path, multisig, and these inside P2SH, P2WSH and P2SH-P2WSH. The one
    weight unit of an empty witness beside other inputs' witnesses is not counted. Raises
    `InvalidPsbt` for other scripts, and where a redeem or witness script is missing or does not
    match.
    """
    if psbt_input.is_finalized:
        return _weigh(psbt_input.final_script_sig or b"", psbt_input.final_script_witness or ())
    path = SpendPath.of(psbt_input, utxo.script_pubkey)
    return _weigh(*path.assemble(*_placeholders(psbt_input, path.script)))


@cache
def predicted_input_weight(script_type: ScriptType) -> Weight:
    """The weight of a signed input that spends one key's output of this type.

    P2SH is taken as P2SH-P2WPKH. Raises `InvalidPsbt` for types that need more than one signature
    and one key.
    """
    ecdsa = (bytes(_ECDSA_SIZE), bytes(_KEY_SIZE))
    match script_type:
        case ScriptType.P2PKH:
            return _weigh(bytes(1 + _ECDSA_SIZE + 1 + _KEY_SIZE), ())
        case ScriptType.P2SH:
            return _weigh(bytes(_NESTED_P2WPKH_SCRIPT_SIG), ecdsa)
        case ScriptType.P2WPKH:
            return _weigh(b"", ecdsa)
        case ScriptType.P2TR:
            return _weigh(b"", (bytes(_SCHNORR_SIZE),))
        case _:
            raise InvalidPsbt(
                "The weight of such an input depends on its scripts; give the input itself."
            )


def output_weight(txout: TxOut) -> Weight:
    """The weight of an output: four times its serialized size."""
    return Weight(4 * len(txout.serialize()))


def _placeholders(psbt_input: PsbtInput, script: Script) -> tuple[bytes, ...]:
    if script.type is ScriptType.P2TR:
        return (bytes(_SCHNORR_SIZE + bool(psbt_input.sighash_type)),)
    if script.multisig is not None:
        return (b"", *(bytes(_ECDSA_SIZE),) * script.multisig[0])
    return bytes(_ECDSA_SIZE), bytes(_KEY_SIZE)


def _weigh(script_sig: bytes, witness: tuple[bytes, ...]) -> Weight:
    weight = 4 * (_OUTPOINT_AND_SEQUENCE + _prefixed_size(script_sig))
    if witness:
        weight += len(compact_size(len(witness))) + sum(map(_prefixed_size, witness))
    return Weight(weight)


def _prefixed_size(data: bytes) -> int:
    size = len(data)
    return size + (1 if size < 0xFD else len(compact_size(size)))
