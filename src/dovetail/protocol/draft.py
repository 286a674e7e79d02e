"""A proposal under construction, as plain values that a log can store (BIP 78, Protocol)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.transaction import Transaction, TxIn, TxOut
from dovetail.bitcoin.units import Sats
from dovetail.errors import InvalidAmount, UsageError
from dovetail.protocol.coin import PlacedCoin
from dovetail.protocol.disclosure import bare_psbt, utxo_only
from dovetail.protocol.params import SenderParams

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A proposal under construction, with all decisions about it.

    `receiver_outputs` are indices into the Original's outputs. `drain` is the index in `outputs`
    of the receiver's output that gets the value of its coins and pays its part of the fees.
    `inputs` are sorted by position. Every decision is a plain value that a log can store and a
    replay can restore. Raises `UsageError` for impossible indices and positions.
    """

    original: Psbt
    params: SenderParams
    receiver_outputs: tuple[int, ...]
    outputs: tuple[TxOut, ...]
    drain: int
    inputs: tuple[PlacedCoin, ...] = ()

    def __post_init__(self) -> None:
        """Check the indices, also for a replay."""
        originals = len(self.original.unsigned_transaction.outputs)
        positions = [placed.position for placed in self.inputs]
        total = len(self.original.inputs) + len(positions)
        if not (
            0 <= self.drain < len(self.outputs)
            and self.receiver_outputs
            and all(0 <= index < originals for index in self.receiver_outputs)
            and sorted({position for position in positions if 0 <= position < total}) == positions
        ):
            raise UsageError("The proposal's indices do not fit the Original; start it again.")

    @property
    def fee(self) -> Sats:
        """The transaction's fee; raises `InvalidPsbt` or `InvalidAmount` if it has none."""
        spent = Sats.sum(utxo.value for utxo in self.original.utxos())
        added = Sats.sum(placed.coin.utxo.value for placed in self.inputs)
        return spent + added - Sats.sum(txout.value for txout in self.outputs)

    def with_inputs(self, inputs: tuple[PlacedCoin, ...]) -> "Draft":
        """Return the draft with these coins; the drain gets their value minus the deficit.

        Raises `UsageError` when they do not pay for the receiver's outputs, or when the draft
        already has coins.
        """
        if self.inputs:
            raise UsageError("The proposal has its coins already; start again to change them.")
        ours = {placed.coin.outpoint for placed in inputs}
        senders = set(self.original.unsigned_transaction.contested())
        if len(ours) != len(inputs) or ours & senders:
            raise UsageError("A coin is in the transaction already; choose another one.")
        placed = replace(self, inputs=inputs)
        try:
            grown = self.outputs[self.drain].value + (placed.fee - self.original.fee)
        except InvalidAmount as error:
            raise UsageError(
                "The coins are worth less than the receiver's outputs need; choose larger ones."
            ) from error
        return placed.with_value(self.drain, grown)

    def with_value(self, index: int, value: Sats) -> "Draft":
        """The draft with another value in one output."""
        changed = TxOut(value, self.outputs[index].script_pubkey)
        return replace(self, outputs=(*self.outputs[:index], changed, *self.outputs[index + 1 :]))

    def transaction(self) -> Transaction:
        """The unsigned transaction; our inputs copy the sequence of the sender's (BIP 78)."""
        unsigned = self.original.unsigned_transaction
        sequence = unsigned.inputs[0].sequence
        inputs = self.merge(
            unsigned.inputs,
            (TxIn(placed.coin.outpoint, sequence=sequence) for placed in self.inputs),
        )
        return Transaction(unsigned.version, inputs, self.outputs, unsigned.lock_time)

    def psbt(self) -> Psbt:
        """The PSBT for the receiver's wallet to sign.

        The sender's inputs hold only their UTXOs, because their signatures are no longer valid.
        Ours are as the wallet gave them.
        """
        senders = map(utxo_only, self.original.inputs)
        ours = (placed.coin.signing_input for placed in self.inputs)
        return bare_psbt(self.transaction(), self.merge(senders, ours))

    def sender_positions(self) -> tuple[int, ...]:
        """Return the present positions of the sender's outputs, in the Original's order.

        Raises `UsageError` when one is missing or changed, as after applying fees.
        """
        ours = frozenset(self.receiver_outputs)
        originals = enumerate(self.original.unsigned_transaction.outputs)
        expected = [txout for index, txout in originals if index not in ours]
        found: list[int] = []
        for position, txout in enumerate(self.outputs):
            if len(found) < len(expected) and txout == expected[len(found)]:
                found.append(position)
        if len(found) != len(expected):
            raise UsageError("The sender's outputs were changed before; start the proposal again.")
        return tuple(found)

    def merge(self, senders: Iterable[T], ours: Iterable[T]) -> tuple[T, ...]:
        """Merge values of our inputs at their positions with the sender's between them."""
        merged = list(senders)
        for placed, item in zip(self.inputs, ours, strict=True):
            merged.insert(placed.position, item)
        return tuple(merged)


def begin_draft(original: Psbt, params: SenderParams, receiver_outputs: Sequence[int]) -> Draft:
    """Start a proposal from a checked Original; the first receiver output is its drain.

    `params.output_substitution` must already be false where the receiver's URI forbids
    substitution or the message came in plaintext through a directory (BIP 77).
    Raises `UsageError` when the indices do not fit.
    """
    if not receiver_outputs:
        raise UsageError("The Original pays no output of ours; reject it instead.")
    return Draft(
        original=original,
        params=params,
        receiver_outputs=tuple(receiver_outputs),
        outputs=original.unsigned_transaction.outputs,
        drain=receiver_outputs[0],
    )
