"""The payjoins that are negotiated for an invoice, and the pin of each final transaction.

A pin says what the payjoin must be, before the sender can have it. It holds no transaction: the
txid of the transaction without its signatures commits to all else (BIP 78 lets the sender add
nothing but signatures). Legacy signatures change the txid on the chain, and not this one.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Self

from dovetail.bitcoin import OutPoint, Psbt, Sats, Script, Transaction, Txid, TxOut, UnixTime
from dovetail.errors import UsageError
from dovetail.protocol.settlement import paid_to


def skeleton_of(transaction: Transaction) -> Txid:
    """The txid of a transaction without its signatures: the same before and after it is signed."""
    return transaction.without_signatures().txid


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Pin:
    """The expected payjoin: its skeleton, the receiver's inputs and outputs, and the gain.

    Make one with `Negotiation.pinned`. Raises `UsageError` unless the gain is the outputs less the
    inputs, and above zero.
    """

    skeleton: Txid
    inputs: tuple[tuple[OutPoint, Sats], ...]
    """The coins that the receiver contributes, and their values."""
    outputs: tuple[TxOut, ...]
    """The outputs that pay the receiver: to the invoice's script, or to one in its place."""
    gain: Sats
    """The satoshis that the receiver has more once it confirms."""
    fees: Sats
    """The part of the customer's payment that the receiver spends on the payjoin's fee."""

    def __post_init__(self) -> None:
        """Check the sum: credit is given by it."""
        brought = sum(int(value) for _, value in self.inputs)
        if self.gain <= 0 or sum(int(output.value) for output in self.outputs) - brought != (
            self.gain
        ):
            raise UsageError(
                "This proposal does not pay the receiver as its pin says; make the proposal again."
            )

    def __repr__(self) -> str:
        return f"<Pin of {len(self.inputs)} inputs and {len(self.outputs)} outputs>"

    def is_met_by(self, transaction: Transaction) -> bool:
        """Whether this is the pinned transaction, whatever its signatures are."""
        return skeleton_of(transaction) == self.skeleton


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Negotiation:
    """One sender's Original, as a receiver session holds it for an invoice.

    Record it when the Original is accepted. Record the pin before the proposal is posted: a
    payjoin that no pin expects is not credited as one.
    """

    fallback: Txid
    """The skeleton of the fallback transaction."""
    coins: frozenset[OutPoint]
    """The contested outpoints, which payjoin and fallback both spend."""
    value: Sats
    """The satoshis that the fallback pays to the invoice's script."""
    received_at: UnixTime
    """When the customer handed the payment over."""
    held: bool = True
    """Whether the session can still broadcast the fallback; False once it has ended without it."""
    pin: Pin | None = None

    def __repr__(self) -> str:
        return f"<Negotiation about {len(self.coins)} coins>"

    @classmethod
    def of(cls, fallback: Transaction, *, script: Script, received_at: UnixTime) -> Self:
        """The negotiation of an Original whose `fallback` transaction pays the invoice's script."""
        return cls(
            fallback=skeleton_of(fallback),
            coins=frozenset(fallback.contested()),
            value=paid_to(fallback, script),
            received_at=received_at,
        )

    def pinned(self, proposal: Psbt, *, scripts: Collection[Script]) -> Self:
        """Pin the payjoin of a finalized Proposal PSBT; save it, and only then post the proposal.

        `scripts` are the invoice's own and those that take its place (output substitution). The
        inputs that the Original lacks are the receiver's; each must hold its UTXO, else
        `InvalidPsbt` is raised. Raises `UsageError` where the proposal leaves out a coin of the
        Original, leaves the receiver no richer, or differs from the one that was pinned.
        """
        transaction = proposal.unsigned_transaction
        spent = transaction.contested()
        if not self.coins <= set(spent):
            raise UsageError(
                "The proposal lacks an input of the Original: both could confirm. Make it again."
            )
        inputs = tuple(
            (outpoint, proposal.utxo(index).value)
            for index, outpoint in enumerate(spent)
            if outpoint not in self.coins
        )
        outputs = tuple(each for each in transaction.outputs if each.script_pubkey in scripts)
        gain = sum(int(each.value) for each in outputs) - sum(int(value) for _, value in inputs)
        if gain <= 0:
            raise UsageError("The proposal leaves the receiver no richer: do not post it.")
        pin = Pin(
            skeleton=skeleton_of(transaction),
            inputs=inputs,
            outputs=outputs,
            gain=Sats(gain),
            fees=Sats(max(0, int(self.value) - gain)),
        )
        if self.pin not in (None, pin):
            raise UsageError("Another proposal was pinned before: post that one, or none.")
        return replace(self, pin=pin)

    def ended(self) -> Self:
        """The same once the session can no longer broadcast the fallback."""
        return replace(self, held=False)
