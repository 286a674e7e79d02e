"""The end of a session, and the payment that every early end records (M3)."""

from dataclasses import dataclass
from typing import ClassVar

from dovetail.bitcoin.transaction import Transaction
from dovetail.errors import UsageError
from dovetail.protocol.settlement import rebuild
from dovetail.sessions import outcomes
from dovetail.sessions.other_payments import Receipts
from dovetail.sessions.outcomes import Outcome, hexes
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import events
from dovetail.sessions.receiver.base import State
from dovetail.sessions.receiver.payload import Finalized, Payload


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Closed(State):
    """The session is over; `outcome` says how."""

    closed: ClassVar[bool] = True

    outcome: Outcome
    payload: Payload | None = None
    finalized: Finalized | None = None
    reason: Reason | None = None
    """The reason that had stopped the payjoin before the end; None where nothing had."""

    @property
    def fallback_transaction(self) -> Transaction | None:
        """The sender's own payment; None where no Original came."""
        return None if self.payload is None else self.payload.fallback_transaction

    @property
    def payjoin(self) -> Transaction | None:
        """The confirmed payjoin, rebuilt to be broadcast again; None if there was none."""
        if self.finalized is None or not isinstance(self.outcome, outcomes.Success):
            return None
        signatures = tuple((each.script_sig, each.witness) for each in self.outcome.signatures)
        return rebuild(self.finalized.psbt, signatures)


UNPAID_OUTCOMES = (outcomes.PaidDirectly, outcomes.Cancelled, outcomes.Expired)
"""The outcomes of a session that never held a fallback."""


def observed(received: Receipts) -> events.ObservedPayment:
    """The event of a payment to the address that is neither payjoin nor fallback.

    Raises `UsageError` for less than was asked for.
    """
    _require_full(received)
    return events.ObservedPayment(txids=hexes(received.txids), received=int(received.amount))


def paid_directly(received: Receipts, *, depth: int) -> outcomes.PaidDirectly:
    """The outcome of such a payment.

    Raises `UsageError` for less than was asked for, or above this depth (M3).
    """
    _require_full(received)
    if received.depth < depth:
        raise UsageError("The payment to the address is not deep enough yet; keep watching.")
    first, *others = hexes(received.txids)
    return outcomes.PaidDirectly(
        txid=first,
        others=tuple(others),
        received=int(received.amount),
        beyond=hexes(received.beyond),
    )


def _require_full(received: Receipts) -> None:
    if not received.full:
        raise UsageError("The address has received less than was asked for; keep watching.")
