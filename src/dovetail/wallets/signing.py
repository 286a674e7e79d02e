"""What every wallet that signs a PSBT keeps to (BIP 174, Signer and Finalizer)."""

from dovetail.bitcoin import Psbt, PsbtInput, Script, Transaction, TxOut
from dovetail.bitcoin.psbt import InputField
from dovetail.errors import InvalidPsbt, WalletError
from dovetail.protocol.output_proofs import signature_will_prove

_WHOLE_SIGHASHES = (None, 0, 1)  # nothing asked for, DEFAULT, ALL
_SIGNATURES = (
    InputField.PARTIAL_SIG,
    InputField.TAP_KEY_SIG,
    InputField.FINAL_SCRIPTSIG,
    InputField.FINAL_SCRIPTWITNESS,
)


def check_sighash(psbt_input: PsbtInput) -> None:
    """Refuse to sign less than the whole transaction. Raises `WalletError`."""
    if psbt_input.sighash_type not in _WHOLE_SIGHASHES:
        raise WalletError(
            "The PSBT asks for a signature that others could build upon; only sighash ALL and "
            "DEFAULT are signed."
        )


def claimed_script(psbt_input: PsbtInput, vout: int) -> Script | None:
    """The script that an input spends by its own account; None where it tells nothing."""
    if psbt_input.non_witness_utxo is not None:
        return psbt_input.non_witness_utxo.outputs[vout].script_pubkey
    return None if psbt_input.witness_utxo is None else psbt_input.witness_utxo.script_pubkey


def with_what_proves(
    known: PsbtInput, utxo: TxOut, previous: Transaction, key: bytes | None
) -> PsbtInput:
    """A coin's map with the output it spends, or the whole transaction where senders need that.

    `key` is the public key of a P2WPKH coin, None where it cannot be told. A transaction takes
    room in logs and messages, so only the coins have one that no signature will prove.
    """
    bare = known.cleared_of(InputField.WITNESS_UTXO, InputField.NON_WITNESS_UTXO)
    if signature_will_prove(known, utxo, key):
        return bare.with_witness_utxo(utxo)
    return bare.with_non_witness_utxo(previous)


def their_output(psbt: Psbt, index: int) -> TxOut:
    """What somebody else's input spends: a Taproot signature commits to it (BIP 341).

    Raises `WalletError` where the PSBT does not tell.
    """
    try:
        return psbt.utxo(index)
    except InvalidPsbt as error:
        raise WalletError(
            "The PSBT does not tell what each input spends, which a Taproot signature needs; ask "
            "for one that does."
        ) from error


def with_signature(psbt: Psbt, index: int, final: PsbtInput) -> Psbt:
    """The PSBT with the final scripts of one input in place of its signatures and key paths."""
    bare = psbt.inputs[index].cleared_of(*_SIGNATURES).without_signing_data()
    return psbt.with_input(
        index, bare.with_final(final.final_script_sig or b"", final.final_script_witness or ())
    )


UNKNOWN_COIN = "The PSBT spends a coin of this wallet that it does not know of; sync it first."
NOTHING_OURS = "None of the PSBT's inputs is this wallet's; sync it or use another."
