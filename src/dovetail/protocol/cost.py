"""What a payjoin costs, and who pays it (BIP 78, Fee output)."""

from dataclasses import dataclass

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.units import Sats
from dovetail.protocol.fees import total
from dovetail.protocol.params import FeeContribution


@dataclass(frozen=True, slots=True)
class Shares:
    """A payjoin's whole fee, and by how much it is more for each than without a payjoin."""

    fee: Sats
    more_from_sender: Sats
    """What was taken from the sender's fee output."""
    from_receiver: Sats
    """What the receiver gets less than the Original pays it."""
    added: tuple[Sats, ...]
    """What the receiver's coins are worth."""


def shares(original: Psbt, proposal: Psbt, offer: FeeContribution | None) -> Shares:
    """Who pays what in a proposal that was made of `original`, with the sender's `offer`.

    Every input of `proposal` but the sender's tells what it spends. Raises `InvalidPsbt` where
    one does not, `InvalidAmount` where the sums cannot be.
    """
    ours, theirs = original.unsigned_transaction, proposal.unsigned_transaction
    senders = frozenset(ours.contested())
    added = [
        proposal.utxo(position)
        for position, outpoint in enumerate(theirs.contested())
        if outpoint not in senders
    ]
    fee = Sats(total((*original.utxos(), *added)) - total(theirs.outputs))
    taken = 0
    if offer is not None and offer.output_index < len(ours.outputs):
        script = ours.outputs[offer.output_index].script_pubkey
        before, after = (
            total(txout for txout in outputs if txout.script_pubkey == script)
            for outputs in (ours.outputs, theirs.outputs)
        )
        taken = max(0, before - after)
    more = Sats(max(0, int(fee) - int(original.fee) - taken))
    return Shares(fee, Sats(taken), more, tuple(utxo.value for utxo in added))
