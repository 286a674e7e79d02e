"""Classifies the transaction that spent the contested outpoints, and rebuilds a payjoin."""

from dataclasses import dataclass, replace
from enum import Enum, auto

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.script import Script
from dovetail.bitcoin.transaction import Transaction
from dovetail.bitcoin.units import Sats
from dovetail.errors import UsageError

InputSignature = tuple[bytes, tuple[bytes, ...]]
"""The script_sig and the witness of one input."""


class Settlement(Enum):
    """The meaning of a contested outpoint's spend for the session."""

    PAYJOIN = auto()
    FALLBACK = auto()
    PAYMENT = auto()
    """Another transaction that pays the invoice in full."""
    UNRECOGNIZED = auto()


@dataclass(frozen=True, slots=True, repr=False)
class Due:
    """An invoice's amount and script."""

    payee: Script
    amount: Sats

    def paid_by(self, transaction: Transaction) -> bool:
        """Whether `transaction` pays it in full, in one or more outputs."""
        return paid_to(transaction, self.payee) >= self.amount


def paid_to(transaction: Transaction, script: Script) -> Sats:
    """Return the total that `transaction` pays to `script`."""
    return Sats.sum(
        output.value for output in transaction.outputs if output.script_pubkey == script
    )


def classify(
    spend: Transaction,
    *,
    payjoin: Transaction | None,
    fallback: Transaction | None,
    due: Due | None = None,
) -> Settlement:
    """Classify a spend of a contested outpoint, regardless of its signatures.

    A transaction that is neither payjoin nor fallback is classified by its effect: a wallet that
    raises the fee makes another transaction with the same payment (M4). Without `due` the effect
    is not checked.

    The comparison ignores script_sigs and witnesses, because signatures of legacy and P2SH inputs
    change the txid, and anyone can malleate a legacy fallback transaction. Unsigned transactions
    are accepted too.
    """
    skeleton = spend.without_signatures()
    if payjoin is not None and payjoin.without_signatures() == skeleton:
        return Settlement.PAYJOIN
    if fallback is not None and fallback.without_signatures() == skeleton:
        return Settlement.FALLBACK
    if due is not None and due.paid_by(spend):
        return Settlement.PAYMENT
    return Settlement.UNRECOGNIZED


def sender_signatures(payjoin: Transaction, proposal: Psbt) -> tuple[InputSignature, ...]:
    """Return the script_sigs and witnesses of the inputs that the sender signs.

    `rebuild` needs only them and the proposal. Raises `UsageError` when the transaction is not a
    signed form of the proposal.
    """
    if payjoin.without_signatures() != proposal.unsigned_transaction:
        raise UsageError("The transaction is not this session's payjoin; look it up again.")
    pairs = zip(payjoin.inputs, proposal.inputs, strict=True)
    return tuple(
        (txin.script_sig, txin.witness) for txin, psbt_input in pairs if not psbt_input.is_finalized
    )


def rebuild(proposal: Psbt, signatures: tuple[InputSignature, ...]) -> Transaction:
    """Return the signed payjoin, from the proposal and the sender's script_sigs and witnesses.

    Raises `UsageError` when there is not one for each unsigned input of the proposal, and
    `InvalidPsbt` when one of them is empty.
    """
    open_inputs = [index for index, each in enumerate(proposal.inputs) if not each.is_finalized]
    if len(open_inputs) != len(signatures):
        raise UsageError("The signatures do not fit the proposal; ask the chain source for them.")
    inputs = list(proposal.inputs)
    for index, (script_sig, witness) in zip(open_inputs, signatures, strict=True):
        inputs[index] = inputs[index].with_final(script_sig, witness)
    return replace(proposal, inputs=tuple(inputs)).extract()
