"""Rules for wallets that sign a PSBT (BIP 174, Signer and Finalizer)."""

from dovetail.bitcoin import Psbt, PsbtInput, Script, Transaction, TxOut
from dovetail.bitcoin.psbt import InputField
from dovetail.errors import InvalidPsbt, WalletError
from dovetail.protocol.output_proofs import signature_will_prove

_WHOLE_SIGHASHES = (None, 0, 1)  # none, DEFAULT, ALL
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
            "The PSBT asks for a signature that does not cover the whole transaction; use "
            "sighash ALL or DEFAULT."
        )


def claimed_script(psbt_input: PsbtInput, vout: int) -> Script | None:
    """Return the script that an input claims to spend, or None."""
    if psbt_input.non_witness_utxo is not None:
        return psbt_input.non_witness_utxo.outputs[vout].script_pubkey
    return None if psbt_input.witness_utxo is None else psbt_input.witness_utxo.script_pubkey


def with_what_proves(
    known: PsbtInput, utxo: TxOut, previous: Transaction, key: bytes | None
) -> PsbtInput:
    """Return a coin's map with its output, or with the whole transaction if senders need that.

    `key` is the public key of a P2WPKH coin, or None if unknown. Transactions take space in logs
    and messages, so only coins whose amount no signature will prove include theirs.
    """
    bare = known.cleared_of(InputField.WITNESS_UTXO, InputField.NON_WITNESS_UTXO)
    if signature_will_prove(known, utxo, key):
        return bare.with_witness_utxo(utxo)
    return bare.with_non_witness_utxo(previous)


def their_output(psbt: Psbt, index: int) -> TxOut:
    """Return the output that another party's input spends, for a Taproot signature (BIP 341).

    Raises `WalletError` if the PSBT does not contain it.
    """
    try:
        return psbt.utxo(index)
    except InvalidPsbt as error:
        raise WalletError(
            "The PSBT lacks the UTXO of an input, which a Taproot signature needs; ask for a "
            "complete one."
        ) from error


def with_signature(psbt: Psbt, index: int, final: PsbtInput) -> Psbt:
    """Return the PSBT with one input's final scripts instead of its signatures and key paths."""
    bare = psbt.inputs[index].cleared_of(*_SIGNATURES).without_signing_data()
    return psbt.with_input(
        index, bare.with_final(final.final_script_sig or b"", final.final_script_witness or ())
    )


UNKNOWN_COIN = "The PSBT spends a coin of this wallet that is not known yet; sync the wallet first."
NOTHING_OURS = "None of the PSBT's inputs is this wallet's; sync it or use another."
