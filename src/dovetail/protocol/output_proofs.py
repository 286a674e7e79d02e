"""Final inputs whose signatures prove the output that they spend (BIP 143, BIP 341).

A signature in a witness commits to the amount, but only for one interpretation of the witness. The
real output may interpret the same witness differently: a public key of 33 bytes may also be a
script. If another output could be spent so, the signature does not prove the amount.
"""

from dovetail.bitcoin.psbt import PsbtInput
from dovetail.bitcoin.script import Script, ScriptType
from dovetail.bitcoin.transaction import TxOut
from dovetail.protocol.witness_scripts import may_succeed


def proves_output(psbt_input: PsbtInput, utxo: TxOut) -> bool:
    """Whether valid signatures in these final scripts prove the output with its amount.

    They do if no other kind of output can be spent by the same witness: P2TR by its key path,
    P2WPKH and multisig in P2WSH, and the latter two inside P2SH. Verify the signatures themselves
    by `verify_input`.
    """
    witness = psbt_input.final_script_witness or ()
    match utxo.script_pubkey.type:
        case ScriptType.P2TR:
            return len(witness) == 1
        case ScriptType.P2WPKH:
            return bool(witness) and not may_succeed(witness[-1])
        case ScriptType.P2WSH:
            return bool(witness) and _is_verifiable(Script(witness[-1]))
        case ScriptType.P2SH:  # the script_sig contains the program
            nested = Script((psbt_input.final_script_sig or b"")[1:])
            is_key = nested.type is ScriptType.P2WPKH
            return bool(witness) and (is_key or _is_verifiable(Script(witness[-1])))
        case _:
            return False


def signature_will_prove(psbt_input: PsbtInput, utxo: TxOut, key: bytes | None) -> bool:
    """Whether a future honest signature will prove the output; `key` is a P2WPKH coin's key.

    For any other coin a wallet includes the previous transaction: without it a sender cannot know
    the amount, and refuses the payjoin.
    """
    witness_script = Script(psbt_input.witness_script or b"")
    match utxo.script_pubkey.type:
        case ScriptType.P2TR:
            return True
        case ScriptType.P2WPKH:
            return key is not None and not may_succeed(key)
        case ScriptType.P2WSH:
            return _is_verifiable(witness_script)
        case ScriptType.P2SH:
            nested = Script(psbt_input.redeem_script or b"").type
            is_script = nested is ScriptType.P2WSH and _is_verifiable(witness_script)
            return nested is ScriptType.P2WPKH or is_script
        case _:
            return False


def _is_verifiable(script: Script) -> bool:
    return script.type in (ScriptType.P2PK, ScriptType.P2PKH, ScriptType.MULTISIG)
