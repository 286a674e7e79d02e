"""The Original PSBT: the sender prepares it, and the receiver checks it.

BIP 78, Protocol and Receiver's original PSBT checklist.
"""

from collections.abc import Collection

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import Transaction
from dovetail.bitcoin.units import FeeRate, Weight
from dovetail.errors import InvalidPsbt, OriginalRejected, UsageError
from dovetail.protocol.disclosure import bare_psbt, for_counterparty
from dovetail.protocol.signature_scope import asks_for_whole_signatures, commits_to_everything

MAX_WEIGHT = Weight(400_000)
"""The heaviest transaction that nodes relay: 100,000 virtual bytes (Bitcoin Core)."""


def check_original(psbt: Psbt) -> Transaction:
    """Check a received Original PSBT and return its fallback transaction.

    Every input must be final, hold its UTXO and be signed with sighash ALL or DEFAULT. All must
    have the same sequence, because BIP 78 requires it of a proposal. The transaction must pay a
    fee and be light enough for nodes to relay. The caller must check that it can be broadcast, who
    owns its inputs, and if they were seen before. Raises `OriginalRejected` (BIP 78, Receiver's
    original PSBT checklist).
    """
    transaction = fallback_of(psbt)
    if transaction.weight > MAX_WEIGHT:
        raise OriginalRejected("The Original PSBT is too heavy for nodes to relay; reject it.")
    return transaction


def fallback_of(psbt: Psbt) -> Transaction:
    """Return the fallback transaction of an Original PSBT that was checked before, of any weight.

    Raises `OriginalRejected` as `check_original` does.
    """
    problem = _problem(psbt)
    if problem is not None:
        raise OriginalRejected(f"The Original PSBT {problem}; reject it.")
    return psbt.extract()


def prepare_original(signed: Psbt, *, payee: Script) -> Psbt:
    """Make the Original PSBT to send: final, and without data that the receiver does not need.

    `signed` has all signatures, final or not, and exactly one output to the payee. Witness inputs
    lose their previous transactions, which are the usual reason for a too large message. Raises
    `UsageError` when no proposal could follow, `InvalidPsbt` when signatures are missing (BIP 78,
    Protocol).
    """
    if not signed.is_finalized:
        signed = signed.finalize()
    problem = _problem(signed)
    if problem is None and len(receiver_outputs(signed.unsigned_transaction, (payee,))) != 1:
        problem = "does not pay the receiver exactly once"
    if problem is not None:
        raise UsageError(f"The Original PSBT {problem}; build and sign it anew.")
    pairs = zip(signed.inputs, signed.utxos(), strict=True)
    return bare_psbt(
        signed.unsigned_transaction,
        tuple(for_counterparty(psbt_input, utxo) for psbt_input, utxo in pairs),
    )


def fee_rate(psbt: Psbt) -> FeeRate:
    """Return the fee rate of a final PSBT, rounded down; raises `InvalidPsbt`."""
    return FeeRate.of(psbt.fee, psbt.extract().weight)


def receiver_outputs(transaction: Transaction, owned: Collection[Script]) -> tuple[int, ...]:
    """Return the indices of the outputs with one of these scripts, in ascending order."""
    return tuple(
        index for index, txout in enumerate(transaction.outputs) if txout.script_pubkey in owned
    )


def _problem(psbt: Psbt) -> str | None:
    """Return why a PSBT cannot be an Original PSBT, or None."""
    if not psbt.is_finalized:
        return "is not final in all of its inputs"
    try:
        utxos, fee = psbt.utxos(), psbt.fee
    except InvalidPsbt:
        return "does not tell what each input spends, or spends more than that"
    if not fee:
        return "pays no fee"
    if len({txin.sequence for txin in psbt.unsigned_transaction.inputs}) > 1:
        return "has inputs of different sequences"
    for psbt_input, utxo in zip(psbt.inputs, utxos, strict=True):
        # M4: with another sighash type, others could change the outputs of the fallback
        # transaction.
        if not (asks_for_whole_signatures(psbt_input) and commits_to_everything(psbt_input, utxo)):
            return "has a signature that does not cover all inputs and outputs"
    return None
