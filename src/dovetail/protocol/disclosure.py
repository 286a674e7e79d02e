"""What a PSBT discloses to the counterparty (BIP 78, Protocol)."""

from dovetail.bitcoin.psbt import InputField, Psbt, PsbtGlobal, PsbtInput, PsbtOutput
from dovetail.bitcoin.transaction import Transaction, TxOut
from dovetail.protocol.output_proofs import proves_output

_UTXO_FIELDS = (InputField.NON_WITNESS_UTXO, InputField.WITNESS_UTXO)
_FINAL_FIELDS = (InputField.FINAL_SCRIPTSIG, InputField.FINAL_SCRIPTWITNESS)
_SIGNATURE_FIELDS = (
    InputField.PARTIAL_SIG,
    InputField.TAP_KEY_SIG,
    InputField.TAP_SCRIPT_SIG,
)

EMPTY_INPUT = PsbtInput()
EMPTY_OUTPUT = PsbtOutput()


def bare_psbt(
    transaction: Transaction,
    inputs: tuple[PsbtInput, ...],
    outputs: tuple[PsbtOutput, ...] | None = None,
) -> Psbt:
    """Return a PSBT with only an unsigned transaction and these maps; outputs default to empty."""
    if outputs is None:
        outputs = (EMPTY_OUTPUT,) * len(transaction.outputs)
    return Psbt(PsbtGlobal.of(transaction), inputs, outputs)


def without_signatures(psbt_input: PsbtInput) -> PsbtInput:
    """Return the input without signatures and final scripts."""
    return psbt_input.cleared_of(*_FINAL_FIELDS, *_SIGNATURE_FIELDS)


def has_signatures(psbt_input: PsbtInput) -> bool:
    """Whether there are signatures that are not yet in final scripts."""
    return any(psbt_input.map.all(field) for field in _SIGNATURE_FIELDS)


def utxo_only(psbt_input: PsbtInput) -> PsbtInput:
    """Return the input with only its UTXO fields."""
    return psbt_input.only(*_UTXO_FIELDS)


def for_counterparty(psbt_input: PsbtInput, utxo: TxOut) -> PsbtInput:
    """Return a final input with its final scripts and UTXO, in as few bytes as possible.

    If a verified signature proves the amount, the output is enough. Any other input keeps the
    previous transaction, which proves it.
    """
    final = psbt_input.only(*_FINAL_FIELDS)
    previous = psbt_input.non_witness_utxo
    if previous is None or proves_output(psbt_input, utxo):
        return final.with_witness_utxo(utxo)
    return final.with_non_witness_utxo(previous)
