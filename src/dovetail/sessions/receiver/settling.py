"""The end of a session: what the chain shows, and a fallback if need be (M3, M4)."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self, TypeAlias

from dovetail.bitcoin.transaction import Transaction, Txid
from dovetail.bitcoin.units import UnixTime
from dovetail.errors import InvalidEvent, UsageError
from dovetail.sessions import outcomes
from dovetail.sessions.other_payments import Receipts
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import events
from dovetail.sessions.receiver.closing import Closed, paid_directly
from dovetail.sessions.receiver.contested import AT_ONCE, Contested
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.receiver.terms import Terms
from dovetail.sessions.settlement import HoldsFallback, Watches
from dovetail.sessions.transition import Transition


@dataclass(frozen=True, kw_only=True, repr=False)
class PendingFallback(Contested, HoldsFallback[ReceiverEvent, Terms, Closed, "Monitor"]):
    """The negotiation is over and the fallback waits for a decision.

    Broadcast `fallback_transaction` and save `record_broadcast`, or save `release`. If someone
    spends a contested outpoint meanwhile, save `record_spend`. A request from before the address
    was paid in full does not count after it: only the caller may repeat it.
    """

    @property
    def due_at(self) -> UnixTime | None:
        """From when a policy may broadcast the fallback; None: only if the caller requests it.

        0 means at once. While a proposal may be out it is the expiration plus the grace, and then
        only after a check for the payjoin; None once the address was paid in full (M4).
        """
        if self.paid_twice:
            return None
        if self.requested:
            return AT_ONCE
        if not self.owed:
            return None
        return self.watched_until if self.proposal_out else AT_ONCE

    def record_broadcast(self, txid: Txid) -> "Transition[ReceiverEvent, Monitor]":
        """Say that the network took the fallback, or had it already.

        Raises `UsageError` if `txid` is another transaction's: that is for `record_spend`.
        """
        self._require_fallback(txid)
        event = events.BroadcastFallback(txid=str(txid))
        return self._transition(event, self._on_broadcast_fallback(event))

    @property
    def _word_stands(self) -> bool:
        return self.requested and not self.paid_twice

    def _on_fallback_requested(self, event: events.FallbackRequested) -> Self:
        pending = super()._on_fallback_requested(event)
        return replace(pending, insisted=bool(self.paid_by))

    def _on_broadcast_fallback(self, event: events.BroadcastFallback) -> "Monitor":
        return self._watch(expected=Txid.from_hex(event.txid), fallback_broadcast=True)

    def watching(self, expected: Txid) -> "Monitor":
        """The state after a spend was seen; only for the states themselves."""
        return self._watch(expected=expected)

    def _watch(self, **changes: object) -> "Monitor":
        seen = self.seen_spent or changes.get("expected") is not None
        return self._become(
            Monitor, **({"fallback_broadcast": False, "seen_spent": seen} | changes)
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class Monitor(Contested, Watches[ReceiverEvent, Terms, Closed, PendingFallback]):
    """A payment is, or may be, under way: watch `contested` until one of them is spent for good.

    Save `record_settlement` whenever the chain shows a spend, and `fallback_due` from `due_at` on.
    """

    settles_here: ClassVar[bool] = True

    @property
    def due_at(self) -> UnixTime | None:
        """From when `fallback_due` may be called; None: only `request_fallback` can help."""
        if self.paid_twice:
            return None
        if self.requested:
            return AT_ONCE
        return self.watched_until if self.owed and not self.released else None

    def fallback_due(self, now: UnixTime) -> Transition[ReceiverEvent, PendingFallback]:
        """Go on to the fallback, once expiration and grace have passed without a payjoin.

        Look for a spend of `contested` first. Raises `UsageError` before `due_at`.
        """
        if self.due_at is None or now < self.due_at:
            raise UsageError("The fallback is not due; wait, or call `request_fallback`.")
        event = events.FallbackDue()
        return self._transition(event, self._on_fallback_due(event))

    def cancel(self) -> Transition[ReceiverEvent, PendingFallback]:
        """Give up the payjoin; a sender who holds the proposal can still broadcast it.

        Raises `UsageError` once a payment was seen or broadcast, and after a release.
        """
        event = events.Cancelled()
        try:
            successor = self._on_cancelled(event)
        except InvalidEvent as error:
            raise UsageError(
                "A payment is on its way already, or was declined: request the fallback instead."
            ) from error
        return self._transition(event, successor)

    def record_settlement(
        self, spend: Transaction, *, depth: int, received: Receipts | None = None
    ) -> "Transition[ReceiverEvent, Monitor | Closed]":
        """Say that a transaction spends a contested outpoint, and how deep it is in the chain.

        `received` is what other transactions paid to the address; together they may be the payment.
        Nothing changes below the configured depth, nor while other transactions that it needs to be
        the payment are not that deep (M3). Raises `UsageError` if it spends none.
        """
        self.require_spend(spend)
        if depth < self.depth or self._rests_on_shallow(spend, received):
            return self._stay()
        return self._close(self._outcome(spend, received))

    def record_revoked(
        self, spend: Transaction, *, depth: int, received: Receipts | None = None
    ) -> "Transition[ReceiverEvent, Monitor | Closed]":
        """Say that a transaction other than the payjoin spends one of our coins in the proposal.

        After that, the payjoin of a payment that the caller declined cannot be made. Where other
        transactions paid the address in full, `received`, the session ends as paid. Nothing changes
        below the configured depth of both. Raises `UsageError` if it spends none, or unreleased.
        """
        if not (self.released and any(spend.spends(coin) is not None for coin in self.exposed)):
            raise UsageError("A payment may still be made: watch the chain.")
        paid = received if received is not None and received.full else None
        if depth < self.depth or (paid is not None and paid.depth < self.depth):
            return self._stay()
        if paid is not None:
            return self._close(paid_directly(paid, depth=self.depth))
        return self._close(outcomes.Revoked(txid=str(spend.txid)))

    def _on_fallback_due(self, _event: events.FallbackDue) -> PendingFallback:
        if self.due_at is None:
            raise InvalidEvent("This fallback never becomes due.")
        return self._owe_fallback(Reason.FALLBACK_DUE)

    def _on_fallback_requested(self, event: events.FallbackRequested) -> PendingFallback:
        pending = super()._on_fallback_requested(event)
        return replace(pending, insisted=bool(self.paid_by))

    def _on_cancelled(self, _event: events.Cancelled) -> PendingFallback:
        if self.seen_spent or self.released:
            raise InvalidEvent("A payment that was seen or declined can no longer be cancelled.")
        return self._owe_fallback(Reason.CANCELLED_BY_US, requested=False)

    def _owe_fallback(self, reason: Reason, **changes: object) -> PendingFallback:
        reset = {"reason": self.reason or reason, "released": False, "fallback_broadcast": False}
        return self._become(PendingFallback, **(reset | changes))


NoPayjoin: TypeAlias = PendingFallback | Closed
"""The state after a negotiation that failed: Closed if no fallback is held."""
