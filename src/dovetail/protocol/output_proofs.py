"""Which final inputs prove, by valid signatures, the output they spend (BIP 143, BIP 341).

A signature in a witness commits to the amount. But it does so by one reading of the witness, and
the output that is really spent may read the same witness otherwise: a public key is 33 bytes that
may also be a script. An output that can be spent by such a script says nothing about its amount.
"""

from dovetail.bitcoin.psbt import PsbtInput
from dovetail.bitcoin.script import Script, ScriptType
from dovetail.bitcoin.transaction import TxOut
from dovetail.protocol.witness_scripts import may_succeed


def proves_output(psbt_input: PsbtInput, utxo: TxOut) -> bool:
    """Whether valid signatures in these final scripts prove the output, amount included.

    They do where they sign it and nothing else can be spent by the same witness: P2TR by its key
    path, P2WPKH and multisig in P2WSH, and the latter two inside P2SH. Whether the signatures are
    valid is for `verify_input` to say.
    """
    witness = psbt_input.final_script_witness or ()
    match utxo.script_pubkey.type:
        case ScriptType.P2TR:
            return len(witness) == 1
        case ScriptType.P2WPKH:
            return bool(witness) and not may_succeed(witness[-1])
        case ScriptType.P2WSH:
            return bool(witness) and _is_verifiable(Script(witness[-1]))
        case ScriptType.P2SH:  # the script_sig names the program, so that no other can be meant
            nested = Script((psbt_input.final_script_sig or b"")[1:])
            is_key = nested.type is ScriptType.P2WPKH
            return bool(witness) and (is_key or _is_verifiable(Script(witness[-1])))
        case _:
            return False


def signature_will_prove(psbt_input: PsbtInput, utxo: TxOut, key: bytes | None) -> bool:
    """Whether an honest signature to come will prove the output; `key` is a P2WPKH coin's own.

    A wallet tells the whole previous transaction of any other coin: without it a sender cannot
    know the amount, and refuses the payjoin.
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
