"""The fee of a payjoin, and how the parties share it (BIP 78, Fee output)."""

from dataclasses import dataclass

from dovetail.bitcoin.psbt import Psbt
from dovetail.bitcoin.units import Sats
from dovetail.protocol.fees import total
from dovetail.protocol.params import FeeContribution


@dataclass(frozen=True, slots=True)
class Shares:
    """A payjoin's whole fee, and the additional cost of each party."""

    fee: Sats
    more_from_sender: Sats
    """The amount taken from the sender's fee output."""
    from_receiver: Sats
    """The amount that the receiver gets less than in the Original PSBT."""
    added: tuple[Sats, ...]
    """The values of the receiver's coins."""


def shares(original: Psbt, proposal: Psbt, offer: FeeContribution | None) -> Shares:
    """Compute the shares of a proposal for `original`, with the sender's fee `offer`.

    Every input of `proposal` except the sender's must hold its UTXO. Raises `InvalidPsbt` if one
    does not, and `InvalidAmount` for impossible sums.
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
