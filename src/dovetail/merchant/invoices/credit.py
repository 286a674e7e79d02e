"""What one transaction is worth to an invoice, exactly, by script and outpoint."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from dovetail.bitcoin import OutPoint, Sats, Script, Transaction, UnixTime
from dovetail.merchant.invoices.negotiation import Negotiation, skeleton_of
from dovetail.protocol.settlement import paid_to

_NOTHING = Sats(0)


class PaymentKind(StrEnum):
    """What a transaction is to an invoice; the values are stable."""

    PAYJOIN = "payjoin"
    """It is the pinned payjoin."""
    FALLBACK = "fallback"
    """It is the fallback transaction of an Original."""
    DIRECT = "direct"
    """It pays the invoice's script, and was not negotiated."""
    UNRECOGNIZED = "unrecognized"
    """It pays the invoice nothing: it spends the coins of a payment, or pays a script that only
    the pinned payjoin is to pay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """The worth of one transaction, in satoshis, once and as long as the chain has it."""

    kind: PaymentKind
    gain: Sats = _NOTHING
    """The satoshis that the shop has more by it."""
    fees: Sats = _NOTHING
    """The part of the customer's payment that the shop spent on the payjoin's fee."""
    received_at: UnixTime | None = None
    """When the customer had handed it over in a negotiation; None: it was not negotiated."""

    @property
    def value(self) -> Sats:
        """The satoshis that the customer paid by it: no customer pays the shop's part of a fee."""
        return self.gain + self.fees


def worth_of(
    transaction: Transaction, *, script: Script, negotiations: Collection[Negotiation]
) -> Worth:
    """The worth of a transaction to the invoice with this script.

    Only the pinned transaction is credited by a pin. All else is credited by what it pays to the
    invoice's own script, less the receiver's contributed inputs that it spends.
    """
    for each in negotiations:
        if each.pin is not None and each.pin.is_met_by(transaction):
            return Worth(
                kind=PaymentKind.PAYJOIN,
                gain=each.pin.gain,
                fees=each.pin.fees,
                received_at=each.received_at,
            )
    own = contributed(negotiations)
    brought = sum(int(own.get(outpoint, 0)) for outpoint in transaction.contested())
    gain = Sats(max(0, int(paid_to(transaction, script)) - brought))
    if not gain:
        return Worth(kind=PaymentKind.UNRECOGNIZED)
    skeleton = skeleton_of(transaction)
    for each in negotiations:
        if each.fallback == skeleton:
            return Worth(kind=PaymentKind.FALLBACK, gain=gain, received_at=each.received_at)
    return Worth(kind=PaymentKind.DIRECT, gain=gain)


def contributed(negotiations: Collection[Negotiation]) -> Mapping[OutPoint, Sats]:
    """The receiver's inputs of all pinned proposals, and their values."""
    return {
        outpoint: value
        for each in negotiations
        if each.pin is not None
        for outpoint, value in each.pin.inputs
    }
