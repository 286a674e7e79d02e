"""The end of a session: what the chain shows, and a fallback in case (M3, M4)."""

from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

from dovetail.actions import Action
from dovetail.bitcoin.transaction import Transaction, Txid
from dovetail.bitcoin.units import UnixTime
from dovetail.errors import InvalidEvent, UsageError
from dovetail.sessions import outcomes
from dovetail.sessions.other_payments import Receipts
from dovetail.sessions.reasons import Reason
from dovetail.sessions.receiver import events
from dovetail.sessions.receiver.closing import Closed, cancelled, paid_directly
from dovetail.sessions.receiver.contested import AT_ONCE, Contested
from dovetail.sessions.receiver.events import ReceiverEvent
from dovetail.sessions.transition import Transition

ASKED_FOR = (
    "The ordinary payment was requested already and may be on its way: it cannot be declined any"
    " more."
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PendingFallback(Contested):
    """The negotiation is over and the fallback waits for a decision.

    Broadcast `fallback` and save `record_broadcast`, or save `release`; if someone spends a
    contested outpoint meanwhile, save `record_spend`.
    """

    @property
    def due_at(self) -> UnixTime | None:
        """From when a policy may broadcast the fallback; None: only on the caller's word.

        0 is at once. While a proposal may be out it is the expiration plus the grace, and then
        only after looking for the payjoin; never once the address was paid in full (M4).
        """
        if self.paid_twice:
            return None
        if self.requested:
            return AT_ONCE
        if not self.owed:
            return None
        return self.watched_until if self.proposal_out else AT_ONCE

    @property
    def may_end_unpaid(self) -> bool:
        """Whether `release` would close the session: before a broadcast, save that it is decided.

        Else another process could close it as unpaid at the very moment (M4).
        """
        return not self._under_way

    def request_fallback(self) -> "Transition[ReceiverEvent, PendingFallback]":
        """Decide on the fallback: save it, then broadcast `fallback_transaction`.

        A crash between forgets nothing, and said twice it changes nothing. From then on the
        fallback cannot be released, as it may be on its way (M4). A word from before the address
        was paid in full does not count after it: only the caller may say it again.
        """
        if self.requested and not self.paid_twice:
            return Transition(None, self, seq=self.seq)
        event = events.FallbackRequested()
        return self._transition(event, self._on_fallback_requested(event))

    def record_broadcast(self, txid: Txid) -> "Transition[ReceiverEvent, Monitor]":
        """Say that the network took the fallback, or had it already.

        Raises `UsageError` if `txid` is another transaction's: that is for `record_spend`.
        """
        if txid != self.fallback_transaction.txid:
            raise UsageError("This is not the fallback's txid; record it as an observed spend.")
        event = events.BroadcastFallback(txid=str(txid))
        return self._transition(event, self._on_broadcast_fallback(event))

    def record_spend(self, spend: Transaction) -> "Transition[ReceiverEvent, Monitor]":
        """Say that this transaction, confirmed or not, spends a contested outpoint."""
        self.payload.require_spend(spend)
        event = events.ObservedSpend(txid=str(spend.txid))
        return self._transition(event, self._on_observed_spend(event))

    def release(
        self, *, received: Receipts | None = None
    ) -> "Transition[ReceiverEvent, Monitor | Closed]":
        """Decline to broadcast the fallback; the sender still can.

        The session goes on watching if a payment may be under way, and closes otherwise (M3);
        `received` is what the address has received by then. Raises `UsageError` once the caller
        asked for the fallback.
        """
        if self.requested:
            raise UsageError(ASKED_FOR, actions=(Action.RESUME,))
        if self._paid_perhaps:
            released = events.Released()
            return self._transition(released, self._on_released(released))
        return self._close(cancelled(self.reason or Reason.FALLBACK_REQUESTED, received))

    def _on_fallback_requested(self, _event: events.FallbackRequested) -> "PendingFallback":
        if self.requested and not self.paid_twice:
            raise InvalidEvent("A pending fallback is asked for once.")
        return replace(self, seq=self.seq + 1, requested=True, insisted=bool(self.paid_by))

    def _on_broadcast_fallback(self, event: events.BroadcastFallback) -> "Monitor":
        return self._monitor(expected=Txid.from_hex(event.txid), fallback_broadcast=True)

    def _on_observed_spend(self, event: events.ObservedSpend) -> "Monitor":
        return self.watching(Txid.from_hex(event.txid))

    def watching(self, expected: Txid) -> "Monitor":
        """The state after a spend was seen; only for the states themselves."""
        return self._monitor(expected=expected)

    def _on_released(self, _event: events.Released) -> "Monitor":
        if not self._paid_perhaps:
            raise InvalidEvent("A released session with nothing under way closes instead.")
        return self._monitor(released=True)

    def _monitor(
        self,
        *,
        expected: Txid | None = None,
        fallback_broadcast: bool = False,
        released: bool = False,
    ) -> "Monitor":
        return Monitor(
            seq=self.seq + 1,
            terms=self.terms,
            payload=self.payload,
            reason=self.reason,
            owed=self.owed,
            finalized=self.finalized,
            seen_spent=self.seen_spent or expected is not None,
            expected=expected,
            fallback_broadcast=fallback_broadcast,
            released=released,
            requested=self.requested and not released,
            paid_by=self.paid_by,
            insisted=self.insisted,
            looked=self.looked,
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Monitor(Contested):
    """A payment is, or may be, under way: watch `contested` until one of them is spent for good.

    Save `record_settlement` whenever the chain shows a spend; `fallback_due` once it says so.
    """

    settles_here: ClassVar[bool] = True

    expected: Txid | None = None
    """The transaction that was broadcast or seen last; None while only a proposal is out."""

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
            raise UsageError("The fallback is not due; wait, or request it in so many words.")
        event = events.FallbackDue()
        return self._transition(event, self._on_fallback_due(event))

    def request_fallback(self) -> Transition[ReceiverEvent, PendingFallback]:
        """Go on to the fallback on the caller's word; it may double-spend a payjoin under way."""
        event = events.FallbackRequested()
        return self._transition(event, self._on_fallback_requested(event))

    def cancel(self) -> Transition[ReceiverEvent, PendingFallback]:
        """Give the payjoin up, though the sender may hold the proposal and can still broadcast it.

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

        `received` is what other transactions brought to the address; together they may be the
        payment. Below the configured depth nothing changes, nor while what would make it one is
        not that deep (M3). Raises `UsageError` if it spends none.
        """
        self.payload.require_spend(spend)
        if depth < self.depth or self._rests_on_shallow(spend, received):
            return Transition(None, self, seq=self.seq)
        return self._close(self._outcome(spend, received))

    def record_revoked(
        self, spend: Transaction, *, depth: int, received: Receipts | None = None
    ) -> "Transition[ReceiverEvent, Monitor | Closed]":
        """Say that a transaction other than the payjoin spends one of our coins in the proposal.

        Nothing is left then of a payment that the caller declined; where other transactions have
        paid the address in full, `received`, the session ends as paid. Below the configured depth
        of both nothing changes. Raises `UsageError` if it spends none, or before a release.
        """
        if not (self.released and any(spend.spends(coin) is not None for coin in self.exposed)):
            raise UsageError("A payment may still be made: watch the chain.")
        paid = received if received is not None and received.full else None
        if depth < self.depth or (paid is not None and paid.depth < self.depth):
            return Transition(None, self, seq=self.seq)
        if paid is not None:
            return self._close(paid_directly(paid, depth=self.depth))
        return self._close(outcomes.Revoked(txid=str(spend.txid)))

    def _on_fallback_due(self, _event: events.FallbackDue) -> PendingFallback:
        if self.due_at is None:
            raise InvalidEvent("This fallback never falls due by itself.")
        return self._pending(Reason.FALLBACK_DUE, requested=self.requested)

    def _on_fallback_requested(self, _event: events.FallbackRequested) -> PendingFallback:
        pending = self._pending(Reason.FALLBACK_REQUESTED, requested=True)
        return replace(pending, insisted=bool(self.paid_by))

    def _on_cancelled(self, _event: events.Cancelled) -> PendingFallback:
        if self.seen_spent or self.released:
            raise InvalidEvent("A payment that was seen or declined can no longer be cancelled.")
        return self._pending(Reason.CANCELLED_BY_US, requested=False)

    def _pending(self, reason: Reason, *, requested: bool) -> PendingFallback:
        return PendingFallback(
            seq=self.seq + 1,
            terms=self.terms,
            payload=self.payload,
            reason=self.reason or reason,
            owed=self.owed,
            finalized=self.finalized,
            seen_spent=self.seen_spent,
            requested=requested,
            paid_by=self.paid_by,
            insisted=self.insisted,
            looked=self.looked,
        )


NoPayjoin: TypeAlias = PendingFallback | Closed
"""Where a session without a payjoin goes on: Closed if it holds no fallback."""
