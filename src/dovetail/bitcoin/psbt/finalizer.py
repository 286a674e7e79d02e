"""The Input Finalizer: makes the final script_sig and witness of signatures (BIP 174)."""

from dovetail.bitcoin.hashes import hash160
from dovetail.bitcoin.psbt.maps import PsbtInput
from dovetail.bitcoin.psbt.script_layers import SpendPath
from dovetail.bitcoin.script import Script, ScriptType
from dovetail.errors import InvalidPsbt

_SCHNORR_SIZE = 64


def finalize_input(psbt_input: PsbtInput, script_pubkey: Script) -> PsbtInput:
    """The input with final scripts; else it keeps UTXOs, unknown and proprietary fields only.

    A finalized input is returned as it is. Raises `InvalidPsbt` where signatures are missing, have
    another sighash type than the input asks for, or the scripts do not fit the output spent.
    """
    if psbt_input.is_finalized:
        return psbt_input
    path = SpendPath.of(psbt_input, script_pubkey)
    script_sig, witness = path.assemble(*_stack(psbt_input, path.script))
    return psbt_input.without_signing_data().with_final(script_sig, witness)


def _stack(psbt_input: PsbtInput, script: Script) -> tuple[bytes, ...]:
    if script.type is ScriptType.P2TR:
        signature = psbt_input.tap_key_signature
        if signature is None:
            raise _missing_signatures()
        _check_sighash(psbt_input, 0 if len(signature) == _SCHNORR_SIZE else signature[-1])
        return (signature,)
    signatures = psbt_input.partial_signatures
    for signature in signatures.values():
        _check_sighash(psbt_input, signature[-1])
    if script.multisig is not None:
        required, keys = script.multisig
        found = [signatures[key] for key in keys if key in signatures][:required]
        if len(found) < required:
            raise _missing_signatures()
        return (b"", *found)  # CHECKMULTISIG takes one item too many (BIP 147: an empty one)
    key_hash = script[2:22] if script.type is ScriptType.P2WPKH else script[3:23]
    for public_key, signature in signatures.items():
        if hash160(public_key) == key_hash:
            return signature, public_key
    raise _missing_signatures()


def _check_sighash(psbt_input: PsbtInput, sighash_type: int) -> None:
    if psbt_input.sighash_type not in (None, sighash_type):
        raise InvalidPsbt(
            "A signature has another sighash type than its input asks for; sign the PSBT again."
        )


def _missing_signatures() -> InvalidPsbt:
    return InvalidPsbt("The PSBT lacks signatures; sign it with every wallet it spends from.")
